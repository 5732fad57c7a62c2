"""Properties of the accessors: each value has a documented type, or the error names the field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.pipeline.objects import ROOT, boolean, integer, metadata, own_id, reference, text
from functions.pipeline.routing_table import ROUTES
from functions.shared.errors import InvalidEventError
from tests.unit import snapshots as stripe
from tests.unit.snapshots import JSON, SCALARS

# Objects whose keys are those that the accessors look for, holding anything.
KEYS = st.sampled_from(
    ["id", "amount", "customer", "metadata", "items", "data", "price", "parent", "mode", "subscription",
     "subscription_details", "last_payment_error", "outcome", "code", "currency", "status"]
)  # fmt: skip
OBJECTS = st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON, max_size=4), max_size=8)


@given(OBJECTS, st.sampled_from(list(ROUTES)), st.sampled_from(["subscription", "payment", "setup", None]))
def test_any_object_becomes_a_request_of_documented_types_or_is_refused_by_name(
    stripe_object: dict[str, Any], event_type: str, mode: str | None
) -> None:
    if mode:
        stripe_object = {**stripe_object, "mode": mode}
    try:
        request = ROUTES[event_type].request(stripe_object)
    except InvalidEventError:
        return
    if request is None:
        return
    for key, value in request.body.items():
        if key == "metadata":
            assert value is None or all(isinstance(entry, str) for entry in value.values())
        elif key == "failureReason":
            assert all(entry is None or isinstance(entry, str) for entry in value.values())
        elif key.startswith(("amount", "current", "period", "attempt", "next", "canceledAt", "trial")):
            assert value is None or type(value) is int
        elif key == "cancelAtPeriodEnd":
            assert value is None or type(value) is bool
        else:
            assert value is None or isinstance(value, str)
    json.dumps(dict(request.body), allow_nan=False)


@given(JSON)
def test_reference_reads_an_id_or_an_expanded_object_alike(value: Any) -> None:
    def outcome(customer: Any) -> Any:
        try:
            return reference("customer")({"customer": customer})
        except InvalidEventError:
            return InvalidEventError

    if isinstance(value, str) and value:
        assert outcome(value) == outcome({"id": value, "object": "customer"}) == value
    elif value is None:
        assert outcome(value) is None
    elif not isinstance(value, dict):
        assert outcome(value) is InvalidEventError


@given(st.integers(-(2**63), 2**63 - 1), st.text(), st.booleans())
def test_values_of_the_right_type_come_out_unchanged(number: int, string: str, truth: bool) -> None:
    stripe_object = {"a": {"n": number, "s": string, "b": truth}}
    assert integer("a.n")(stripe_object) == number
    assert text("a.s")(stripe_object) == string
    assert boolean("a.b")(stripe_object) is truth


@pytest.mark.parametrize(
    ("accessor", "accepted"),
    [(text("v"), str), (integer("v"), int), (boolean("v"), bool), (reference("v"), str)],
)
@given(value=SCALARS)
def test_scalars_of_another_type_are_refused(accessor: Any, accepted: type, value: Any) -> None:
    if value is None:
        assert accessor({"v": value}) is None
    elif type(value) is not accepted:
        with pytest.raises(InvalidEventError):
            accessor({"v": value})


def test_the_first_path_that_is_not_null_counts() -> None:
    read = integer("old", "list.0.new")
    assert read({"old": 1, "list": [{"new": 2}]}) == 1
    assert read({"old": None, "list": [{"new": 2}]}) == 2
    assert read({"list": []}) is None
    assert read({}) is None
    assert integer("old")({"old": 0}) == 0, "zero is a value"


def test_metadata_keeps_its_strings() -> None:
    assert metadata({"metadata": {"clé": "väl\ud83d\ude00", "empty": ""}}) == {
        "clé": "väl\ud83d\ude00",
        "empty": "",
    }
    assert metadata({"metadata": {}}) == {}


def test_error_names_the_field_and_not_its_value() -> None:
    with pytest.raises(InvalidEventError) as caught:
        own_id(stripe.customer(id={"email": "ada@example.com"}))
    assert "ada@example.com" not in str(caught.value)
    assert caught.value.field == f"{ROOT}.id.id"
