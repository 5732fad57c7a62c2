"""The faults of the phases: the same for the same seed, each accepted by the server that gets it."""

from __future__ import annotations

import pytest

from ops.chaos import dialects
from ops.chaos.faults import EACH_CALL_IN_DOUBT, Failure, FaultSpec, with_seed
from ops.chaos.phases import PHASES
from ops.emulator.faults import fault_from_json as aws_fault
from ops.reference.server.faults import fault_from_json as api_fault

FAILURES = [failure for phase in PHASES for failure in phase.failures]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.name)
def test_every_fault_is_accepted_and_carries_the_seed(failure: Failure) -> None:
    for fault in failure.faults:
        if failure.target == "api":
            assert api_fault(with_seed(fault, 7)).seed == 7
        else:
            assert aws_fault(with_seed(fault, 7)).seed == 7
        assert with_seed(fault, 7) == with_seed(fault, 7)


@pytest.mark.parametrize("fault", dialects.FAILURES.values(), ids=list(dialects.FAILURES))
def test_every_fault_of_the_dialects_is_accepted(fault: FaultSpec) -> None:
    assert api_fault(with_seed(fault, 7)).seed == 7


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.name)
def test_every_failure_has_a_fault_that_strikes_for_certain(failure: Failure) -> None:
    assert any("probability" not in fault and fault.get("times", 1) >= 1 for fault in failure.faults)


def test_calls_in_doubt_are_those_of_events_alone() -> None:
    for spec in EACH_CALL_IN_DOUBT:
        fault = api_fault(spec)
        assert (fault.status, fault.path) == (503, None)
        # A probe of the API's base URL has no event type, and is answered.
        assert fault.event_type


def test_the_phases_after_which_everything_must_be_healed() -> None:
    healed = [phase.name for phase in PHASES if phase.healed]
    assert healed == ["calm", "codes", "codeless", "doubt", "outage", "restarted"]
    assert PHASES[-1].cold
