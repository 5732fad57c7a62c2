"""The histories that the chaos suite sends: by seed, shuffled, with a fixed share of repetitions."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from functions.pipeline.routing_table import ROUTES
from ops.chaos.expectations import EXPECTED
from ops.chaos.history import PlannedDelivery, plan, two_states_each, unstorable
from ops.errors import OperatorError
from ops.local.envelopes import GENERATIONS, SAMPLES


def texts(slices: list[list[PlannedDelivery]]) -> list[str]:
    return [json.dumps(delivery.detail) for one in slices for delivery in one]


def test_the_same_seed_gives_the_same_deliveries() -> None:
    assert texts(plan(7, [40, 30])) == texts(plan(7, [40, 30]))


def test_another_seed_gives_other_events() -> None:
    ids = [{delivery.event.id for delivery in plan(seed, [40])[0]} for seed in (1, 2)]
    assert not ids[0] & ids[1]


def test_a_slice_has_exactly_as_many_deliveries_as_asked_for() -> None:
    assert [len(one) for one in plan(1, [1, 2, 15, 333])] == [1, 2, 15, 333]


def test_a_fifth_are_repeated_deliveries_and_a_tenth_are_second_events() -> None:
    (deliveries,) = plan(1, [1000])
    events = {delivery.event.id: delivery.event for delivery in deliveries}
    assert len(deliveries) - len(events) == 200
    effects = Counter(event.effect for event in events.values() if event.expected.repeat == "once")
    assert sum(count - 1 for count in effects.values()) == 100


def test_the_order_of_a_customers_events_is_shuffled() -> None:
    (deliveries,) = plan(1, [300])
    created = [delivery.event.created for delivery in deliveries if delivery.event.type == "customer.updated"]
    assert created != sorted(created)


def test_some_deliveries_repeat_events_of_the_slice_before() -> None:
    first, second = plan(1, [40, 40])
    assert {one.event.id for one in first} & {one.event.id for one in second}


@pytest.mark.parametrize("count", [10, 14, 200])
def test_customers_with_two_states_have_the_older_ones_first(count: int) -> None:
    deliveries = two_states_each(3, plan(3, [count])[0])
    assert len(deliveries) == count
    customers = count // 3
    older, newer = deliveries[:customers], deliveries[-customers:]
    assert [one.event.object_id for one in older] == [one.event.object_id for one in newer]
    assert all(one.event.created < two.event.created for one, two in zip(older, newer, strict=True))
    assert len({one.event.object_id for one in older}) == customers
    assert {one.event.type for one in older + newer} == {"customer.updated"}


@pytest.mark.parametrize("count", [10, 200])
def test_each_slice_has_events_that_must_be_parked(count: int) -> None:
    for one in plan(3, [count, count]):
        errors = {delivery.event.refusal.error for delivery in one if delivery.event.refusal}
        assert "PermanentError" in errors
        assert errors & {"InvalidEventError", "LivemodeMismatchError"}


def test_every_shipped_sample_has_an_expectation() -> None:
    names = {path.stem for generation in GENERATIONS for path in (SAMPLES / generation).glob("*.json")}
    assert names == set(EXPECTED)


def test_the_expectations_and_the_routing_table_agree() -> None:
    for name, kind in EXPECTED.items():
        route = ROUTES.get(name.partition("--")[0])
        assert (route and route.handler) == kind.handler, name
        assert route is None or route.repeat == kind.repeat, name


def test_the_unstorable_event_holds_a_nul_character() -> None:
    delivery = unstorable(1)
    assert "\\u0000" in json.dumps(delivery.detail)
    assert not delivery.event.storable


def test_a_sample_without_an_expectation_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(EXPECTED, "payout.paid")
    with pytest.raises(OperatorError) as failed:
        plan(1, [40])
    assert str(failed.value) == (
        "no expectation for the sample 'payout.paid': add a row to WRITTEN in ops/chaos/expectations.py, or "
        "route its type"
    )
