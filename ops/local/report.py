"""The report of a local run: `report.json` for programs, tables for people. Pure but for `write`."""

from __future__ import annotations

import json
import os
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

from ops.console import PlainTable, open_table, plural
from ops.cost.measured import SECTION, Measured
from ops.local.accounting import Row, applied_twice
from ops.local.observations import OUTCOMES, ApiRequest, ParkedMessage, RefusedCall
from ops.plain import plain

GOOD, WARNING, BAD = "green", "yellow", "bold red"
# A longer event type is folded, so that the counts fit into 80 columns.
TYPE_CHARACTERS: Final = 36
PERCENTILES: Final = 100


@dataclass(frozen=True)
class TerraformFacts:
    """Terraform's version, the engine that ran it, the resources, and the changes of a second plan.

    Parameters
    ----------
    warm
        Whether the run restored the deploy of an earlier one; its second plan is the only one then.
    """

    version: str
    engine: str
    resources: int
    second_plan_changes: int
    warm: bool = False


@dataclass(frozen=True)
class LocalReport:
    """A finished run.

    Parameters
    ----------
    queues
        Messages in each queue.
    timings
        Seconds of each step, in order.
    files
        The file that each event was read from, by event id.
    parked
        The messages in the dead-letter queues, those of the audit included.
    refused
        The calls that no policy allows.
    python
        The Python version that the functions ran in.
    measured
        What the events took; None if no function ran.
    """

    environment: str
    terraform: TerraformFacts
    rows: tuple[Row, ...]
    queues: Mapping[str, int]
    alarms: tuple[str, ...]
    timings: Mapping[str, float]
    files: Mapping[str, str] = field(default_factory=dict)
    parked: tuple[ParkedMessage, ...] = ()
    refused: tuple[RefusedCall, ...] = ()
    python: str = ""
    measured: Measured | None = None

    @property
    def passed(self) -> bool:
        """Whether the run kept its promise: see `verdict`."""
        accounted = all(row.accounted for row in self.rows) and not self.applied_twice
        return accounted and not self.refused and self.terraform.second_plan_changes == 0

    @property
    def applied_twice(self) -> tuple[str, ...]:
        """The ids of events that took effect more than once."""
        return applied_twice(self.rows)

    def verdict(self) -> str:
        """Return the last line of the run: whether it passed, and the figures that decide it."""
        totals = self.totals()
        return (
            f"{'passed' if self.passed else 'FAILED'}: "
            f"{totals['sent'] - totals['unaccounted']} of {totals['sent']} deliveries accounted for, "
            f"{totals['audited']} audited, {', '.join(self.applied_twice) or 'none'} applied twice, "
            f"{plural(len(self.refused), 'call')} refused, "
            f"{'plan of the restored deploy' if self.terraform.warm else 'second plan'} "
            f"{self.terraform.second_plan_changes} changes"
        )

    def as_json(self) -> dict[str, Any]:
        """Return the report in the form of `report.json`."""
        return {
            "environment": self.environment,
            "terraform": asdict(self.terraform),
            "python": self.python,
            "events": [_event(row, self.files) for row in self.rows],
            "parked": [
                {"event_id": one.event_id, "file": self.files.get(one.event_id or ""), **_parked(one)}
                for one in self.parked
            ],
            "queues": dict(self.queues),
            "alarms": list(self.alarms),
            "applied_twice": list(self.applied_twice),
            "refused": [asdict(one) for one in self.refused],
            "totals": self.totals(),
            "timings": {step: round(seconds, 2) for step, seconds in self.timings.items()},
            SECTION: self.measured.model_dump(mode="json") if self.measured else None,
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


def write(report: Mapping[str, Any], path: Path) -> None:
    """Write a `report.json` atomically: a run that is killed leaves the previous report."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(report, indent=2) + "\n")
    draft.replace(path)


class Items:
    """Texts separated by commas in a table's cell; a line breaks between two of them, never within one."""

    def __init__(self, *items: Text) -> None:
        self._items = items

    def __rich_measure__(self, _console: Console, _options: ConsoleOptions) -> Measurement:
        """Return the widths of the longest item and of all on one line."""
        lengths = [len(item) + len(", ") for item in self._items] or [0]
        return Measurement(max(lengths), sum(lengths))

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """Yield the lines."""
        line = Text()
        for place, item in enumerate(self._items, 1):
            part = item if place == len(self._items) else Text.assemble(item, ",")
            if line and len(line) + 1 + len(part) > options.max_width:
                yield line
                line = Text()
            line = Text.assemble(line, " ", part) if line else part
        yield line


def events_table(rows: Sequence[Row]) -> RichTable:
    """Return a table with one line per event type, in the order first sent, and one of totals.

    It fits into 80 columns: outcomes are words, so one that did not occur takes no room.
    """
    table = open_table("What became of each event (latencies in ms)")
    types = dict.fromkeys(row.sent.event_type for row in rows)
    width = min(max([len(name) for name in types], default=0), TYPE_CHARACTERS)
    table.add_column("event type", width=max(width, len("event type")), overflow="fold")
    table.add_column("sent", justify="right", no_wrap=True)
    table.add_column("outcome", overflow="fold")
    for heading in ("p50", "p99"):
        table.add_column(heading, justify="right", no_wrap=True)
    for event_type in types:
        table.add_row(event_type, *_cells([row for row in rows if row.sent.event_type == event_type]))
    table.add_section()
    table.add_row("all", *_cells(rows))
    return table


def parked_lines(report: LocalReport) -> Iterator[Text]:
    """Yield the file, id, queue and reason of each parked event, with the error and the API's code."""
    if report.parked:
        yield Text(f"{plural(len(report.parked), 'parked event')}:", style=WARNING)
    for message in report.parked:
        event_id = message.event_id or f"message {message.message_id}"
        yield Text(plain(f"  {report.files.get(event_id, 'of no file')}"))
        yield Text(plain(f"    {event_id} in {message.queue}"))
        yield Text(plain(f"    {_reason(message)}"))


def _reason(message: ParkedMessage) -> str:
    # The reason names the status already.
    details = ", ".join(filter(None, (message.error, message.code)))
    return f"{message.reason} ({details})" if details else message.reason


def queues_line(queues: Mapping[str, int]) -> Text:
    """Return one line that names each queue with messages, and counts the empty ones."""
    held = [f"{name} {plural(depth, 'message')}" for name, depth in sorted(queues.items()) if depth]
    empty = sum(not depth for depth in queues.values())
    return Text(plain(f"Queues: {'; '.join([*held, f'{empty} empty'])}"), style=WARNING if held else "")


def alarms_line(alarms: Sequence[str]) -> Text:
    """Return one line that names the alarms that are firing."""
    return Text(plain(f"Alarms firing: {', '.join(alarms) or 'none'}"), style=WARNING if alarms else "")


def verdict_line(report: LocalReport, path: str) -> Text:
    """Return the last line of the run, green or red."""
    word, rest = report.verdict().split(":", 1)
    return Text.assemble((word, GOOD if report.passed else BAD), plain(f":{rest}; {path}"))


def refused_lines(refused: Sequence[RefusedCall]) -> Iterator[Text]:
    """Yield what no policy allows: who calls what, and what would allow it."""
    if refused:
        yield Text(f"{plural(len(refused), 'refused call')}:", style=BAD)
    for one in refused:
        yield Text(f"  {plain(one.caller)}: {one.action} on {plain(one.resource)}")
        yield Text(f"    {plain(one.advice)}")


def timings_table(timings: Mapping[str, float]) -> PlainTable:
    """Return a table of the seconds that each step took."""
    table = PlainTable("step", "seconds", title="Timings")
    for step, seconds in timings.items():
        table.add_row(step, f"{seconds:.1f}")
    return table


def percentile(values: Sequence[float], percent: int) -> float:
    """Return a percentile of at least one value, interpolated between neighbours."""
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=PERCENTILES, method="inclusive")[percent - 1]


