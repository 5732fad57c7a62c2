"""Events of every size that EventBridge carries are applied, audited whole, and parked whole."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

import psycopg
import pytest

from functions.dead_letters.message import DeadLetterMessage, parse
from functions.shared.json_text import compact
from functions.shared.names import EVENT_BYTES
from ops.local.clients import Aws
from ops.reference.huntaze import Fault, ReferenceApi
from tests.functions.audit import AuditDeadLetterQueue, batch_of, invoice_paid, lines_for
from tests.functions.conftest import Start, fresh
from tests.functions.function import Function
from tests.functions.helpers import paid, requests_for
from tests.unit import snapshots as stripe

KIB = 1024
SIZES = [300 * KIB, 900 * KIB, EVENT_BYTES]
ANSWER = "y" * 1000


def padded(envelope: dict[str, Any], size: int, text: str = "x") -> dict[str, Any]:
    """Fill the object's metadata until the envelope has so many bytes."""
    metadata = {"note": ""}
    envelope["detail"]["data"]["object"]["metadata"] = metadata
    space = size - len(compact(envelope).encode())
    metadata["note"] = (text * (space // len(text) + 1))[:space]
    assert len(compact(envelope).encode()) == size
    return envelope


def incompressible(size: int) -> str:
    """Return text of which no packer makes much less than three quarters."""
    return base64.b64encode(random.Random(size).randbytes(size)).decode()  # noqa: S311 - the same each time


class DeadLetters(AuditDeadLetterQueue):
    """A dead-letter queue, read as the redrive and the `dlq` commands do."""

    def parsed(self) -> list[DeadLetterMessage]:
        return [parse(message) for message in self.receive_all()]


@pytest.fixture
def dead_letters(aws: Aws, dead_letter_queue: str) -> DeadLetters:
    queue = DeadLetters(aws, dead_letter_queue)
    queue.receive_all()
    return queue


@pytest.fixture
def audit_dead_letters(aws: Aws, audit_dead_letter_queue: str) -> DeadLetters:
    AuditDeadLetterQueue(aws, audit_dead_letter_queue).receive_all()
    return DeadLetters(aws, audit_dead_letter_queue)


@pytest.mark.parametrize("size", SIZES)
def test_event_is_applied_whatever_its_size(api: ReferenceApi, payments: Function, size: int) -> None:
    envelope = padded(paid(), size)
    assert payments.invoke(envelope)["outcome"] == "applied"
    (request,) = requests_for(api, envelope)
    assert request.body["metadata"] == envelope["detail"]["data"]["object"]["metadata"]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("text", ["x", incompressible(EVENT_BYTES)], ids=["text", "noise"])
def test_refused_event_is_parked_whole_whatever_its_size(
    api: ReferenceApi, payments: Function, dead_letters: DeadLetters, size: int, text: str
) -> None:
    envelope = padded(paid(), size, text)
    api.fail(Fault(status=422, body=ANSWER, times=1))
    assert payments.invoke(envelope)["outcome"] == "parked"
    (message,) = dead_letters.parsed()
    assert message.envelope == stripe.stored(envelope)
    assert (message.reason, message.status) == ("the API answered 422", 422)
    assert json.loads(message.body)["parked"]["answer"] == ANSWER
    assert message.attributes["reason"] == message.reason, "the queue can be sorted without reading any body"


def test_refused_event_of_four_byte_characters_is_parked_whole(
    payments: Function, dead_letters: DeadLetters
) -> None:
    envelope = padded(paid(livemode=True), EVENT_BYTES - 3)
    envelope["detail"]["data"]["object"]["metadata"]["note"] = "😀" * (EVENT_BYTES // 4 - 500)
    assert payments.invoke(envelope)["outcome"] == "parked"
    (message,) = dead_letters.parsed()
    assert message.envelope == stripe.stored(envelope)


def test_largest_batch_of_lambda_is_stored_whole(
    aws: Aws, start: Start, database_url: str, audit_dead_letters: DeadLetters
) -> None:
    events = [padded(invoice_paid(), 900 * KIB, incompressible(EVENT_BYTES)) for _ in range(6)]
    audit = start("audit", DATABASE_URL=database_url)
    assert audit.invoke(batch_of(*events)) == {"batchItemFailures": []}
    for event in events:
        (line,) = lines_for(aws, event)
        assert line["envelope"] == event
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT event_id, payload FROM stripe_event_ledger").fetchall()
    assert dict(rows) == {event["detail"]["id"]: event["detail"] for event in events}
    assert audit_dead_letters.parsed() == []


@pytest.mark.parametrize("size", SIZES)
def test_event_that_postgresql_cannot_hold_is_parked_whole_whatever_its_size(
    start: Start, database_url: str, audit_dead_letters: DeadLetters, size: int
) -> None:
    envelope = fresh("invoice.paid", stripe.invoice(stripe.CURRENT, description="\0"))
    body = compact(padded(envelope, size))
    audit = start("audit", DATABASE_URL=database_url)
    assert audit.invoke(batch_of(body)) == {"batchItemFailures": []}
    (message,) = audit_dead_letters.parsed()
    assert message.envelope == envelope
    assert message.body == body
    assert message.reason.startswith("detail can't be stored in PostgreSQL")
