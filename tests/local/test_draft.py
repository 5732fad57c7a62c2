"""What `send` sends: samples, files, fresh ids and changed fields."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ops.errors import OperatorError
from ops.local import draft, drive, sending
from ops.local.envelopes import sample

SOURCE = "aws.partner/stripe.com/ed_test"


def test_copies_are_events_of_their_own_made_now() -> None:
    original = draft.read("customer.subscription.updated", SOURCE)
    first, second = draft.copies(original, 2, [], keep_ids=False)
    ids = {each["detail"]["id"] for each in (original, first, second)}
    objects = {each["detail"]["data"]["object"]["id"] for each in (original, first, second)}
    assert (len(ids), len(objects)) == (3, 3)
    assert abs(first["detail"]["created"] - time.time()) < 60
    assert original == sample("customer.subscription.updated")


def test_kept_ids_make_a_repeated_delivery() -> None:
    original = draft.read("invoice.paid", SOURCE)
    assert draft.copies(original, 1, [], keep_ids=True)[0]["detail"] == original["detail"]


@pytest.mark.parametrize(
    ("change", "path", "value"),
    [
        ("data.object.amount=1200", ("data", "object", "amount"), 1200),
        ("data.object.currency=eur", ("data", "object", "currency"), "eur"),
        ("data.object.metadata.order=x=1", ("data", "object", "metadata", "order"), "x=1"),
        ("data.object.metadata=null", ("data", "object", "metadata"), None),
        (
            "data.object.payment_method_types.0=sepa_debit",
            ("data", "object", "payment_method_types"),
            ["sepa_debit"],
        ),
    ],
)
def test_field_is_changed(change: str, path: tuple[str, ...], value: object) -> None:
    (made,) = draft.copies(draft.read("payment_intent.succeeded", SOURCE), 1, [change], keep_ids=True)
    found = made["detail"]
    for name in path:
        found = found[name]
    assert found == value


def test_changed_type_changes_the_envelope() -> None:
    (made,) = draft.copies(draft.read("invoice.paid", SOURCE), 1, ["type=invoice.voided"], keep_ids=False)
    assert made["detail-type"] == made["detail"]["type"] == "invoice.voided"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("amount", "expected a path and a value, such as data.object.amount=1200"),
        ("data.objects.amount=1", "the event has no objects there; did you mean object?"),
        ("data.object.amount.x=1", "x is in no object and no list"),
        ("data.object.payment_method_types.9=x", "9 is in no object and no list"),
        ("data.object.amount=NaN", "the changed event: this is not an event: it has a number that JSON"),
        ("data.object.amount=1e999", "a number that JSON can't hold, such as NaN or 1e999"),
        ("data.object.metadata.x=" + "[" * 150 + "]" * 150, "the changed event is nested more than 100 deep"),
        ("id=7", "detail.id is missing or not a string"),
    ],
)
def test_change_that_leads_nowhere_or_leaves_no_event_is_refused(change: str, message: str) -> None:
    with pytest.raises(OperatorError) as refused:
        draft.copies(draft.read("payment_intent.succeeded", SOURCE), 1, [change], keep_ids=False)
    assert message in str(refused.value)
    assert refused.value.usage


def test_file_may_hold_an_envelope_or_an_event(tmp_path: Path) -> None:
    envelope = sample("invoice.paid")
    for name, document in (("envelope.json", envelope), ("event.json", envelope["detail"])):
        file = tmp_path / name
        file.write_text(json.dumps(document))
        assert draft.read(str(file), SOURCE)["detail"] == envelope["detail"]
    assert draft.read(str(tmp_path / "event.json"), SOURCE)["source"] == SOURCE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not valid JSON: correct it"),
        ('{"id": ' + "[" * 900 + "]" * 900 + "}", "is nested more than 100 deep: send less"),
        ('{"id": "x"}', "detail is missing"),
        ("[]", "not a JSON object"),
        (
            '{"object": "event", "id": "evt_1", "type": "a.b", "created": NaN}',
            "a number that JSON can't hold",
        ),
    ],
)
def test_file_without_an_event_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "event.json"
    file.write_text(text)
    with pytest.raises(OperatorError, match=message):
        draft.read(str(file), SOURCE)


def test_an_event_that_nothing_can_follow_is_sent_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.delenv("STRIPE_API_URL", raising=False)
    sent: list[Any] = []
    monkeypatch.setattr(drive, "send", lambda _aws, _bus, envelopes: sent.extend(envelopes))
    environment = cast(Any, SimpleNamespace(name="dev", bus=SOURCE))
    made = draft.copies(draft.read("invoice.paid", SOURCE), 1, ["id=a b"], keep_ids=False)
    with pytest.raises(
        OperatorError, match=r"sent, but 'a b' is not an event id.*`huntaze-stripe dlq list --env dev`"
    ):
        sending.send(environment, made)
    assert sent == made


def test_unknown_type_names_the_nearest_one() -> None:
    with pytest.raises(OperatorError, match=r"did you mean invoice\.paid\?"):
        draft.read("invoice.payed", SOURCE)
    with pytest.raises(OperatorError, match=r"name a file, or one of charge\.failed, "):
        draft.read("nothing", SOURCE)
