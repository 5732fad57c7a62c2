"""Which events concern a customer, and that nothing personal is left of an erased one."""

from __future__ import annotations

import copy
import importlib
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stripe._object_classes import OBJECT_CLASSES

from functions.ledger import records
from ops.customer.erased import erased_event
from ops.customer.items import keys_of
from ops.customer.search import CUSTOMERS, OWNED, Search, about
from ops.dlq.mask import _NUMBERS, _STRINGS, FREE
from ops.local.envelopes import SAMPLES
from tests.unit import snapshots

AT = "2026-11-29T06:00:00Z"
SHIPPED = sorted(SAMPLES.rglob("*.json"))
# What Stripe's API reference calls the values that identify a person, in any of its objects.
PERSONAL = (
    *("email", "name", "phone", "line1", "line2", "city", "postal_code", "state", "country", "description"),
    *(
        "last4",
        "fingerprint",
        "exp_month",
        "exp_year",
        "brand",
        "receipt_email",
        "receipt_number",
        "receipt_url",
    ),
    *(
        "ip",
        "ip_address",
        "client_secret",
        "number",
        "statement_descriptor",
        "hosted_invoice_url",
        "invoice_pdf",
    ),
    *("customer_email", "customer_name", "customer_phone", "value", "url", "client_reference_id", "comment"),
    *("seller_message", "failure_message", "message", "code", "success_url", "token", "iban", "day", "year"),
)
VALUES = st.one_of(
    st.emails(),
    st.from_regex(r"[A-Z][a-z]{2,12} [A-Z][a-z]{2,12}", fullmatch=True),
    st.from_regex(r"[a-z]{3,12}", fullmatch=True),
    st.from_regex(r"\+\d{11}", fullmatch=True),
    st.integers(1000, 9999),
)


def envelope(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def objects(value: Any, free: bool = False) -> Iterator[tuple[dict[str, Any], bool]]:
    """Every JSON object below a value, and whether merchants write its keys."""
    if isinstance(value, dict):
        yield value, free
        for key, below in value.items():
            yield from objects(below, free or key in FREE)
    elif isinstance(value, list):
        for below in value:
            yield from objects(below, free)


def leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, below in value.items():
            yield from leaves(below, name)
    elif isinstance(value, list):
        for below in value:
            yield from leaves(below, key)
    else:
        yield key, value


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.name}")
@settings(max_examples=25)
@given(data=st.data())
def test_no_personal_value_of_a_sample_is_left(path: Path, data: st.DataObject) -> None:
    event = envelope(path)["detail"]
    places = list(objects(event["data"]))
    planted = {}
    for number in range(data.draw(st.integers(1, 4))):
        place, free = data.draw(st.sampled_from(places))
        # Each value is in the event once, so that one that is left is found.
        value = data.draw(VALUES)
        value = value + 10_000_000 * (number + 1) if isinstance(value, int) else f"{value}{number}"
        key = data.draw(
            st.sampled_from(PERSONAL) if not free else st.sampled_from([*PERSONAL, "status", "id"])
        )
        place[key] = value
        planted[key] = value
    written = {value for _, value in leaves(event["data"])}
    left = {value for _, value in leaves(erased_event(event, "cus_none", AT))}
    # A second value under the same key of the same object replaced the first one.
    assert not {value for value in planted.values() if value in written} & left


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_is_left_of_a_sample_is_on_the_list(path: Path) -> None:
    event = envelope(path)["detail"]
    left = erased_event(event, "cus_none", AT)
    assert {key: left[key] for key in ("id", "type", "created", "livemode", "api_version")} == {
        key: event[key] for key in ("id", "type", "created", "livemode", "api_version")
    }
    for key, value in leaves(left["data"]):
        if isinstance(value, str):
            assert key in _STRINGS, key
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            assert _NUMBERS.fullmatch(key), key
    assert '"metadata": {"' not in json.dumps(left)
    assert left["data"]["object"].keys() == event["data"]["object"].keys()


@given(
    st.dictionaries(
        st.sampled_from(["customer", "email", "metadata", "id", "created", "a b"]), snapshots.JSON
    )
)
def test_an_event_that_is_erased_again_does_not_change(stripe_object: dict[str, Any]) -> None:
    event = snapshots.envelope("customer.updated", stripe_object)["detail"]
    once = erased_event(event, "cus_1", AT)
    assert erased_event(once, "cus_1", "2027-01-01T00:00:00Z") == once


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_an_erased_event_concerns_the_same_people(path: Path) -> None:
    event = envelope(path)["detail"]
    assert about(erased_event(event, "cus_none", AT)) == about(event)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_an_erased_event_is_a_record_of_the_ledger_with_the_same_columns(path: Path) -> None:
    whole = envelope(path)

    def record(detail: dict[str, Any]) -> records.LedgerRecord:
        body = json.dumps(whole | {"detail": detail})
        return records.parse(
            {"messageId": "m", "body": body, "attributes": {"SentTimestamp": "1775037600000"}}
        )

    before, after = record(whole["detail"]), record(erased_event(whole["detail"], "cus_none", AT))
    columns = ("delivery_id", "event_id", "event_type", "api_version", "object_id", "customer_id")
    assert [getattr(after, name) for name in columns] == [getattr(before, name) for name in columns]


