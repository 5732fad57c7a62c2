"""Tables of dead letters, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from functions.dead_letters.redrive import FAILED, RESULTS
from ops.console import plural
from ops.dlq.drain import Letters, Seen
from ops.dlq.queues import Queue
from ops.dlq.redrive import Work

MEANING = {
    "applied": "the API has it now",
    "recorded": "a type that is only noted",
    "duplicate": "it was applied before",
    "stale": "a newer state was applied before",
    "queued": "on its way to the ledger",
    "parked": "refused again; a new message tells why",
    FAILED: "still in its queue",
}
_SECONDS = {"d": 86_400, "h": 3600, "m": 60}


@dataclass(frozen=True)
class Group:
    """Letters that failed alike; `oldest` is when the oldest came, in Unix seconds."""

    queue: str
    kind: str
    reason: str
    event_type: str | None
    count: int
    oldest: float


def groups(letters: Letters) -> list[Group]:
    """Group letters by queue, kind, reason and event type."""
    found: dict[tuple[str, str, str, str | None], list[float]] = {}
    for letter, queue in letters:
        key = (queue.name, letter.kind, letter.reason, letter.event_type)
        found.setdefault(key, []).append(letter.failed_at)
    made = [Group(*key, count=len(times), oldest=min(times)) for key, times in found.items()]
    return sorted(made, key=lambda group: (group.queue, group.oldest))


def show_groups(console: Console, letters: Letters, now: float) -> None:
    """Print the groups, and their sum."""
    table = Table(title="Dead letters", title_justify="left")
    # A queue's name is copied into the next command.
    table.add_column("Queue", no_wrap=True)
    for column in ("Kind", "Reason", "Event type"):
        table.add_column(column)
    table.add_column("Letters", justify="right")
    table.add_column("Oldest", justify="right")
    for group in groups(letters):
        table.add_row(
            group.queue,
            group.kind,
            one_line(group.reason),
            group.event_type or "",
            str(group.count),
            age(now - group.oldest),
        )
    table.add_section()
    oldest = age(now - min(letter.failed_at for letter, _ in letters)) if letters else ""
    table.add_row("all", "", "", "", str(len(letters)), oldest)
    console.print(table)


def show_unseen(console: Console, counts: Seen, queues: Sequence[Queue]) -> None:
    """Print how many messages of each queue could not be seen, and why that may be."""
    for queue in queues:
        if number := counts.unseen(queue.name):
            behind = " or wait behind others of their group" if queue.fifo else ""
            console.print(
                f"{queue.name}: {plural(number, 'more message')} not seen: others hold them{behind}",
                highlight=False,
            )


def show_work(console: Console, work: Work) -> None:
    """Print what became of the letters, and why some failed."""
    table = Table(title="Handed back", title_justify="left")
    table.add_column("Outcome")
    table.add_column("Events", justify="right")
    table.add_column("Which means")
    outcomes = work.outcomes()
    for outcome in RESULTS:
        if outcomes[outcome]:
            table.add_row(outcome, str(outcomes[outcome]), MEANING[outcome])
    if work.not_tried:
        table.add_row("not tried", str(work.not_tried), "given back to its queue")
    table.add_section()
    table.add_row("all", str(len(work.handed) + work.not_tried), "")
    console.print(table)
    for (queue, reason), count in sorted(failures(work).items()):
        console.print(f"{count} of {queue} failed: {one_line(reason)}")


def redrive_question(letters: str, settled: int) -> str:
    """Ask whether to hand letters back, `settled` of which are to be settled by the API's answer."""
    last_word = (
        f", and take the API's answer as the last word on {plural(settled, 'event')} of unknown outcome"
        if settled
        else ""
    )
    return f"Hand {letters} back{last_word}?"


def purge_question(letters: str, unsettled: int, file: Path) -> str:
    """Ask whether to delete letters, `unsettled` of which other events may wait for."""
    waited_for = f", {unsettled} of unknown outcome, for which other events wait" if unsettled else ""
    return f"Delete {letters}{waited_for}, after writing to {file}?"


def show_spared(console: Console, count: int, environment: str) -> None:
    """Print how many letters a purge left alone, what waits for them, and how they are settled."""
    if count:
        console.print(
            f"{plural(count, 'letter')} of unknown outcome left alone: other events of their effects, "
            "and older states of their objects, wait until they are settled. `huntaze-stripe dlq redrive "
            f"--env {environment} --settle` settles them. To delete them all the same, name them by "
            "--event-id, or add --include-unsettled: a replay of the archive can settle them then",
            highlight=False,
            markup=False,
        )


def failures(work: Work) -> Counter[tuple[str, str]]:
    """Count what failed by queue and reason."""
    return Counter(
        (each.queue.name, each.result.reason or "") for each in work.handed if not each.result.settled
    )


def one_line(text: str) -> str:
    """Return a text of AWS without its line breaks and indents."""
    return " ".join(text.split())


def age(seconds: float) -> str:
    """Write a span of time in the largest unit of which there are two."""
    whole = max(0, int(seconds))
    for unit, length in _SECONDS.items():
        if whole >= 2 * length:
            return f"{whole // length}{unit}"
    return f"{whole}s"
