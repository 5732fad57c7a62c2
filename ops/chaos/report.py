"""The report of a chaos run: `report.json` for programs, tables for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from rich.table import Table as RichTable
from rich.text import Text

from ops.chaos.fuzz.run import Fuzzed
from ops.chaos.verdict import Verdict, Violation
from ops.console import PlainTable, open_table
from ops.local.report import BAD, GOOD, Items

# The figures that say how deliveries ended; the table shows those that occurred, as words.
OUTCOMES: Final = ("applied", "recorded", "duplicate", "stale", "parked", "in DLQ for now", "unrouted")


@dataclass(frozen=True)
class PhaseReport:
    """One phase: the verdict about everything sent so far, and how often each failure struck."""

    name: str
    title: str
    events: int
    strikes: Mapping[str, int]
    verdict: Verdict
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Return it in the form of `report.json`."""
        return {
            "name": self.name,
            "title": self.title,
            "deliveries": self.events,
            "strikes": dict(self.strikes),
            "figures": dict(self.verdict.figures),
            "violations": [asdict(violation) for violation in self.verdict.violations],
            "seconds": round(self.seconds, 1),
        }


@dataclass(frozen=True)
class ChaosReport:
    """A whole run. `timings` are seconds per step."""

    seed: int
    events: int
    phases: tuple[PhaseReport, ...]
    fuzzed: tuple[Fuzzed, ...]
    timings: Mapping[str, float]

    @property
    def violations(self) -> tuple[Violation, ...]:
        """Every violation once, even if several phases found it."""
        found = [one for phase in self.phases for one in phase.verdict.violations]
        return tuple(dict.fromkeys([*found, *(one for part in self.fuzzed for one in part.violations)]))

    @property
    def passed(self) -> bool:
        """Whether no phase and no fuzzing found a violation."""
        return bool(self.phases) and not self.violations

    def as_json(self) -> dict[str, Any]:
        """Return the report in the form of `report.json`."""
        return {
            "seed": self.seed,
            "events": self.events,
            "passed": self.passed,
            "phases": [phase.as_json() for phase in self.phases],
            "totals": dict(self.phases[-1].verdict.figures) if self.phases else {},
            "fuzzed": {one.handler: dict(one.outcomes) for one in self.fuzzed},
            "violations": [asdict(violation) for violation in self.violations],
            "timings": {step: round(seconds, 1) for step, seconds in self.timings.items()},
        }


def figures_table(report: ChaosReport) -> RichTable:
    """Return a table with one line per phase; the figures count everything since the start.

    It fits into 80 columns: outcomes are words, so one that did not occur takes no room.
    """
    table = open_table("Since the start, after each phase")
    table.add_column("phase", no_wrap=True)
    for heading in ("strikes", "sent", "calls", "S3", "PgSQL"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("outcome", overflow="fold")
    table.add_column("result", no_wrap=True)
    for phase in report.phases:
        figures = phase.verdict.figures
        counts = [figures.get(name, "") for name in ("deliveries", "calls applied", "in S3", "in PostgreSQL")]
        broken = len(phase.verdict.violations)
        table.add_row(
            phase.name,
            str(sum(phase.strikes.values()) or ""),
            *map(str, counts),
            Items(*(Text(f"{figures[name]} {name}") for name in OUTCOMES if figures.get(name))),
            Text(f"{broken} broken", BAD) if broken else Text("kept", GOOD),
        )
    return table


def verdict_line(report: ChaosReport) -> Text:
    """Return the last line of the run, green or red."""
    verdict = "passed" if report.passed else f"FAILED, {len(report.violations)} promises broken"
    return Text.assemble(
        (verdict, GOOD if report.passed else BAD), f": seed {report.seed}, {report.events} deliveries"
    )


def strikes_table(phases: Sequence[PhaseReport]) -> PlainTable:
    """Return a table of the injected failures, with how often each struck."""
    strikes = Counter[str]()
    for phase in phases:
        strikes.update(phase.strikes)
    table = PlainTable("failure", "strikes", title="Injected failures")
    for name, count in strikes.items():
        table.add_row(name, str(count))
    return table


def violations_table(violations: Iterable[Violation]) -> PlainTable:
    """Return a table of the broken promises, each with its event."""
    table = PlainTable("kind", "event", "type", "what", title="Broken promises", text=["what"])
    for one in violations:
        table.add_row(one.kind, one.subject, one.event_type, one.what)
    return table