def test_a_customer_with_an_id_of_any_form_keeps_it() -> None:
    event = snapshots.envelope(
        "customer.updated", {"id": "user-77", "object": "customer", "name": "user-77 x"}
    )
    left = erased_event(event["detail"], "user-77", AT)
    assert left["data"]["object"] == {"id": "user-77", "object": "customer", "name": None}


# Of the objects of Stripe's events, as the examples of Stripe's API reference show them.
PREFIXES = """
    acct alrt ba card cbtxn ccsbtxn ch climorder clock cn credgr credrev cs_live cs_test cus debrev di dp
    fa fca fcauth feat fee file fr frr iauth ibt ic ich idp ii in inpay ipcd ipi issfr li mandate mtr obp
    obt person pi plink pm po price promo prv py pyr qt rc rd re seti si sqr src srctxn sub sub_sched tmr
    tr tu txi txr vr vs
"""


@pytest.mark.parametrize("prefix", PREFIXES.split())
def test_the_id_of_an_events_object_stays(prefix: str) -> None:
    stripe_object = {"id": f"{prefix}_1MtwBwLkdIwHu7ix28a3tqPa", "name": "Jenny Rosen"}
    left = erased_event(event(stripe_object), "cus_1", AT)
    assert left["data"]["object"] == stripe_object | {"name": None}


@pytest.mark.parametrize("secret", ["sk_live_1MtwBwLkdIwHu7", "tok_1MtwBwLkdIwHu7", "pi_1Mtw_secret_X1"])
def test_a_secret_goes(secret: str) -> None:
    assert erased_event(event({"id": secret}), "cus_1", AT)["data"]["object"] == {"id": None}


def charge(**fields: Any) -> dict[str, Any]:
    return {"object": "charge", "customer": "cus_1", "id": "ch_1", "payment_intent": "pi_1", **fields}


def event(stripe_object: dict[str, Any], **data: Any) -> dict[str, Any]:
    detail: dict[str, Any] = snapshots.envelope("charge.updated", stripe_object)["detail"]
    detail["data"] |= data
    return detail


@pytest.mark.parametrize(
    "each",
    [
        event(charge()),
        event(charge(customer={"id": "cus_1", "object": "customer", "email": "a@example.com"})),
        event({"id": "cus_1", "object": "customer"}),
        event({"id": "cus_1", "object": "customer", "deleted": True}),
        event(
            {"id": "pm_1", "object": "payment_method", "customer": None},
            previous_attributes={"customer": "cus_1"},
        ),
        event({"id": "fca_1", "object": "account", "account_holder": {"customer": "cus_1"}}),
        event({"id": "vs_1", "object": "identity.verification_session", "related_customer": "cus_1"}),
        event({"id": "vs_1", "related_customer": {"id": "cus_1", "object": "customer"}}),
        event({"id": "in_1", "object": "invoice", "lines": {"data": [{"id": "il_1", "customer": "cus_1"}]}}),
    ],
)
def test_an_event_that_names_the_customer_concerns_them(each: dict[str, Any]) -> None:
    assert about(each).customers == {"cus_1"}


@pytest.mark.parametrize(
    "each",
    [
        event(charge(customer="cus_10")),
        event(charge(customer=None, metadata={"customer": "cus_1"})),
        event(charge(customer=None, metadata={"related_customer": "cus_1"})),
        event(charge(customer="cus_2", description="referred by cus_1")),
        event({"id": "cus_1", "object": "coupon"}),
        event({"id": "po_1", "object": "payout"}),
        {"id": "evt_1", "type": "v2.core.event", "data": None},
        {"id": "evt_1", "data": {"object": ["cus_1"]}},
    ],
)
def test_another_event_does_not(each: dict[str, Any]) -> None:
    search = Search("cus_1")
    search.add("here", about(each))
    search.settle()
    assert search.found == {}


def thin_event(object_id: str, kind: str) -> dict[str, Any]:
    related = {"id": object_id, "type": kind, "url": "/v1/…"}
    return {"id": "evt_1", "object": "v2.core.event", "type": f"v1.{kind}.updated", "related_object": related}


