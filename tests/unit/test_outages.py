"""After an outage, all messages are settled within the time that their number and the rate allow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from botocore.exceptions import ClientError

from functions.dead_letters.backlog import PROBES
from functions.dead_letters.circuit_breaker import FAILURES_IN_A_ROW
from functions.shared import names
from functions.shared.errors import ConfigurationError
from tests.unit.outages import ATTEMPTS, INTERVAL, RATE, World, playing

pytestmark = pytest.mark.slow
OLD, NEW = 100, 1900
HOURS = 3600.0

Play = Callable[[World], World]


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Iterator[Play]:
    with ExitStack() as stack:
        yield lambda world: stack.enter_context(playing(world, monkeypatch))


def bound(messages: int) -> float:
    """Return the time that so many messages may take, in seconds."""
    return messages / RATE + 2 * INTERVAL


def two_states_each(world: World, customers: int) -> None:
    for created, word in ((OLD, "old"), (NEW, "new")):
        for number in range(customers):
            world.fail(f"evt_{word}{number}", f"cus_{number}", created)


def is_poison(event: str, _now: float) -> bool:
    return event.startswith("evt_poison")


def attempts_used(world: World) -> int:
    return sum(attempts for attempts, _seen in world.table.item.get("failed", {}).values())


@pytest.mark.parametrize("customers", [1, 10, 30, 100, 300, 3000])
def test_outage_with_two_states_per_object_heals_in_time(play: Play, customers: int) -> None:
    world = play(World())
    two_states_each(world, customers)
    assert world.run_until(lambda: not world.left(), bound(2 * customers)) <= bound(2 * customers)
    assert attempts_used(world) == 0
    # Each newest state was applied, and no other event called the API.
    assert sorted(world.calls) == sorted(f"evt_new{number}" for number in range(customers))


def test_thirty_thousand_messages_heal_in_time(play: Play) -> None:
    world = play(World())
    for number in range(10_000):
        world.fail(f"evt_{number}", f"in_{number}", OLD, event_type="invoice.paid")
    two_states_each(world, 10_000)
    assert world.run_until(lambda: not world.left(), bound(30_000)) <= bound(30_000)
    assert attempts_used(world) == 0


def test_rate_is_kept(play: Play) -> None:
    world = play(World())
    for number in range(600):
        world.fail(f"evt_{number}", f"cus_{number}", OLD)
    began = world.clock.now
    world.run()
    assert not world.left()
    assert world.clock.now - began >= 600 / RATE - 1


@pytest.mark.parametrize("place", ["in front", "in the middle", "at the end"])
@pytest.mark.parametrize("poison", [3, 12, 100])
@pytest.mark.parametrize("healthy", [10, 50, 300])
def test_events_that_always_fail_delay_no_other(play: Play, place: str, poison: int, healthy: int) -> None:
    world = play(World(is_poison))
    front = {"in front": 0, "in the middle": healthy // 2, "at the end": healthy}[place]
    for number in range(healthy):
        if number == front:
            add_poison(world, poison)
        world.fail(f"evt_{number}", f"cus_{number}", OLD)
    if front == healthy:
        add_poison(world, poison)
    limit = bound(healthy + poison)
    assert world.run_until(lambda: world.left() == poison, limit) <= limit


@pytest.mark.parametrize(
    ("front", "back", "healthy"), [(10, 20, 100), (12, 25, 100), (30, 25, 100), (100, 100, 1000)]
)
def test_events_that_always_fail_at_both_ends_delay_no_other(
    play: Play, front: int, back: int, healthy: int
) -> None:
    world = play(World(is_poison))
    add_poison(world, front)
    for number in range(healthy):
        world.fail(f"evt_{number}", f"cus_{number}", OLD)
    add_poison(world, back, begin=front)
    limit = bound(healthy + front + back)
    assert world.run_until(lambda: world.left() == front + back, limit) <= limit


@pytest.mark.parametrize(
    ("front", "middle", "back"), [(1, 0, 0), (12, 0, 0), (0, 0, 12), (12, 12, 25), (100, 30, 100)]
)
def test_refused_events_delay_no_other(play: Play, front: int, middle: int, back: int) -> None:
    world = play(World(is_poison).refuse())
    add_poison(world, front)
    for number in range(100):
        if number == 50:
            add_poison(world, middle, begin=front)
        world.fail(f"evt_{number}", f"cus_{number}", OLD)
    add_poison(world, back, begin=front + middle)
    refused = front + middle + back
    limit = bound(100 + refused)
    assert world.run_until(lambda: world.left() == refused, limit) <= limit


@pytest.mark.parametrize("types", [1, 20])
def test_wrong_key_uses_no_attempt_and_few_calls(play: Play, types: int) -> None:
    world = play(World(lambda _event, _now: True).refuse())
    for number in range(1000):
        world.fail(f"evt_{number}", f"cus_{number}", OLD, event_type=f"customer.type{number % types}")
    for run in range(1, 4):
        world.run()
        world.clock.now += INTERVAL
        assert len(world.calls) <= run * types * (FAILURES_IN_A_ROW + PROBES)
    assert attempts_used(world) == 0
    world.fails = lambda _event, _now: False
    assert world.run_until(lambda: not world.left(), bound(1000)) <= bound(1000)
    assert attempts_used(world) == 0


def test_missing_function_stops_its_queue_at_once(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    world = play(World())
    invoke, refused = world.invoke, []

    def invoke_one(**call: Any) -> dict[str, Any]:
        if call["FunctionName"] == "payments":
            return invoke(**call)
        world.clock.sleep(0.01)
        refused.append(call)
        raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "Invoke")

    monkeypatch.setattr(world, "invoke", invoke_one)
    for number in range(100):
        world.fail(f"evt_{number}", f"cus_{number}", OLD)
        world.fail(f"evt_paid{number}", f"in_{number}", OLD, queue="payments")
    with pytest.raises(ConfigurationError):
        world.run()
    assert (world.left(), len(refused)) == (100, 1)
    assert attempts_used(world) == 0


def test_refused_event_is_left_to_an_operator(play: Play) -> None:
    world = play(World(is_poison).refuse())
    add_poison(world, 1)
    for run in range(ATTEMPTS):
        for number in range(3):
            world.fail(f"evt_{run}_{number}", f"cus_{run}_{number}", OLD)
        world.run()
        world.clock.now += INTERVAL
        assert world.left() == 1
    assert world.metrics[names.EVENTS_GIVEN_UP] == [0] * (ATTEMPTS - 1) + [1]


def add_poison(world: World, count: int, begin: int = 0) -> None:
    for number in range(begin, begin + count):
        world.fail(f"evt_poison{number}", f"cus_p{number}", OLD)


@pytest.mark.parametrize("poison", [12, 100])
def test_events_that_always_fail_delay_no_long_backlog(play: Play, poison: int) -> None:
    world = play(World(is_poison))
    add_poison(world, poison)
    two_states_each(world, 3000)
    limit = bound(6000 + poison)
    assert world.run_until(lambda: world.left() == poison, limit) <= limit


def test_events_that_hang_delay_no_other(play: Play) -> None:
    world = play(World(is_poison))
    world.failing_seconds = 30.0
    add_poison(world, 100)
    two_states_each(world, 1000)
    limit = bound(2100)
    assert world.run_until(lambda: world.left() == 100, limit) <= limit


def test_broken_endpoint_delays_no_other(play: Play) -> None:
    world = play(World(lambda event, _now: event.startswith("evt_invoice")))
    for number in range(5000):
        world.fail(f"evt_invoice{number}", f"in_{number}", OLD, event_type="invoice.paid")
    for number in range(300):
        world.fail(f"evt_{number}", f"cus_{number}", OLD)
    limit = bound(300)
    assert world.run_until(lambda: world.left() == 5000, limit) <= limit
    assert attempts_used(world) == 0
    world.fails = lambda _event, _now: False
    assert world.run_until(lambda: not world.left(), bound(5000)) <= bound(5000)


@pytest.mark.parametrize("customers", [1, 10, 300])
def test_long_outage_with_an_answering_base_url_uses_no_attempt(play: Play, customers: int) -> None:
    world = play(World(lambda _event, now: now < ends))
    two_states_each(world, customers)
    ends = world.clock.now + 6 * HOURS
    while world.clock.now < ends - 2 * INTERVAL:
        world.run()
        world.clock.now += INTERVAL
        assert not world.done
    assert attempts_used(world) == 0
    world.clock.now = ends
    assert world.run_until(lambda: not world.left(), bound(2 * customers)) <= bound(2 * customers)
    assert attempts_used(world) == 0


def test_single_event_that_fails_while_others_are_applied_is_left_to_an_operator(play: Play) -> None:
    world = play(World(is_poison))
    world.fail("evt_poison", "cus_poison", OLD)
    for run in range(ATTEMPTS + 1):
        assert world.calls.count("evt_poison") == run
        for number in range(3):
            world.fail(f"evt_{run}_{number}", f"cus_{run}_{number}", OLD)
        world.run()
        world.clock.now += INTERVAL
        assert world.left() == 1
    assert world.metrics[names.EVENTS_GIVEN_UP] == [0] * (ATTEMPTS - 1) + [1, 0]
    # It counts as left as long as it is in the queue.
    assert world.metrics[names.EVENTS_LEFT] == [1] * (ATTEMPTS + 1)
    world.run()
    assert world.calls.count("evt_poison") == ATTEMPTS


def test_throttled_handler_uses_no_attempt(play: Play) -> None:
    world = play(World())
    two_states_each(world, 100)
    world.throttled_until = world.clock.now + HOURS
    while world.clock.now < world.throttled_until:
        world.run()
        world.clock.now += INTERVAL
    assert world.calls == []
    assert world.run_until(lambda: not world.left(), bound(200)) <= bound(200)
    assert attempts_used(world) == 0


def test_next_runs_continue_after_a_killed_run(play: Play) -> None:
    world = play(World())
    two_states_each(world, 1000)
    world.killed_at = world.clock.now + 90
    began = world.clock.now
    world.run()
    assert 0 < len(world.done) < 2000
    world.clock.now = began + INTERVAL
    # What it held stays hidden until its time-out, during the second run.
    assert world.run_until(lambda: not world.left(), bound(2000)) <= bound(2000)
    assert attempts_used(world) == 0


def test_run_waits_for_one_that_ends_soon_and_yields_to_another(play: Play) -> None:
    world = play(World())
    two_states_each(world, 3)
    world.table.item = {"holder": "other", "lease_until": (world.clock.now + 30) * 1000}
    assert world.run()["left"] == 0
    assert not world.left()
    two_states_each(world, 3)
    world.table.item = {"holder": "other", "lease_until": (world.clock.now + 600) * 1000}
    assert world.run() == {}
    assert world.left() == 6
