"""The report of a local run: `report.json` for machines, tables for people. Pure but for `write`."""

from __future__ import annotations

import json
import os
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from ops.local.accounting import Row, applied_twice
from ops.local.observations import OUTCOMES, Request

PERCENTILES = 100


@dataclass(frozen=True)
class TerraformFacts:
    """What Terraform said: its version, the engine that ran it, the resources, a second plan's changes."""

    version: str
    engine: str
    resources: int
    second_plan_changes: int


@dataclass(frozen=True)
class Report:
    """A finished run. `timings` are seconds per step, in the order of the steps."""

    environment: str
    terraform: TerraformFacts
    rows: tuple[Row, ...]
    queues: Mapping[str, int]
    alarms: tuple[str, ...]
    timings: Mapping[str, float]

    @property
    def passed(self) -> bool:
        """Whether every delivery is accounted for, no event applied twice, and the second plan clean."""
        accounted = all(row.accounted for row in self.rows)
        return accounted and not self.applied_twice and self.terraform.second_plan_changes == 0

    @property
    def applied_twice(self) -> tuple[str, ...]:
        """The ids of events that took effect more than once."""
        return applied_twice(self.rows)

    def verdict(self) -> str:
        """Return the run's closing words: whether it passed, and by which figures."""
        totals = self.totals()
        return (
            f"{'passed' if self.passed else 'FAILED'}: "
            f"{totals['sent'] - totals['unaccounted']} of {totals['sent']} deliveries accounted for, "
            f"{totals['audited']} audited, {', '.join(self.applied_twice) or 'none'} applied twice, "
            f"second plan {self.terraform.second_plan_changes} changes"
        )

    def as_json(self) -> dict[str, Any]:
        """Return the report in the form of `report.json`."""
        return {
            "environment": self.environment,
            "terraform": asdict(self.terraform),
            "events": [_event(row) for row in self.rows],
            "queues": dict(self.queues),
            "alarms": list(self.alarms),
            "applied_twice": list(self.applied_twice),
            "totals": self.totals(),
            "timings": {step: round(seconds, 2) for step, seconds in self.timings.items()},
        }

    def totals(self) -> dict[str, int]:
        """Count the deliveries: sent, by outcome, unaccounted, audited, and requests to the API."""
        outcomes = Counter(row.outcome for row in self.rows)
        return {
            "sent": len(self.rows),
            **{outcome: outcomes[outcome] for outcome in OUTCOMES},
            "unaccounted": outcomes[None],
            "audited": sum(row.audited for row in self.rows),
            "requests": sum(len(row.requests) for row in self.rows),
        }


def write(report: Report, path: Path) -> None:
    """Write `report.json` whole or not at all: a run that is killed leaves the one before it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(report.as_json(), indent=2) + "\n")
    draft.replace(path)


def events_table(rows: Sequence[Row]) -> Table:
    """Return a table with one line per event type, in the order first sent, and one of totals."""
    table = Table(title="What became of every delivery", title_justify="left")
    table.add_column("event type", no_wrap=True)
    for heading in ("sent", *OUTCOMES, "audited"):
        table.add_column(heading, justify="right")
    table.add_column("p50 ms", justify="right")
    table.add_column("p99 ms", justify="right")
    for event_type in dict.fromkeys(row.sent.event_type for row in rows):
        table.add_row(event_type, *_cells([row for row in rows if row.sent.event_type == event_type]))
    table.add_section()
    table.add_row("all", *_cells(rows))
    return table


def queues_table(queues: Mapping[str, int]) -> Table:
    """Return a table of the depth of each queue."""
    table = Table(title="Queues", title_justify="left")
    table.add_column("queue", no_wrap=True)
    table.add_column("messages", justify="right")
    for name, depth in sorted(queues.items()):
        table.add_row(name, str(depth))
    return table


def timings_table(timings: Mapping[str, float]) -> Table:
    """Return a table of the seconds that each step took."""
    table = Table(title="Timings", title_justify="left")
    table.add_column("step", no_wrap=True)
    table.add_column("seconds", justify="right")
    for step, seconds in timings.items():
        table.add_row(step, f"{seconds:.1f}")
    return table


def percentile(values: Sequence[float], percent: int) -> float:
    """Return a percentile of at least one value, interpolated between neighbours."""
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=PERCENTILES, method="inclusive")[percent - 1]


def _cells(rows: Sequence[Row]) -> list[str]:
    counts = Counter(row.outcome for row in rows)
    latencies = [row.latency_ms for row in rows if row.latency_ms is not None]
    figures = [f"{percentile(latencies, percent):.0f}" if latencies else "" for percent in (50, 99)]
    audited = sum(row.audited for row in rows)
    numbers = [len(rows), *(counts[outcome] for outcome in OUTCOMES), audited]
    return [*map(str, numbers), *figures]


def _event(row: Row) -> dict[str, Any]:
    return {
        "event_id": row.sent.event_id,
        "event_type": row.sent.event_type,
        "api_version": row.sent.api_version,
        "handler": row.sent.handler,
        "outcome": row.outcome,
        "requests": [_request(request) for request in row.requests],
        "audited": row.audited,
        "latency_ms": row.latency_ms,
    }


def _request(request: Request) -> dict[str, Any]:
    return {
        "path": request.path,
        "idempotency_key": request.idempotency_key,
        "headers": dict(request.headers),
        "body": request.body,
        "status": request.status,
    }
