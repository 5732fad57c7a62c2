"""Tables of dead-letter messages, for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from ops.console import PlainTable, plural, print_line, styled
from ops.dlq.drain import Messages, QueueCounts
from ops.dlq.queues import NamedQueue
from ops.times import stamp_of

_SECONDS: Final = {"d": 86_400, "h": 3600, "m": 60}


@dataclass(frozen=True)
class Group:
    """Messages that failed alike; `oldest` is when the oldest failed, in Unix seconds."""

    queue: str
    kind: str
    reason: str
    event_type: str | None
    count: int
    oldest: float


def groups(messages: Messages) -> list[Group]:
    """Group messages by queue, kind, reason and event type."""
    found: dict[tuple[str, str, str, str | None], list[float]] = {}
    for message, queue in messages:
        key = (queue.name, message.kind, message.reason, message.event_type)
        found.setdefault(key, []).append(message.failed_at)
    made = [Group(*key, count=len(times), oldest=min(times)) for key, times in found.items()]
    return sorted(made, key=lambda group: (group.queue, group.oldest))


def show_groups(console: Console, messages: Messages, now: float) -> None:
    """Print the groups, and their sum."""
    if not messages:
        console.print(styled("no messages", "green"))
        return
    headings = ("Queue", "Kind", "Reason", "Event type", "Messages", "Oldest")
    table = PlainTable(*headings, title="Dead-letter messages", text=("Reason",))
    for group in groups(messages):
        table.add_row(
            group.queue,
            group.kind,
            one_line(group.reason),
            group.event_type or "",
            str(group.count),
            age(now - group.oldest),
        )
    oldest = age(now - min(message.failed_at for message, _ in messages))
    table.add_total("all", "", "", "", styled(len(messages), "red"), oldest)
    console.print(table)


def show_messages(messages: Messages, codes: Sequence[str | None]) -> None:
    """Print a line for each message, oldest first, which no terminal cuts.

    Parameters
    ----------
    codes
        The error code in the API's response to each message.
    """
    for (message, queue), code in zip(messages, codes, strict=True):
        answer = " ".join(str(part) for part in (message.status, code) if part)
        about = (
            *(stamp_of(message.failed_at), queue.name, message.kind, message.event_id or "-"),
            *(message.event_type or "-", f"{one_line(message.reason)}{f' ({answer})' if answer else ''}"),
        )
        print_line("  ".join(about))


def show_unseen(console: Console, counts: QueueCounts, queues: Sequence[NamedQueue]) -> None:
    """Print how many messages of each queue were not received, and why that may be."""
    for queue in queues:
        if number := counts.unseen(queue.name):
            behind = ", or they wait behind others of their group" if queue.fifo else ""
            why = f"others hold them{behind}, or there was no time left to receive them"
            console.print(
                f"{queue.name}: {plural(number, 'more message')} not seen: {why}",
                soft_wrap=True,
            )


def redrive_question(messages: str, settled: int) -> str:
    """Ask whether to redrive messages, of which the API's answer settles `settled`."""
    if not settled:
        return f"Redrive {messages}?"
    events = plural(settled, "event")
    return f"Redrive {messages}, and accept the API's answer as final for {events} of unknown outcome?"


def purge_question(messages: str, unsettled: int, file: Path) -> str:
    """Ask whether to delete messages, `unsettled` of which other events may wait for."""
    waited_for = f", {unsettled} of unknown outcome, for which other events wait" if unsettled else ""
    return f"Delete {messages}{waited_for}, after writing to {file}?"


def show_skipped(console: Console, count: int, environment: str) -> None:
    """Print how many messages a purge left alone, what waits for them, and how to settle them."""
    if count:
        console.print(
            f"{plural(count, 'message')} of unknown outcome left alone: other events with the same effects, "
            "and older states of their objects, wait until they are settled. To settle them, run "
            f"`huntaze-stripe dlq redrive --env {environment} --settle`. To delete them anyway, name them "
            "with --event-id, or add --include-unsettled: only a replay of the archive can settle them then",
            soft_wrap=True,
        )


def one_line(text: str) -> str:
    """Return a text of AWS without its line breaks and indents."""
    return " ".join(text.split())


def age(seconds: float) -> str:
    """Format a span of time in the largest unit of which there are two."""
    whole = max(0, int(seconds))
    for unit, length in _SECONDS.items():
        if whole >= 2 * length:
            return f"{whole // length}{unit}"
    return f"{whole}s"
