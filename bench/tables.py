"""The tables of docs/performance.md that compare nobody: the audit function, and memory over many events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from bench import audit
from bench.report import Audit, FirstBatch, FurtherBatch, Memory, Part, Throughput
from bench.targets import MILLION, SECOND_MS

Batch = TypeVar("Batch", FirstBatch, FurtherBatch)

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
        _row("first batch, from process start: M instructions", first, lambda of: _millions(of.instructions)),
        _row("first batch: CPU ms", first, lambda of: f"{of.cpu_ms:.0f}"),
        _row("first batch: peak memory, MB", first, lambda of: f"{of.peak_mb:.0f}"),
        _row("further batch of 10: M instructions", further, lambda of: _millions(of.instructions, 1)),
        _row("further batch of 10: CPU ms", further, lambda of: f"{of.cpu_ms:.1f}"),
        _row("rows a second and core", further, lambda of: f"{of.rows * SECOND_MS / of.cpu_ms:,.0f}"),
        _row("calls of S3 a batch", further, lambda of: f"{of.objects:.0f}"),
        _row("statements of PostgreSQL a batch", further, lambda of: f"{of.statements:.0f}"),
        _row("round trips to PostgreSQL a batch", further, lambda of: f"{of.round_trips:.0f}"),
    ]
    return f"{table(['', *names], rows)}\n\n{_measured(found)}"


def of_memory(found: Memory | None) -> str:
    """Return the resident memory after many events."""
    if found is None:
        return NOTHING
    head = ["events", *(f"{count:,}" for count in found.resident_mb)]
    row = ["resident memory, MB", *(f"{megabytes:.1f}" for megabytes in found.resident_mb.values())]
    return f"{table(head, [row])}\n\n{_measured(found)}"


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
        f"{_measured(found)}"
    )


def _millions(count: int | None, digits: int = 0) -> str:
    return "" if count is None else f"{count / MILLION:,.{digits}f}"


def _row(name: str, found: Sequence[Batch | None], write: Callable[[Batch], str]) -> list[str]:
    return [name, *("" if each is None else write(each) for each in found)]


def _measured(part: Part) -> str:
    return f"Measured on {part.day}, with a load of {part.load}."
