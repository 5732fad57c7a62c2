"""Read what every part of a running pipeline recorded: the API, the log groups, the queues, the ledger."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import httpx

from functions.pipeline import routing_table
from functions.shared.packing import unpacked
from ops.local.accounting import Evidence, LedgerRow, Observations, Request
from ops.local.sources import FinishedEvents, LedgerObjects, ledger_rows

if TYPE_CHECKING:
    from ops.local.outputs import Outputs
    from ops.local.services import Services

RECEIVE_BATCH = 10
# Long enough that one reading of a queue meets no message twice.
PEEK_SECONDS = 5


class Observer:
    """Observe one deployed pipeline; each call returns everything seen since the start.

    Parameters
    ----------
    services
        Where the embedded AWS, the reference API and the ledger's database listen.
    outputs
        The Terraform outputs of the environment.
    since
        Unix milliseconds; log lines before it are not read.
    """

    def __init__(self, services: Services, outputs: Outputs, since: float) -> None:
        self._sqs = services.aws.client("sqs")
        self._services = services
        self._outputs = outputs
        self._logged = FinishedEvents(services.aws.client("logs"), outputs.log_groups, since)
        self._objects = LedgerObjects(services.aws.client("s3"), outputs.ledger_bucket)
        self._finished: list[Evidence] = []
        self._requests: list[Request] = []
        self._parked: dict[str, Evidence] = {}
        self._archived: dict[str, float] = {}

    def look(self) -> Observations:
        """Return what is recorded now."""
        self._read_requests()
        self._finished.extend(self._logged.new())
        for name in self._outputs.handler_dlqs:
            self._read_dlq(name)
        self._read_objects()
        return Observations(
            evidence=(*self._finished, *self._parked.values()),
            requests=tuple(self._requests),
            ledger={
                event_id: LedgerRow(deliveries)
                for event_id, deliveries in ledger_rows(self._services.database_url)
            },
            archived=dict(self._archived),
        )

    def queue_depths(self) -> dict[str, int]:
        """Return how many messages each queue of the environment holds, in flight ones included."""
        return {name: self._depth(name) for name in self._outputs.queues}

    def _depth(self, name: str) -> int:
        attributes = self._sqs.get_queue_attributes(
            QueueUrl=self._outputs.queues[name],
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )["Attributes"]
        return sum(int(value) for value in attributes.values())

    def _read_requests(self) -> None:
        url = f"{self._services.api_url}/_control/requests"
        answer = httpx.get(
            url,
            params={"since": len(self._requests)},
            headers=self._services.api_control.headers,
            trust_env=False,
        ).raise_for_status()
        self._requests.extend(_request(item) for item in answer.json()["requests"])

    def _read_dlq(self, name: str) -> None:
        """Take note of each message and leave it there."""
        while messages := self._sqs.receive_message(
            QueueUrl=self._outputs.queues[name],
            MaxNumberOfMessages=RECEIVE_BATCH,
            VisibilityTimeout=PEEK_SECONDS,
            MessageSystemAttributeNames=["SentTimestamp"],
        ).get("Messages"):
            for message in messages:
                sent = float(message["Attributes"]["SentTimestamp"])
                event_id = parked_event_id(json.loads(unpacked(message["Body"])))
                self._parked[f"{name}/{message['MessageId']}"] = Evidence(event_id, "parked", sent)

    def _read_objects(self) -> None:
        for records in self._objects.new():
            received = {r["envelope"]["id"]: _milliseconds(r["received_at"]) for r in records}
            # What an object read before tells of an event holds.
            for event_id, at in received.items():
                self._archived.setdefault(event_id, at)


def parked_event_id(record: dict[str, Any]) -> str:
    """Return the Stripe event id of a dead-letter record.

    EventBridge puts the bare envelope there, Lambda its on-failure record, the handler a parked message.
    """
    envelope = record.get("requestPayload") or record.get("envelope") or record
    return str(envelope["detail"]["id"])


def handler_of(event_type: str) -> str | None:
    """Return the handler that the routing table names for a type, or None for a type no rule routes."""
    route = routing_table.ROUTES.get(event_type)
    return None if route is None else route.handler


def _milliseconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp() * 1000


def _request(item: dict[str, Any]) -> Request:
    key = item["idempotency_key"] or ""
    return Request(
        event_id=key.partition(":")[0],
        path=item["path"],
        idempotency_key=key,
        headers=item["headers"],
        body=item["body"],
        status=item["status"],
        at=item["received_at"] * 1000,
    )
