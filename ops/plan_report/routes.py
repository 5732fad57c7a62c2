"""The routing table before and after a plan: what the business gains or loses, by event type."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from functions.shared.names import THIN_PREFIX
from infra import contents
from ops.plan_report.attributes import Word
from ops.plan_report.deliveries import SIDES, Side, deliveries, without_twins
from ops.plan_report.plan import Output, Plan, at
from ops.plan_report.text import cell

NONE: Final = Output(Word("absent"), Word("absent"))
UNKNOWN: Final = "?"
ARROW: Final = " → "
FUNCTION: Final = "function"


@dataclass(frozen=True)
class Row:
    """What happens to an event type: functions, by their names, what a repeat means, and the API's path."""

    handler: str
    repeat: str
    path: str


@dataclass(frozen=True)
class Change:
    """A row before and after; None where no function gets the type."""

    event_type: str
    before: Row | None
    after: Row | None

    @property
    def word(self) -> str:
        """What happens to the row, for people."""
        if self.before is None or self.after is None:
            return "added" if self.before is None else "**removed**"
        return "moved" if self.before.handler != self.after.handler else "changed"


def changes(plan: Plan) -> list[Change]:
    """Return the rows that differ, removed ones first."""
    before, after = (_rows(plan, side) for side in SIDES)
    differing = [each for each in {*before, *after} if _differ(before.get(each), after.get(each))]
    found = [
        Change(event_type, before.get(event_type), after.get(event_type))
        for event_type in sorted(without_twins(differing))
    ]
    return sorted(found, key=lambda each: (each.after is not None, each.before is None))


def count(plan: Plan) -> int:
    """Return how many types a function gets after the plan."""
    return len(without_twins(_rows(plan, "after")))


def table(found: list[Change], shown: int) -> Iterator[str]:
    """Yield the Markdown table of changed rows."""
    yield "| | event type | handler | repeat | path |"
    yield "|---|---|---|---|---|"
    for change in found[:shown]:
        cells = [
            _sides(getattr(change.before, name, ""), getattr(change.after, name, ""))
            for name in ("handler", "repeat", "path")
        ]
        yield f"| {change.word} | {cell(change.event_type)} | {' | '.join(cells)} |"
    if len(found) > shown:
        yield ""
        yield f"*{len(found) - shown} more rows*"


def _rows(plan: Plan, side: Side) -> dict[str, Row]:
    output = plan.outputs.get(contents.ROUTING, NONE)
    described = output.before if side == "before" else output.after
    rows = {}
    for event_type, found in deliveries(plan, side).items():
        functions = sorted({each.target for each in found if each.kind == FUNCTION})
        if functions:
            routed = event_type.removeprefix(THIN_PREFIX)
            repeat, path = (at(described, routed, name) for name in ("repeat", "path"))
            rows[event_type] = Row(
                ", ".join(functions), *(each if isinstance(each, str) else UNKNOWN for each in (repeat, path))
            )
    return rows


def _differ(before: Row | None, after: Row | None) -> bool:
    if before is None or after is None:
        return before != after
    known = all(UNKNOWN not in (row.repeat, row.path) for row in (before, after))
    # The state of an earlier release has neither repeat nor path.
    return before != after if known else before.handler != after.handler


def _sides(before: str, after: str) -> str:
    if before == after:
        return cell(after)
    return ARROW.join(cell(each) for each in (before, after) if each)
