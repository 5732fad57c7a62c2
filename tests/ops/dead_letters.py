"""An AWS account with an environment's dead-letter queues, filled as EventBridge, Lambda and handlers do."""

from __future__ import annotations

import itertools
import json
import re
import time
from dataclasses import dataclass
from typing import Any

from ops.local.clients import Aws
from tests import answering
from tests.unit import snapshots

PERSONAL = (answering.PERSONAL, "Jenny Rosen", "+33199000000", "4242", "hk_secret_of_a_person", "1985")
AUDIT = ("audit-payments-dlq", "audit-billing-dlq", "audit-other-dlq", "audit-dlq.fifo")
REQUIRED = ("payments-dlq", "billing-dlq", *AUDIT)

_MESSAGE_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_numbers = itertools.count(1)


def full(name: str) -> str:
    """A queue's name in AWS."""
    return f"huntaze-stripe-{name.removesuffix('.fifo')}-dev" + (".fifo" if name.endswith(".fifo") else "")


def personal_in(text: str) -> list[str]:
    """The personal values in a text; random message ids and longer numbers may contain their digits."""
    text = _MESSAGE_ID.sub("", text)
    return [value for value in PERSONAL if re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text)]


@dataclass(frozen=True)
class World:
    """The environment dev, with its dead-letter queues only."""

    aws: Aws
    urls: dict[str, str]

    @property
    def sqs(self) -> Any:
        return self.aws.client("sqs")

    def envelope(self, answer: str = "applied", event_type: str = "invoice.paid") -> dict[str, Any]:
        return snapshots.envelope(
            event_type,
            snapshots.customer(
                id="cus_1",
                email=PERSONAL[0],
                name=PERSONAL[1],
                phone=PERSONAL[2],
                metadata={"note": PERSONAL[1], "amount": 1985, "status": "jenny"},
                card={"last4": PERSONAL[3], "exp_year": 1985},
                dob={"year": 1985},
                client_secret=PERSONAL[4],
                amount=2599,
                currency="eur",
                status="active",
                delinquent=False,
            ),
            id=f"evt_dlq{next(_numbers)}",
            answer=answer,
        )

    def failed(
        self,
        answer: str = "applied",
        *,
        queue: str = "payments-dlq",
        error: str = "TransientError",
        **more: Any,
    ) -> str:
        """Put an event into a queue as Lambda does, and return its id."""
        envelope = self.envelope(answer, **more)
        # Errors of ours contain no value of the event; another's message may.
        message = PERSONAL[0] if error == "KeyError" else "the API answered 503"
        record = {
            "version": "1.0",
            "timestamp": "2026-04-01T10:00:00.000Z",
            "requestContext": {"condition": "RetriesExhausted", "approximateInvokeCount": 3},
            "requestPayload": envelope,
            "responseContext": {"statusCode": 200, "functionError": "Unhandled"},
            "responsePayload": {"errorType": error, "errorMessage": message, "stackTrace": [PERSONAL[1]]},
        }
        return self._put(queue, record, envelope)

    def undelivered(self, queue: str = "payments-dlq", code: str = "THROTTLING", **more: Any) -> str:
        """Put an event into a queue as EventBridge does."""
        envelope = self.envelope(**more)
        rule = "arn:aws:events:eu-west-1:000000000000:rule/huntaze-stripe-payments-dev"
        return self._put(
            queue, envelope, envelope, RULE_ARN=rule, ERROR_CODE=code, ERROR_MESSAGE="Rate exceeded"
        )

    def parked(
        self,
        queue: str = "payments-dlq",
        answer: str = "applied",
        error: str = "PermanentError",
        answered: str = f"{PERSONAL[0]} is unknown",
    ) -> str:
        """Put an event into a queue as its handler does."""
        envelope = self.envelope(answer, "payment_intent.succeeded")
        parked = {
            "reason": "detail.id must match [A-Za-z0-9_-]{1,255}",
            "error": error,
            "status": 422,
            "endpoint": "/api/billing/payment-succeeded",
            "answer": answered,
            "handler": "payments",
        }
        return self._put(queue, {"parked": parked, "envelope": envelope}, envelope, status="422")

    def audited(self, lane: str = "billing", **more: Any) -> str:
        """Put an event into the audit's FIFO dead-letter queue, as SQS moves it there."""
        envelope = self.envelope(event_type=more.pop("event_type", "invoice.paid"))
        self.put("audit-dlq.fifo", json.dumps(envelope), lane)
        return str(envelope["detail"]["id"])

    def _put(self, queue: str, record: Any, envelope: dict[str, Any], **attributes: str) -> str:
        self.put(queue, json.dumps(record), **attributes)
        return str(envelope["detail"]["id"])

    def put(self, queue: str, body: str, group: str = "", **attributes: str) -> None:
        """Put any message into a queue; each has a time of its own."""
        time.sleep(0.002)
        fifo = {"MessageGroupId": group, "MessageDeduplicationId": f"once-{next(_numbers)}"} if group else {}
        values = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
        self.sqs.send_message(QueueUrl=self.urls[queue], MessageBody=body, MessageAttributes=values, **fifo)

    def counts(self, queue: str = "payments-dlq") -> tuple[int, int]:
        """How many messages of a queue are visible, and how many are hidden."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.sqs.get_queue_attributes(QueueUrl=self.urls[queue], AttributeNames=names)["Attributes"]
        return int(answer[names[0]]), int(answer[names[1]])

    def taken(self, queue: str) -> list[dict[str, Any]]:
        """Take every message out of a queue, in the order in which they came."""
        found: list[dict[str, Any]] = []
        while messages := self.sqs.receive_message(
            QueueUrl=self.urls[queue],
            MaxNumberOfMessages=10,
            MessageSystemAttributeNames=["All"],
        ).get("Messages"):
            for message in messages:
                self.sqs.delete_message(QueueUrl=self.urls[queue], ReceiptHandle=message["ReceiptHandle"])
            found += messages
        return sorted(found, key=lambda message: int(message["Attributes"]["SentTimestamp"]))

    def invoked(self) -> list[str]:
        """The ids of the events that reached a handler since the last call, in order."""
        return [message["Body"] for message in self.taken("seen")]

    def clear(self) -> None:
        """Empty every queue."""
        for url in self.urls.values():
            self.sqs.purge_queue(QueueUrl=url)


def make(aws: Aws) -> World:
    """Make the queues, and handlers that answer as their events say."""
    sqs = aws.client("sqs")
    fifo = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    urls = {
        name: sqs.create_queue(QueueName=full(name), Attributes=fifo if name.endswith(".fifo") else {})[
            "QueueUrl"
        ]
        for name in (*REQUIRED, "events.fifo")
    }
    urls["seen"] = sqs.create_queue(QueueName="seen")["QueueUrl"]
    for family in ("payments", "billing"):
        answering.make(aws, f"huntaze-stripe-{family}-dev", urls["seen"])
    return World(aws, urls)
