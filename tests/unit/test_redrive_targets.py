"""How a message of the audit's dead-letter queue is sent to the audit queue."""

from __future__ import annotations

import json
from typing import Any

from functions.dead_letters.message import parse
from functions.dead_letters.redrive import QUEUED, AuditQueueTarget
from tests.unit import snapshots
from tests.unit.received import received

ENVELOPE = snapshots.envelope("customer.updated", snapshots.customer(name="株式会社"))


class Queue:
    """Stands for the SQS client; keeps what was sent."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def send_message(self, **arguments: Any) -> None:
        self.sent.append(arguments)


def sent_body(body: str) -> str:
    queue: Any = Queue()
    assert AuditQueueTarget("https://queue", queue).send(parse(received(body))).outcome == QUEUED
    return str(queue.sent[0]["MessageBody"])


def test_bare_envelope_is_sent_unchanged() -> None:
    body = json.dumps(ENVELOPE, indent=1, ensure_ascii=False)
    assert sent_body(body) == body


def test_envelope_of_a_failure_record_is_sent_alone_and_compact() -> None:
    sent = sent_body(json.dumps({"requestPayload": ENVELOPE, "responsePayload": {"errorType": "x"}}))
    assert json.loads(sent) == ENVELOPE
    assert "株式会社" in sent
