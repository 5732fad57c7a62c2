"""A small run of the chaos suite on a pipeline of its own, and the options that it refuses."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from ops.chaos.phases import PHASES
from ops.chaos.report import ChaosReport
from ops.chaos.run import ChaosOptions, planned, run
from ops.errors import OperatorError

EVENTS = 200
SEED = 3


@pytest.fixture(scope="module")
def report_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("chaos") / "report.json"


@pytest.fixture(scope="module")
def report(report_path: Path) -> ChaosReport:
    return run(ChaosOptions(SEED, EVENTS, examples=0), Console(file=io.StringIO(), width=140), report_path)


@pytest.mark.timeout(900)
def test_every_promise_is_kept_whatever_fails(report: ChaosReport) -> None:
    assert [f"{one.kind} {one.subject} {one.event_type}: {one.what}" for one in report.violations] == []
    assert [phase.name for phase in report.phases] == [phase.name for phase in PHASES]


@pytest.mark.timeout(900)
def test_every_failure_struck(report: ChaosReport) -> None:
    strikes = {name: count for phase in report.phases for name, count in phase.strikes.items()}
    assert set(strikes) >= {failure.name for phase in PHASES for failure in phase.failures}
    assert strikes["deliveries in dead-letter queues"] > EVENTS / len(PHASES) / 2
    assert min(strikes.values()) > 0


@pytest.mark.timeout(900)
def test_the_report_holds_the_figures(report: ChaosReport, report_path: Path) -> None:
    written = json.loads(report_path.read_text())
    assert written == json.loads(json.dumps(report.as_json()))
    totals = written["totals"]
    assert totals["deliveries"] == EVENTS
    assert totals["in S3"] == EVENTS
    assert totals["in DLQ for now"] == 0
    # PostgreSQL can't store the event with the NUL character.
    assert totals["in PostgreSQL"] == EVENTS - 1
    ended = sum(totals[name] for name in ("applied", "recorded", "duplicate", "stale", "unrouted"))
    # A handler that is killed just after it parked an event parks it again.
    assert ended + totals["parked"] in range(EVENTS, EVENTS + 5)


def test_the_same_seed_plans_the_same_events() -> None:
    first, second = (
        [[delivery.detail for delivery in one] for one in planned(5, EVENTS, PHASES)] for _ in range(2)
    )
    assert first == second
    assert sum(map(len, first)) == EVENTS


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (ChaosOptions(deliveries=12), "--deliveries 12 is too few for 16 phases: expected 160 or more"),
        (ChaosOptions(only=("calm", "storm")), "unknown phase storm: expected some of calm, "),
        (ChaosOptions(examples=-1), "invalid --examples -1: expected 0 or more"),
    ],
)
def test_invalid_options_are_refused_before_anything_starts(options: ChaosOptions, message: str) -> None:
    with pytest.raises(OperatorError, match=message) as refused:
        run(options, Console(file=io.StringIO()))
    assert refused.value.usage
