"""The table of docs/limits.md: each limit of AWS, and whether the embedded AWS enforces it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ops.emulator import constraints
from ops.emulator.limits import LIMITS, SERVICES, Limit

HEAD: Final = ("Service", "What is limited", "Limit", "Enforced", "AWS refuses it with", "AWS page")


def text() -> str:
    """Return the table in Markdown."""
    rows = [HEAD, ("---",) * len(HEAD), *map(_row, LIMITS)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows).replace("|  |", "| |")


def _row(limit: Limit) -> tuple[str, ...]:
    enforced = f"yes, {limit.by}" if limit.by else "no"
    note = f": {limit.note}" if limit.note else ""
    codes = ", ".join(f"`{code}`" for code in limit.error.split(", ") if code)
    return (SERVICES[limit.service], limit.what, _numbers(limit), enforced + note, codes, limit.page)


def _numbers(limit: Limit) -> str:
    lowest, most = float(limit.lowest or 0), limit.most
    if limit.shape:
        shape = constraints.model(limit.service).shape_for(limit.shape)
        low, high = constraints.bounds(limit.service, shape)
        lowest, most = low or 0, None if high is None else int(high)
    if most is None:
        return ""
    return " ".join(_range(int(lowest), most)) + (f" {limit.unit}" if limit.unit else "")


def _range(lowest: int, most: int) -> Iterator[str]:
    """Yield the words of a range; the lower bound is left out if nothing can be below it."""
    if lowest > 1:
        yield from (f"{lowest:,}", "to")
    yield f"{most:,}"
