"""A customer's history leads to the same state in any order and with any repeats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.pipeline.routing_table import ROUTES
from functions.shared import names
from ops.reference.huntaze import ReferenceApi
from tests.functions.conftest import fresh
from tests.functions.function import Function
from tests.functions.helpers import CREATED, second_event
from tests.unit import snapshots as stripe

Envelope = dict[str, Any]
STATES = 3
EXAMPLES = 25


def history() -> list[Envelope]:
    """A customer's whole history, oldest event first, with objects of its own."""
    customer = fresh("customer.created", stripe.customer(name="state 0"))
    subscription = fresh("customer.subscription.created", stripe.subscription(stripe.CURRENT))
    invoice = fresh("invoice.paid", stripe.invoice(stripe.CURRENT))
    intent = fresh("payment_intent.succeeded", stripe.payment_intent())
    failed = [another(invoice, "invoice.payment_failed", attempt_count=count) for count in (1, 2)]
    named = [another(customer, "customer.updated", name=f"state {n}") for n in range(1, STATES + 1)]
    changed = [
        another(subscription, "customer.subscription.updated", status=status)
        for status in ("active", "past_due", "active")
    ]
    ended = another(subscription, "customer.subscription.deleted", canceled_at=CREATED)
    in_order = [customer, subscription, *failed, invoice, intent, *named, *changed, ended]
    for age, envelope in enumerate(in_order):
        envelope["detail"]["created"] = CREATED + age
    return in_order


def another(envelope: Envelope, event_type: str, **fields: Any) -> Envelope:
    """An event of another type about the same object, with some of its fields changed."""
    changed = envelope["detail"]["data"]["object"] | fields
    return second_event(envelope, type=event_type, data={"object": changed}) | {"detail-type": event_type}


def final_state(api: ReferenceApi, events: list[Envelope]) -> Mapping[str, Any]:
    """The final rows of an API with one row per object, by the object's place in the history.

    The news that an object was made changes nothing of what is known of it already; a state takes the place
    of the one before; and once the object is deleted, a state that comes after it would bring it back.
    """
    objects = {envelope["detail"]["data"]["object"]["id"]: place for place, envelope in enumerate(events)}
    found: dict[str, Any] = {}
    for applied in api.applied():
        if applied.object_id not in objects:
            continue
        row = str(objects[applied.object_id])
        body = {key: value for key, value in applied.body.items() if value != applied.object_id}
        if applied.event_type == "invoice.payment_failed":
            found.setdefault(f"{row} failures", []).append(body)
        elif applied.event_type.endswith(".created"):
            found.setdefault(row, body)
        else:
            found[row] = body
    return {row: sorted(body, key=repr) if isinstance(body, list) else body for row, body in found.items()}


def deliver(envelope: Envelope, payments: Function, billing: Function) -> None:
    route = ROUTES[envelope["detail"]["type"]]
    outcome = (payments if route.handler == names.PAYMENTS else billing).invoke(envelope)["outcome"]
    assert outcome in ("applied", "duplicate", "stale")


@pytest.fixture(scope="module")
def in_order(running_api: ReferenceApi, payments: Function, billing: Function) -> Mapping[Any, Any]:
    """The state after the history as it happened."""
    events = history()
    for envelope in events:
        deliver(envelope, payments, billing)
    return final_state(running_api, events)


def test_history_as_it_happened_ends_as_it_ended(in_order: Mapping[Any, Any]) -> None:
    customer, subscription, failures, *others = in_order.values()
    assert customer["name"] == f"state {STATES}"
    assert subscription["canceledAt"] == CREATED
    assert [body["attemptCount"] for body in failures] == [1, 2]
    assert len(others) == 2


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_order_with_any_repeats_ends_in_the_same_state(
    running_api: ReferenceApi,
    payments: Function,
    billing: Function,
    in_order: Mapping[Any, Any],
    data: st.DataObject,
) -> None:
    events = history()
    repeated = data.draw(st.lists(st.sampled_from(range(len(events))), max_size=6), label="delivered again")
    repeated = data.draw(
        st.lists(st.sampled_from([n for n, event in enumerate(events) if is_once(event)]), max_size=4),
        label="reported by a second event",
    )
    deliveries = [
        *events,
        *(events[n] | {"id": f"again-{place}"} for place, n in enumerate(repeated)),
        *(second_event(events[n]) for n in repeated),
    ]
    for n in data.draw(st.permutations(range(len(deliveries))), label="order"):
        deliver(deliveries[n], payments, billing)
    assert final_state(running_api, events) == in_order


def is_once(envelope: Envelope) -> bool:
    return ROUTES[envelope["detail"]["type"]].repeat == "once"
