"""The orders of the phases: the same for the same seed, each accepted by the server that gets it."""

from __future__ import annotations

import pytest

from ops.chaos import dialects
from ops.chaos.faults import EACH_CALL_IN_DOUBT, Failure, Order, seeded
from ops.chaos.phases import PHASES
from ops.emulator.faults import fault_from_json as aws_fault
from ops.reference.server.faults import fault_from_json as api_fault

FAILURES = [failure for phase in PHASES for failure in phase.failures]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.name)
def test_every_order_is_accepted_and_carries_the_seed(failure: Failure) -> None:
    for order in failure.orders:
        if failure.at == "api":
            assert api_fault(seeded(order, 7)).seed == 7
        else:
            assert aws_fault(seeded(order, 7)).seed == 7
        assert seeded(order, 7) == seeded(order, 7)


@pytest.mark.parametrize("order", dialects.FAILURES.values(), ids=list(dialects.FAILURES))
def test_every_order_of_the_dialects_is_accepted(order: Order) -> None:
    assert api_fault(seeded(order, 7)).seed == 7


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.name)
def test_every_failure_has_an_order_that_strikes_for_certain(failure: Failure) -> None:
    assert any("probability" not in order and order.get("times", 1) >= 1 for order in failure.orders)


def test_calls_in_doubt_are_those_of_events_alone() -> None:
    for order in EACH_CALL_IN_DOUBT:
        fault = api_fault(order)
        assert (fault.status, fault.path) == (503, None)
        # The API's base URL is asked without a type, and answers.
        assert fault.event_type


def test_every_phase_that_must_be_healed_comes_after_a_time_for_healing() -> None:
    healed = [phase.name for phase in PHASES if phase.healed]
    assert healed == ["calm", "codes", "codeless", "doubt", "outage", "restarted"]
    assert PHASES[-1].cold
