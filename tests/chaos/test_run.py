"""The small run of the chaos suite, on a pipeline that it deploys itself, and what it refuses to begin."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from ops.chaos.phases import PHASES
from ops.chaos.report import Report
from ops.chaos.run import Options, planned, run
from ops.errors import OperatorError

EVENTS = 200
SEED = 3


@pytest.fixture(scope="module")
def report_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("chaos") / "report.json"


@pytest.fixture(scope="module")
def report(report_path: Path) -> Report:
    return run(Options(SEED, EVENTS, examples=0), Console(file=io.StringIO(), width=140), report_path)


@pytest.mark.timeout(900)
def test_every_promise_is_kept_whatever_fails(report: Report) -> None:
    assert [f"{one.kind} {one.subject} {one.event_type}: {one.what}" for one in report.violations] == []
    assert [phase.name for phase in report.phases] == [phase.name for phase in PHASES]


@pytest.mark.timeout(900)
def test_every_failure_struck(report: Report) -> None:
    strikes = {name: count for phase in report.phases for name, count in phase.strikes.items()}
    assert set(strikes) >= {failure.name for phase in PHASES for failure in phase.failures}
    assert strikes["deliveries in dead-letter queues"] > EVENTS / len(PHASES) / 2
    assert min(strikes.values()) > 0


@pytest.mark.timeout(900)
def test_the_report_holds_the_figures(report: Report, report_path: Path) -> None:
    written = json.loads(report_path.read_text())
    assert written == json.loads(json.dumps(report.as_json()))
    totals = written["totals"]
    assert totals["deliveries"] == EVENTS
    assert totals["in S3"] == EVENTS
    assert totals["in DLQ for now"] == 0
    # The event with the NUL character is the one that PostgreSQL can't hold.
    assert totals["in PostgreSQL"] == EVENTS - 1
    ended = sum(totals[name] for name in ("applied", "recorded", "duplicate", "stale", "unrouted"))
    # A handler that died just after it had parked an event parks it again.
    assert ended + totals["parked"] in range(EVENTS, EVENTS + 5)


def test_the_same_seed_plans_the_same_events() -> None:
    first, second = (
        [[sending.detail for sending in one] for one in planned(5, EVENTS, PHASES)] for _ in range(2)
    )
    assert first == second
    assert sum(map(len, first)) == EVENTS


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (Options(events=12), "too few"),
        (Options(only=("calm", "storm")), "no phase is called storm"),
        (Options(examples=-1), "examples"),
    ],
)
def test_options_that_make_no_sense_are_refused_before_anything_starts(options: Options, told: str) -> None:
    with pytest.raises(OperatorError, match=told) as refused:
        run(options, Console(file=io.StringIO()))
    assert refused.value.usage
