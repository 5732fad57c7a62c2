"""The tables of docs/performance.md that compare nobody: the audit function, and memory over many events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bench import audit
from bench.report import Audit, FurtherBatch, Memory, Throughput
from bench.targets import MILLION, SECOND_MS

NOTHING: Final = "Not measured in this run."


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = (f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))
    return "\n".join(lines).replace("|  |", "| |").replace("|  |", "| |")


def of_audit(found: Audit | None) -> str:
    """Return what a batch takes, by where it is written."""
    if found is None:
        return NOTHING
    names = (audit.S3, audit.POSTGRES, audit.POISON)
    first = [found.first.get(name) for name in names]
    further = [found.further[name] for name in names]
    rows = [
        ["first batch, from process start: M instructions"]
        + ["" if each is None else _millions(each.instructions) for each in first],
        ["first batch: CPU ms"] + ["" if each is None else f"{each.cpu_ms:.0f}" for each in first],
        ["first batch: peak memory, MB"] + ["" if each is None else f"{each.peak_mb:.0f}" for each in first],
        ["further batch of 10: M instructions"] + [_millions(each.instructions, 1) for each in further],
        ["further batch of 10: CPU ms"] + [f"{each.cpu_ms:.1f}" for each in further],
        ["rows a second and core"] + [f"{_rows_a_second(each):,.0f}" for each in further],
        ["calls of S3 a batch"] + [f"{each.objects:.0f}" for each in further],
        ["statements of PostgreSQL a batch"] + [f"{each.statements:.0f}" for each in further],
        ["round trips to PostgreSQL a batch"] + [f"{each.round_trips:.0f}" for each in further],
    ]
    return f"{table(['', *names], rows)}\n\nMeasured on {found.day}, with a load of {found.load}."


def of_memory(found: Memory | None) -> str:
    """Return the resident memory after many events."""
    if found is None:
        return NOTHING
    head = ["events", *(f"{count:,}" for count in found.resident_mb)]
    row = ["resident memory, MB", *(f"{megabytes:.1f}" for megabytes in found.resident_mb.values())]
    return f"{table(head, [row])}\n\nMeasured on {found.day}, with a load of {found.load}."


def of_throughput(found: Throughput | None) -> str:
    """Return events a second, and whose CPU time they took."""
    if found is None:
        return NOTHING
    whole = sum(found.cpu_seconds.values())
    rows = [
        [name, f"{seconds:,.0f}", f"{seconds / whole:.0%}", f"{seconds * SECOND_MS / found.deliveries:.1f}"]
        for name, seconds in sorted(found.cpu_seconds.items(), key=lambda item: -item[1])
    ]
    rows += [[name, f"{seconds:,.0f}", "", ""] for name, seconds in found.before_cpu_seconds.items()]
    return (
        f"{found.deliveries:,} deliveries in {found.seconds:.0f} s: "
        f"**{found.deliveries / found.seconds:.0f} a second**.\n\n"
        f"{table(['', 'CPU seconds', 'Share', 'CPU ms a delivery'], rows)}\n\n"
        f"Measured on {found.day}, with a load of {found.load}."
    )


def _millions(count: int | None, digits: int = 0) -> str:
    return "" if count is None else f"{count / MILLION:,.{digits}f}"


def _rows_a_second(batch: FurtherBatch) -> float:
    return batch.rows * SECOND_MS / batch.cpu_ms
