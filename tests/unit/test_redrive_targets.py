"""How a dead letter of the audit goes back into the audit's queue."""

from __future__ import annotations

import json
from typing import Any

from functions.dead_letters.message import parse
from functions.dead_letters.redrive import QUEUED, AuditQueueTarget
from tests.unit import snapshots
from tests.unit.test_dead_letters import message

ENVELOPE = snapshots.envelope("customer.updated", snapshots.customer(name="株式会社"))


class Queue:
    """Stands for the SQS client; keeps what was sent."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def send_message(self, **arguments: Any) -> None:
        self.sent.append(arguments)


def handed_over(body: str) -> str:
    queue: Any = Queue()
    assert AuditQueueTarget("https://queue", queue).send(parse(message(body))).outcome == QUEUED
    return str(queue.sent[0]["MessageBody"])


def test_body_goes_back_as_it_is() -> None:
    body = json.dumps(ENVELOPE, indent=1, ensure_ascii=False)
    assert handed_over(body) == body


def test_envelope_inside_a_record_goes_back_alone_in_as_few_bytes_as_it_takes() -> None:
    sent = handed_over(json.dumps({"requestPayload": ENVELOPE, "responsePayload": {"errorType": "x"}}))
    assert json.loads(sent) == ENVELOPE
    assert "株式会社" in sent
