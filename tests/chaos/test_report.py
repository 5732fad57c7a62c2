"""The report's tables and exit code: a broken promise is shown with its event and fails the command."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console
from typer.testing import CliRunner

from ops.chaos import report as reports
from ops.chaos import run as runs
from ops.chaos.fuzz.run import Fuzzed
from ops.chaos.report import ChaosReport, PhaseReport
from ops.chaos.verdict import Verdict, Violation
from ops.cli import app

LOST = Violation("lost", "evt_lost", "invoice.paid", "was not applied")
FIGURES = {"deliveries": 10, "calls applied": 7}


def report(*violations: Violation, fuzzed: tuple[Fuzzed, ...] = ()) -> ChaosReport:
    phases = (
        PhaseReport("calm", "nothing fails", 5, {}, Verdict(FIGURES, ()), 1.0),
        PhaseReport("errors", "5xx", 5, {"API answers 5xx": 3}, Verdict(FIGURES, violations), 2.0),
    )
    return ChaosReport(9, 10, phases, fuzzed, {"total": 3.0})


def printed(*tables: object, width: int = 200) -> str:
    console = Console(file=io.StringIO(), width=width)
    for table in tables:
        console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_report_without_violations_has_passed() -> None:
    assert report().passed
    assert not ChaosReport(9, 10, (), (), {}).passed


def test_a_violation_of_any_phase_or_of_the_fuzzing_fails_the_report() -> None:
    assert not report(LOST).passed
    assert not report(fuzzed=(Fuzzed("billing", {}, "ended badly", "{}"),)).passed


def test_a_violation_that_two_phases_saw_is_named_once() -> None:
    assert report(LOST, LOST).violations == (LOST,)


def test_the_tables_show_figures_strikes_and_each_event() -> None:
    broken = report(LOST)
    text = printed(
        reports.figures_table(broken),
        reports.strikes_table(broken.phases),
        reports.violations_table(broken.violations),
    )
    for shown in ("errors", "1 broken", "kept", "API answers 5xx", "evt_lost", "was not applied"):
        assert shown in text


@pytest.mark.parametrize("width", [80, 100, 200])
def test_the_table_shows_every_figure_whole_at_any_width(width: int) -> None:
    counts = {
        "deliveries": 12345,
        "calls applied": 10001,
        "in S3": 12345,
        "in PostgreSQL": 12344,
        "applied": 10001,
        "duplicate": 2340,
        "in DLQ for now": 4,
        "stale": 0,
    }
    phase = PhaseReport("restarted", "5xx", 5, {"API answers 5xx": 3210}, Verdict(counts, ()), 1.0)
    text = printed(reports.figures_table(ChaosReport(9, 10, (phase,), (), {})), width=width)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    for figure in ("restarted", "3210", "12345", "10001 applied", "12344", "kept"):
        assert figure in text
    assert "stale" not in text
    assert " ".join(["10001", "applied,", "2340", "duplicate,", "4", "in", "DLQ", "for", "now"]) in " ".join(
        text.replace("  kept", "").split()
    )


def test_the_last_line_says_whether_every_promise_was_kept() -> None:
    assert printed(reports.verdict_line(report())) == "passed: seed 9, 10 deliveries\n"
    assert printed(reports.verdict_line(report(LOST))).startswith("FAILED, 1 promises broken: seed 9")


@pytest.mark.parametrize(("violations", "code"), [((), 0), ((LOST,), 1)])
def test_the_command_exits_with_1_when_a_promise_was_broken(
    monkeypatch: pytest.MonkeyPatch, violations: tuple[Violation, ...], code: int
) -> None:
    monkeypatch.setattr(runs, "run", lambda _options, _console: report(*violations))
    result = CliRunner().invoke(app, ["chaos", "--seed", "9", "--json"])
    assert result.exit_code == code
    document = json.loads(result.stdout)
    assert [one["subject"] for one in document["violations"]] == [one.subject for one in violations]
    assert document["seed"] == 9


@pytest.mark.parametrize("option", ["--deliveries", "--events"])
def test_the_former_name_of_deliveries_still_works(monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    asked: list[runs.ChaosOptions] = []

    def run(options: runs.ChaosOptions, _console: Console) -> reports.ChaosReport:
        asked.append(options)
        return report()

    monkeypatch.setattr(runs, "run", run)
    assert CliRunner().invoke(app, ["chaos", option, "500"]).exit_code == 0
    assert [options.deliveries for options in asked] == [500]
    assert "--events" not in CliRunner().invoke(app, ["chaos", "--help"]).stdout
