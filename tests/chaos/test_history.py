"""The histories that the chaos suite sends: by seed, with their share of repetitions, in any order."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from functions.pipeline.routing_table import ROUTES
from ops.chaos.expectations import KINDS
from ops.chaos.history import Sending, plan, two_states_each, unstorable
from ops.local.envelopes import GENERATIONS, SAMPLES


def texts(slices: list[list[Sending]]) -> list[str]:
    return [json.dumps(sending.detail) for one in slices for sending in one]


def test_the_same_seed_gives_the_same_deliveries() -> None:
    assert texts(plan(7, [40, 30])) == texts(plan(7, [40, 30]))


def test_another_seed_gives_other_events() -> None:
    ids = [{sending.event.id for sending in plan(seed, [40])[0]} for seed in (1, 2)]
    assert not ids[0] & ids[1]


def test_a_slice_has_exactly_as_many_deliveries_as_asked_for() -> None:
    assert [len(one) for one in plan(1, [1, 2, 15, 333])] == [1, 2, 15, 333]


def test_a_fifth_are_repeated_deliveries_and_a_tenth_are_second_events() -> None:
    (sendings,) = plan(1, [1000])
    events = {sending.event.id: sending.event for sending in sendings}
    assert len(sendings) - len(events) == 200
    effects = Counter(event.effect for event in events.values() if event.kind.repeat == "once")
    assert sum(count - 1 for count in effects.values()) == 100


def test_the_order_of_a_customers_events_is_shuffled() -> None:
    (sendings,) = plan(1, [300])
    created = [sending.event.created for sending in sendings if sending.event.type == "customer.updated"]
    assert created != sorted(created)


def test_some_deliveries_repeat_events_of_the_slice_before() -> None:
    first, second = plan(1, [40, 40])
    assert {one.event.id for one in first} & {one.event.id for one in second}


@pytest.mark.parametrize("count", [10, 14, 200])
def test_customers_with_two_states_have_the_older_ones_first(count: int) -> None:
    sendings = two_states_each(3, plan(3, [count])[0])
    assert len(sendings) == count
    customers = count // 3
    older, newer = sendings[:customers], sendings[-customers:]
    assert [one.event.object_id for one in older] == [one.event.object_id for one in newer]
    assert all(one.event.created < two.event.created for one, two in zip(older, newer, strict=True))
    assert len({one.event.object_id for one in older}) == customers
    assert {one.event.type for one in older + newer} == {"customer.updated"}


@pytest.mark.parametrize("count", [10, 200])
def test_each_slice_has_events_that_must_be_parked(count: int) -> None:
    for one in plan(3, [count, count]):
        errors = {sending.event.refusal.error for sending in one if sending.event.refusal}
        assert "PermanentError" in errors
        assert errors & {"InvalidEventError", "LivemodeMismatchError"}


def test_every_shipped_sample_has_its_facts() -> None:
    names = {path.stem for generation in GENERATIONS for path in (SAMPLES / generation).glob("*.json")}
    assert names == set(KINDS)


def test_the_facts_and_the_routing_table_agree() -> None:
    for name, kind in KINDS.items():
        route = ROUTES.get(name.partition("--")[0])
        assert (route and route.handler) == kind.handler, name
        assert route is None or route.repeat == kind.repeat, name


def test_the_unstorable_event_holds_a_nul_character() -> None:
    sending = unstorable(1)
    assert "\\u0000" in json.dumps(sending.detail)
    assert not sending.event.storable