def _cells(rows: Sequence[Row]) -> list[RenderableType]:
    latencies = [row.latency_ms for row in rows if row.latency_ms is not None]
    figures = [f"{percentile(latencies, percent):.0f}" if latencies else "" for percent in (50, 99)]
    return [str(len(rows)), _outcomes(rows), *figures]


def _outcomes(rows: Sequence[Row]) -> Items:
    """Return the counts of the outcomes that occurred, for example `2 applied, 1 duplicate`."""
    counts = Counter(row.outcome for row in rows)
    parts = [
        (f"{counts[outcome]} {outcome}", WARNING if outcome == "parked" else "")
        for outcome in OUTCOMES
        if counts[outcome]
    ]
    parts += [(f"{counts[None]} unaccounted", BAD)] if counts[None] else []
    unaudited = sum(not row.audited for row in rows)
    parts += [(f"{unaudited} not audited", BAD)] if unaudited else []
    return Items(*(Text(words, style) for words, style in parts))


def _event(row: Row, files: Mapping[str, str]) -> dict[str, Any]:
    return {
        "event_id": row.sent.event_id,
        "file": files.get(row.sent.event_id),
        "event_type": row.sent.event_type,
        "api_version": row.sent.api_version,
        "handler": row.sent.handler,
        "outcome": row.outcome,
        "parked": None if row.parked is None else _parked(row.parked),
        "requests": [_request(request) for request in row.requests],
        "audited": row.audited,
        "latency_ms": row.latency_ms,
    }


def _parked(message: ParkedMessage) -> dict[str, Any]:
    names = ("queue", "message_id", "kind", "reason", "error", "status", "code")
    return {name: getattr(message, name) for name in names}


def _request(request: ApiRequest) -> dict[str, Any]:
    return {
        "path": request.path,
        "idempotency_key": request.idempotency_key,
        "headers": dict(request.headers),
        "body": request.body,
        "status": request.status,
    }