def test_thin_event_concerns_the_customer_that_it_names_or_whose_object_it_names() -> None:
    assert about(thin_event("cus_1", "customer")).customers == {"cus_1"}
    search = Search("cus_1")
    search.add("thin", about(thin_event("ch_1", "charge")))
    search.add("other", about(thin_event("ch_2", "charge")))
    search.add("charge", about(event(charge(customer="cus_1") | {"id": "ch_1"})))
    search.settle()
    assert set(search.found) == {"thin", "charge"}


@pytest.mark.parametrize(
    ("event_type", "stripe_object"),
    [
        ("customer.updated", snapshots.customer()),
        ("checkout.session.completed", snapshots.session("payment")),
    ],
)
def test_thin_event_has_the_items_of_its_snapshot_event(
    event_type: str, stripe_object: dict[str, Any]
) -> None:
    snapshot = snapshots.envelope(event_type, stripe_object)
    assert set(keys_of(snapshot)) <= set(keys_of(snapshots.thin(snapshot)))


def test_an_event_without_a_customer_concerns_the_one_whose_object_it_is_about() -> None:
    events = {
        # Before the charge: the order in which a ledger is read does not matter.
        "dispute": event(
            {"id": "dp_1", "object": "dispute", "charge": "ch_1", "evidence": {"customer_name": "x"}}
        ),
        "refund": event({"id": "re_1", "object": "refund", "payment_intent": "pi_1"}),
        "charge": event(charge()),
        "another's refund": event({"id": "re_2", "object": "refund", "charge": "ch_2"}),
        "another's charge": event(charge(id="ch_1", customer="cus_2")),
        # Of the refund, which is the customer's by its payment only.
        "of the refund": event({"id": "re_1", "object": "refund"}),
        "payout": event({"id": "po_1", "object": "payout"}),
    }
    search = Search("cus_1")
    for name, each in events.items():
        search.add(name, about(each))
    search.settle()
    assert set(search.found) == {"dispute", "refund", "charge", "of the refund"}
    assert search.concerns(about(events["refund"]))
    assert not search.concerns(about(events["another's charge"]))


@pytest.mark.parametrize(
    ("named", "linked"),
    [
        (
            {"id": "vs_1", "related_customer": "cus_1"},
            {"id": "vr_1", "object": "identity.verification_report", "verification_session": "vs_1"},
        ),
        ({"id": "cus_1", "object": "customer", "customer_account": "acct_1"}, {"customer_account": "acct_1"}),
        ({"customer": "cus_1", "customer_account": "acct_1"}, {"related_customer_account": "acct_1"}),
        (
            {"customer": "cus_1", "customer_account": "acct_1"},
            {"id": "fca_1", "account_holder": {"customer": None, "customer_account": "acct_1"}},
        ),
        (charge(), {"id": "tr_1", "source_transaction": "ch_1"}),
        (charge(), {"id": "re_1", "charge": {"id": "ch_1", "object": "charge"}}),
    ],
)
def test_what_belongs_to_an_object_of_the_customer_concerns_them(
    named: dict[str, Any], linked: dict[str, Any]
) -> None:
    search = Search("cus_1")
    search.add("linked", about(event(linked)))
    search.add("named", about(event(named)))
    search.settle()
    assert set(search.found) == {"named", "linked"}
    erased = [erased_event(event(each), "cus_1", AT) for each in (named, linked)]
    assert [about(each) for each in erased] == [about(event(each)) for each in (named, linked)]


# Objects that belong to one customer, by their classes in Stripe's library.
OF_ONE_CUSTOMER = {
    *("Charge", "CreditGrant", "Invoice", "PaymentIntent", "PaymentMethod", "SetupIntent"),
    *("Source", "Subscription", "VerificationSession"),
}


def test_every_reference_to_a_customer_in_stripes_library_is_known() -> None:
    keys, links = set(), set()
    for module, class_name in OBJECT_CLASSES.values():
        source = inspect.getsource(importlib.import_module(module))
        keys |= set(re.findall(r"^ +(\w*customer(?:_account)?): (?:Optional\[)?(?:str|Exp)", source, re.M))
        own = getattr(getattr(importlib.import_module(module), class_name), "__annotations__", {})
        if class_name != "Customer" and not own.keys() & {*CUSTOMERS}:
            links |= {key for key, kind in own.items() if OF_ONE_CUSTOMER & {*re.findall(r"\w+", str(kind))}}
    assert {"customer", "related_customer", "customer_account"} <= keys
    assert {"charge", "payment_method", "source_transaction"} <= links
    assert keys | links <= {*CUSTOMERS, *OWNED}
    assert {*CUSTOMERS, *(path.rpartition(".")[2] for path in OWNED)} <= _STRINGS.keys()


def test_the_search_changes_no_event() -> None:
    each = event(charge())
    before = copy.deepcopy(each)
    erased_event(each, "cus_1", AT)
    about(each)
    assert each == before
