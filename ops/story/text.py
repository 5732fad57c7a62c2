"""A story for people: what became of the event, its timeline, and what can't be known."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Console

from ops.console import PlainTable, plural, print_line, styled
from ops.story.listing import EventRow
from ops.story.story import UNKNOWN, WAITING, Moment, Story
from ops.times import stamp_of

STYLES: Final = {"parked": "bold red", WAITING: "yellow", UNKNOWN: "yellow"}
# A heading for each place, as wide as the longest.
HEADINGS: Final = ("Time (UTC)", "Where", "What happened")


def show(console: Console, stories: Sequence[Story], *, payload: bool) -> None:
    """Print one event's story, or several events' in one timeline.

    Parameters
    ----------
    payload
        Whether to print the events too.
    """
    for story in stories:
        created = "" if story.created is None else f", created {stamp_of(story.created)}"
        about = f" about {story.object_id}" if story.object_id else ""
        of = f" of {story.customer_id}" if story.customer_id not in (None, story.object_id) else ""
        console.print(
            f"{story.event_id}  {story.event_type or 'unknown type'}{about}{of}{created}", soft_wrap=True
        )
        console.print(styled(_result(story), STYLES.get(story.outcome, "green")), soft_wrap=True)
    console.print(_table(stories))
    for line in unknown_lines(stories):
        console.print(line, soft_wrap=True)
    if payload:
        for story in stories:
            if story.payload is not None:
                print_line(f"{story.event_id}, {'revealed' if story.revealed else 'masked'}:")
                for line in json.dumps(story.payload, indent=2).splitlines():
                    print_line(line)


def show_rows(console: Console, rows: Sequence[EventRow]) -> None:
    """Print events, one row each."""
    table = PlainTable("Event", "Type", "Outcome", "Attempts", "ms", "Why", title="Events", text=("Why",))
    for row in rows:
        latency = "" if row.latency_ms is None else f"{row.latency_ms:,.0f}"
        outcome = styled(row.outcome, STYLES.get(row.outcome, "green"))
        table.add_row(row.event_id, row.event_type, outcome, str(row.attempts), latency, row.reason or "")
    console.print(table)


def _result(story: Story) -> str:
    took = "" if story.latency_ms is None else f" in {story.latency_ms:,.0f} ms"
    tried = f", {plural(story.attempts, 'attempt')}" if story.attempts else ""
    return f"{story.outcome}{took}{tried}: {story.why}"


def _table(stories: Sequence[Story]) -> PlainTable:
    table = PlainTable(
        *(("Event",) if len(stories) > 1 else ()), *HEADINGS, title="Timeline", text=("What happened",)
    )
    for moment, story in timeline(stories):
        cells = (
            f"{stamp_of(moment.at)[:-1]}.{int(moment.at * 1000) % 1000:03}",
            moment.place,
            moment.sentence,
        )
        table.add_row(*((story.event_id, *cells) if len(stories) > 1 else cells))
    return table


def timeline(stories: Sequence[Story]) -> Iterator[tuple[Moment, Story]]:
    """Yield the moments of all events, oldest first; the order within an event stays."""
    every = [(moment, story) for story in stories for moment in story.moments]
    yield from sorted(every, key=lambda each: each[0].at)


def unknown_lines(stories: Sequence[Story]) -> list[str]:
    """Return what can't be known, each sentence once."""
    return list(dict.fromkeys(f"unknown: {sentence}" for story in stories for sentence in story.unknown))
