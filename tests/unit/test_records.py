"""Messages of the audit queue as ledger records, and how a batch is named."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given

from functions.ledger.keys import Span, object_key, span
from functions.ledger.records import LedgerRecord, parse
from functions.shared.errors import InvalidEventError
from tests.unit import snapshots as stripe
from tests.unit.snapshots import JSON


def message(body: Any, *, message_id: str = "m-1", sent: int = 1_775_037_605_123) -> dict[str, Any]:
    text = body if isinstance(body, str) else json.dumps(body)
    return {"messageId": message_id, "body": text, "attributes": {"SentTimestamp": str(sent)}}


def record(stripe_object: Any, event_type: str = "invoice.paid") -> LedgerRecord:
    return parse(message(stripe.envelope(event_type, stripe_object)))


def test_message_becomes_a_record() -> None:
    found = record(stripe.invoice(stripe.CURRENT))
    assert found.message_id == "m-1"
    assert found.delivery_id == "3f0c8b1e-8f9c-4a51-9f6a-0d8a2b7c6e10"
    assert found.received_at == datetime(2026, 4, 1, 10, 0, 5, 123000, tzinfo=UTC)
    assert (found.event_id, found.event_type) == ("evt_unit_1", "invoice.paid")
    assert (found.object_id, found.customer_id) == ("in_1", "cus_1")
    assert found.api_version == stripe.CURRENT
    assert found.event["data"]["object"] == stripe.invoice(stripe.CURRENT)


def test_line_holds_the_whole_envelope() -> None:
    body = stripe.envelope("invoice.paid", stripe.invoice(stripe.CURRENT))
    line = json.loads(parse(message(body)).line)
    assert line == {
        "received_at": "2026-04-01T10:00:05.123+00:00",
        "message_id": "m-1",
        "event_id": "evt_unit_1",
        "event_type": "invoice.paid",
        "envelope": body,
    }


@pytest.mark.parametrize(
    ("stripe_object", "object_id", "customer_id"),
    [
        (stripe.customer(), "cus_1", "cus_1"),
        (stripe.invoice(stripe.ACACIA, customer={"id": "cus_9"}), "in_1", "cus_9"),
        (stripe.invoice(stripe.ACACIA, customer=None), "in_1", None),
        ({"id": "prod_1", "object": "product"}, "prod_1", None),
        ({"id": 7, "object": "balance", "customer": ["x"]}, None, None),
        ({"id": "x" * 300, "customer": {"id": 7}}, None, None),
        ("no object", None, None),
        (None, None, None),
    ],
)
def test_ids_are_read_from_any_object(stripe_object: Any, object_id: Any, customer_id: Any) -> None:
    found = record(stripe_object)
    assert (found.object_id, found.customer_id) == (object_id, customer_id)


def test_neither_the_line_nor_the_row_holds_a_client_secret() -> None:
    intent = {"id": "pi_1", "client_secret": "pi_1_secret_PLANTED", "amount": 2599}
    found = record(stripe.invoice(stripe.CURRENT, latest={"payment_intent": intent}))
    assert "PLANTED" not in found.line + json.dumps(found.event)
    stored = found.event["data"]["object"]["latest"]["payment_intent"]
    assert stored == {"id": "pi_1", "client_secret": None, "amount": 2599}


def test_thin_events_are_recorded_too() -> None:
    thin = {
        "id": "envelope-1",
        "detail": {
            "id": "evt_test_1",
            "object": "v2.core.event",
            "type": "v2.core.account[requirements].updated",
        },
    }
    found = parse(message(thin))
    assert (found.event_type, found.object_id, found.api_version) == (
        "v2.core.account[requirements].updated",
        None,
        None,
    )


@pytest.mark.parametrize("name", ["customer", "invoice"])
def test_thin_event_is_recorded_under_the_object_that_it_names(name: str) -> None:
    related = {"id": f"{name}_1", "type": name, "url": "/v1/…"}
    detail = {"id": "evt_1", "object": "v2.core.event", "type": f"v1.{name}.updated"}
    found = parse(message({"id": "envelope-1", "detail": detail | {"related_object": related}}))
    assert found.object_id == f"{name}_1"
    assert found.customer_id == ("customer_1" if name == "customer" else None)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("", "body"),
        ("not json", "body"),
        ('{"id": "e-1", "detail": {"id": "evt_1", "type": "a.b", "n": 1e999}}', "body"),
        ("[" * 100_000, "body"),
        ("[]", "body"),
        ("null", "body"),
        ("{}", "detail"),
        ({"id": "e-1", "detail": "x"}, "detail"),
        ({"detail": {"id": "evt_1", "type": "a.b"}}, "id"),
        ({"id": 7, "detail": {"id": "evt_1", "type": "a.b"}}, "id"),
        ({"id": "e-1", "detail": {"type": "a.b"}}, "detail.id"),
        ({"id": "e-1", "detail": {"id": "evt 1", "type": "a.b"}}, "detail.id"),
        ({"id": "e-1", "detail": {"id": "evt_1"}}, "detail.type"),
        ({"id": "e-1", "detail": {"id": "evt_1", "type": "a" * 300}}, "detail.type"),
    ],
)
def test_error_names_the_invalid_field(body: Any, field: str) -> None:
    with pytest.raises(InvalidEventError) as caught:
        parse(message(body))
    assert caught.value.field == field


@given(JSON)
def test_any_json_is_a_record_or_an_invalid_event(value: Any) -> None:
    with pytest.raises(InvalidEventError):
        parse(message(json.dumps(value)))


def test_key_of_a_batch_names_its_messages_and_times() -> None:
    body = stripe.envelope("invoice.paid", stripe.invoice(stripe.CURRENT))
    before_midnight = parse(message(body, message_id="m-2", sent=1_775_087_998_900))
    after_midnight = parse(message(body, message_id="m-1", sent=1_775_088_000_007))
    key = object_key([after_midnight, before_midnight])
    assert key.startswith("audit/dt=2026-04-02/000000007-2-")
    assert key.endswith(".jsonl.gz")
    assert key == object_key([before_midnight, after_midnight])
    assert object_key([before_midnight]).startswith("audit/dt=2026-04-01/235958900-0-")
    oldest = before_midnight.received_at - timedelta(microseconds=893_000)
    assert span(key) == Span(oldest, after_midnight.received_at)


def test_record_does_not_show_the_event() -> None:
    assert "ada@example.com" not in repr(record(stripe.customer(), "customer.created"))
