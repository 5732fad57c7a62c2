"""Valid envelopes of Stripe events, and the field that an invalid one is refused for."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.pipeline.envelope import THIN_API_VERSION, StripeEvent, parse
from functions.shared.errors import InvalidEventError, LivemodeMismatchError
from tests.unit import snapshots as stripe
from tests.unit.snapshots import JSON

DELETED = object()
EVENT_FIELDS = (
    "id",
    "type",
    "object",
    "created",
    "api_version",
    "livemode",
    "account",
    "data",
    "data/object",
)
LEAVES = ("source", "detail-type", "detail", *(f"detail/{name}" for name in EVENT_FIELDS))


def envelope() -> dict[str, Any]:
    return stripe.envelope("invoice.paid", stripe.invoice(stripe.CURRENT))


def with_fault(path: str, value: Any) -> dict[str, Any]:
    """An envelope in which one field is replaced, or deleted."""
    changed = envelope()
    *parents, key = path.split("/")
    parent = changed
    for name in parents:
        parent = parent[name]
    if value is DELETED:
        del parent[key]
    else:
        parent[key] = value
    return changed


def thin_with(**detail: Any) -> dict[str, Any]:
    """The thin twin of `envelope()`, with other fields."""
    return stripe.thin(envelope(), **detail)


def test_envelope_becomes_an_event() -> None:
    assert parse(envelope(), livemode=False) == StripeEvent(
        id="evt_unit_1",
        type="invoice.paid",
        api_version=stripe.CURRENT,
        created=1_775_037_600,
        account=None,
        object=stripe.invoice(stripe.CURRENT),
    )


def test_connect_event_keeps_its_account() -> None:
    event = parse(with_fault("detail/account", "acct_1"), livemode=False)
    assert event.account == "acct_1"


def test_resources_and_times_of_the_envelope_are_not_needed() -> None:
    sparse = {key: envelope()[key] for key in ("detail-type", "source", "detail")}
    assert parse(sparse, livemode=False).id == "evt_unit_1"


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("source", DELETED, "source"),
        ("source", 7, "source"),
        ("source", "aws.events", "source"),
        ("detail-type", DELETED, "detail-type"),
        ("detail-type", "invoice.payment_failed", "detail-type"),
        ("detail", DELETED, "detail"),
        ("detail", None, "detail"),
        ("detail", "{}", "detail"),
        ("detail", [], "detail"),
        ("detail/object", DELETED, "detail.object"),
        ("detail/object", "v2.core.events", "detail.object"),
        ("detail/object", "invoice", "detail.object"),
        ("detail/id", DELETED, "detail.id"),
        ("detail/id", "", "detail.id"),
        ("detail/id", 12, "detail.id"),
        ("detail/id", "evt_1\r\nX-Injected: 1", "detail.id"),
        ("detail/id", "evt_" + "1" * 300, "detail.id"),
        ("detail/type", DELETED, "detail.type"),
        ("detail/type", None, "detail.type"),
        ("detail/type", ["invoice.paid"], "detail.type"),
        ("detail/type", "invoice paid", "detail.type"),
        ("detail/api_version", DELETED, "detail.api_version"),
        ("detail/api_version", None, "detail.api_version"),
        ("detail/api_version", "2025\n", "detail.api_version"),
        ("detail/created", DELETED, "detail.created"),
        ("detail/created", True, "detail.created"),
        ("detail/created", "1775037600", "detail.created"),
        ("detail/created", 1775037600.0, "detail.created"),
        ("detail/created", -1, "detail.created"),
        ("detail/created", 2**63, "detail.created"),
        ("detail/livemode", DELETED, "detail.livemode"),
        ("detail/livemode", 0, "detail.livemode"),
        ("detail/livemode", "false", "detail.livemode"),
        ("detail/account", 5, "detail.account"),
        ("detail/data", DELETED, "detail.data"),
        ("detail/data", [], "detail.data"),
        ("detail/data/object", DELETED, "detail.data.object"),
        ("detail/data/object", "in_1", "detail.data.object"),
    ],
)
def test_fault_is_named_by_its_field(path: str, value: Any, field: str) -> None:
    with pytest.raises(InvalidEventError) as caught:
        parse(with_fault(path, value), livemode=False)
    assert caught.value.field == field
    assert str(caught.value).startswith(field)


@pytest.mark.parametrize("value", [None, [], "{}", 7, True])
def test_what_is_not_an_object_is_not_an_envelope(value: Any) -> None:
    with pytest.raises(InvalidEventError, match="the envelope must be a JSON object"):
        parse(value, livemode=False)


@pytest.mark.parametrize("path", LEAVES)
def test_error_never_contains_the_value(path: str) -> None:
    with pytest.raises(InvalidEventError) as caught:
        parse(with_fault(path, "ada@example.com"), livemode=False)
    assert "ada@example.com" not in str(caught.value)


def test_thin_event_has_the_identity_of_its_snapshot_event() -> None:
    snapshot = stripe.envelope("customer.updated", stripe.customer(), account="acct_1")
    event, twin = (parse(each, livemode=False) for each in (snapshot, stripe.thin(snapshot)))
    for name in ("id", "type", "created", "account"):
        assert getattr(twin, name) == getattr(event, name)
    assert (twin.thin_id, twin.object) == ("evt_unit_1_thin", {"id": "cus_1", "object": "customer"})
    assert (twin.is_reference, event.is_reference, event.thin_id) == (True, False, None)


def test_thin_event_without_a_snapshot_event_keeps_its_own_id() -> None:
    alone = thin_with(snapshot_event=None)
    assert parse(alone, livemode=False).id == "evt_unit_1_thin"


def test_thin_event_of_an_organization_is_of_the_last_account_of_its_context() -> None:
    assert parse(thin_with(context="org_1/acct_2"), livemode=False).account == "acct_2"


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("type", "v2.core.account.updated", "detail.type"),
        ("type", "customer.created", "detail.type"),
        ("id", "evt 1", "detail.id"),
        ("snapshot_event", "evt 1", "detail.snapshot_event"),
        ("snapshot_event", 7, "detail.snapshot_event"),
        ("created", 1_775_037_600, "detail.created"),
        ("created", "2026-04-01", "detail.created"),
        ("created", "yesterday", "detail.created"),
        ("context", "org_1/", "detail.context"),
        ("context", 7, "detail.context"),
        ("livemode", "false", "detail.livemode"),
        ("related_object", None, "detail.related_object"),
        ("related_object", {"type": "customer"}, "detail.related_object.id"),
        ("related_object", {"id": "cus/1", "type": "customer"}, "detail.related_object.id"),
        ("related_object", {"id": "cus_1"}, "detail.related_object.type"),
    ],
)
def test_fault_of_a_thin_event_is_named_by_its_field(name: str, value: Any, field: str) -> None:
    faulty = thin_with(**{name: value})
    faulty["detail-type"] = faulty["detail"]["type"]
    with pytest.raises(InvalidEventError) as caught:
        parse(faulty, livemode=False)
    assert caught.value.field == field


def test_objects_of_thin_events_are_fetched_in_a_version_that_the_mapping_is_tested_with() -> None:
    assert THIN_API_VERSION == stripe.CURRENT


@pytest.mark.parametrize("livemode", [True, False])
def test_events_of_the_other_mode_are_refused(livemode: bool) -> None:
    other = with_fault("detail/livemode", not livemode)
    with pytest.raises(LivemodeMismatchError, match=f"must be {str(livemode).lower()} in this environment"):
        parse(other, livemode=livemode)
    assert parse(with_fault("detail/livemode", livemode), livemode=livemode).id == "evt_unit_1"


def test_event_does_not_show_its_object() -> None:
    event = parse(stripe.envelope("customer.created", stripe.customer()), livemode=False)
    assert "ada@example.com" not in repr(event)


@given(JSON)
def test_any_json_is_an_event_or_an_invalid_event(value: Any) -> None:
    with pytest.raises(InvalidEventError):
        parse(value, livemode=False)


@given(st.sampled_from(LEAVES), JSON)
def test_any_value_in_any_field_is_an_event_or_an_invalid_event(path: str, value: Any) -> None:
    changed = with_fault(path, copy.deepcopy(value))
    try:
        event = parse(changed, livemode=False)
    except InvalidEventError:
        return
    assert event.id.isascii()
    assert event.id.isprintable()
    assert type(event.created) is int
