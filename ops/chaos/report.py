"""The report of a chaos run: `report.json` for machines, tables for people. Pure but for `write`."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from ops.chaos.fuzz.run import Fuzzed
from ops.chaos.verdict import Verdict, Violation

# Figures of the table, in the order in which an event passes the places that count it.
COLUMNS = (
    "deliveries",
    "calls applied",
    "applied",
    "recorded",
    "duplicate",
    "stale",
    "parked",
    "in DLQ for now",
    "unrouted",
    "in S3",
    "in PostgreSQL",
)


@dataclass(frozen=True)
class PhaseReport:
    """One phase: its verdict about everything sent until then, and how often each failure struck."""

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
class Report:
    """A whole run. `timings` are seconds per step."""

    seed: int
    events: int
    phases: tuple[PhaseReport, ...]
    fuzzed: tuple[Fuzzed, ...]
    timings: Mapping[str, float]

    @property
    def violations(self) -> tuple[Violation, ...]:
        """Every violation, named once however many phases saw it."""
        judged = [one for phase in self.phases for one in phase.verdict.violations]
        return tuple(dict.fromkeys([*judged, *(one for part in self.fuzzed for one in part.violations)]))

    @property
    def passed(self) -> bool:
        """Whether every phase's verdict was good."""
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


def write(report: Report, path: Path) -> None:
    """Write `report.json` whole or not at all: a run that is killed leaves the one before it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(report.as_json(), indent=2) + "\n")
    draft.replace(path)


def figures_table(report: Report) -> Table:
    """Return a table with one line per phase; the figures count everything since the start."""
    # Fifteen columns fit into a log's width without lines between them.
    table = Table(
        title="Since the start, after each phase",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=0,
    )
    table.add_column("phase", no_wrap=True)
    table.add_column("strikes", justify="right")
    for heading in COLUMNS:
        table.add_column(heading, justify="right", overflow="fold")
    table.add_column("seconds", justify="right")
    table.add_column("verdict")
    for phase in report.phases:
        table.add_row(
            phase.name,
            str(sum(phase.strikes.values()) or ""),
            *(str(phase.verdict.figures.get(name, "")) for name in COLUMNS),
            f"{phase.seconds:.0f}",
            "kept" if phase.verdict.passed else f"{len(phase.verdict.violations)} broken",
        )
    return table


def strikes_table(phases: Sequence[PhaseReport]) -> Table:
    """Return a table of the failures that were injected, with how often each struck."""
    table = Table(title="Injected failures", title_justify="left")
    table.add_column("failure", no_wrap=True)
    table.add_column("strikes", justify="right")
    strikes = Counter[str]()
    for phase in phases:
        strikes.update(phase.strikes)
    for name, count in strikes.items():
        table.add_row(name, str(count))
    return table


def violations_table(violations: Iterable[Violation]) -> Table:
    """Return a table of the broken promises, each with its event."""
    table = Table(title="Broken promises", title_justify="left")
    for heading in ("kind", "event", "type", "what"):
        table.add_column(heading, overflow="fold")
    for one in violations:
        table.add_row(one.kind, one.subject, one.event_type, one.what)
    return table
