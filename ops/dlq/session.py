"""What the four commands have in common: the options read, the queues found, a look, a question, an end."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import typer
from rich.console import Console

from functions.dead_letters.message import DeadLetterMessage
from ops import environment as environments
from ops.console import confirm, open_console, plural, print_json, require_terminal
from ops.dlq import filters as choices
from ops.dlq import json_output, tables
from ops.dlq import queues as places
from ops.dlq.drain import Letters, Seen, look
from ops.dlq.filters import Choice
from ops.dlq.interrupts import Interruption, interruption
from ops.dlq.queues import Queue, is_unsettled
from ops.environment import Environment
from ops.errors import OperatorError
from ops.progress import Steps

FASTEST = 100.0
# A letter is held for ten minutes, longer than the pause between two events.
SLOWEST = 0.01

Wanted = Callable[[DeadLetterMessage, Queue], bool]


@dataclass(frozen=True)
class Filters:
    """The filters as they were typed."""

    queues: Sequence[str] | None
    kinds: Sequence[str] | None
    reason: str
    event_types: Sequence[str] | None
    event_ids: Sequence[str] | None
    older_than: str


@dataclass(frozen=True)
class Session:
    """One command at work; make it with :func:`begin`."""

    environment: Environment
    queues: list[Queue]
    choice: Choice
    console: Console
    steps: Steps
    as_json: bool
    now: float

    def look(self) -> tuple[Letters, Seen]:
        """Return the chosen letters; they are back in their queues by then.

        Raises
        ------
        OperatorError
            A queue can't be read.
        typer.Exit
            Somebody interrupted.
        """
        with interruption() as interrupted:
            found = look(self.queues, self.choice, self.steps, interrupted)
        if interrupted:
            raise typer.Exit(interrupted.exit_code)
        return found

    def ask(
        self,
        question: Callable[[str, int], str],
        *,
        dry_run: bool,
        yes: bool,
        spared: Wanted = lambda _letter, _queue: False,
    ) -> Wanted | None:
        """Show what is chosen and ask, unless `yes`; return what may be touched, or None for nothing.

        The question is told how many, for example `2 letters`, and how many of them are unsettled. Of FIFO
        queues all that is chosen may be touched: they do not show it at once. What is `spared` is not chosen.

        Raises
        ------
        OperatorError
            The answer is no, or nobody can be asked.
        """
        if yes and not dry_run:
            return lambda letter, queue: self._takes(letter) and not spared(letter, queue)
        if not dry_run:
            require_terminal(as_json=self.as_json)
        letters, counts = self.look()
        letters = [item for item in letters if not spared(*item)]
        tables.show_groups(self.console, letters, self.now)
        tables.show_unseen(self.console, counts, self.queues)
        if dry_run:
            self.console.print("dry run: nothing was changed", highlight=False)
            if self.as_json:
                begin = {"environment": self.environment.name, "dry_run": True, "letters": len(letters)}
                groups = json_output.groups_document(letters, self.now)
                print_json(begin | {"unseen": counts.all_unseen, "groups": groups})
            return None
        if not letters and not counts.all_unseen:
            return lambda _letter, _queue: False
        least = "at least " if counts.all_unseen else ""
        asked = question(
            f"{least}{plural(len(letters), 'letter')}",
            sum(is_unsettled(letter, queue) for letter, queue in letters),
        )
        confirm(asked, yes=False, as_json=self.as_json)
        shown = {letter.message_id for letter, _ in letters}
        return lambda letter, queue: (
            self._takes(letter) and not spared(letter, queue) and (queue.fifo or letter.message_id in shown)
        )

    def _takes(self, letter: DeadLetterMessage) -> bool:
        """Whether a letter is chosen; one that came since the command began is left alone.

        It may be one that was handed back a moment ago, and was refused again.
        """
        return letter.failed_at <= self.now and self.choice.takes(letter)

    def document(self, interrupted: Interruption) -> dict[str, object]:
        """Return the begin of the document about what was done."""
        return {"environment": self.environment.name, "dry_run": False, "interrupted": bool(interrupted)}

    def end(
        self, interrupted: Interruption, stopped: OperatorError | None, left: str | None, unseen: int
    ) -> None:
        """End the command by what has come of it.

        Raises
        ------
        OperatorError
            Something failed, is left, or was not seen.
        typer.Exit
            Somebody interrupted.
        """
        if interrupted:
            raise typer.Exit(interrupted.exit_code)
        if stopped is not None:
            raise stopped
        if left is not None:
            raise OperatorError(left)
        if unseen:
            raise OperatorError(f"not seen: {plural(unseen, 'message')}; repeat the command in a few minutes")


def begin(env: str, filters: Filters, *, as_json: bool) -> Session:
    """Read the options and find the queues.

    Raises
    ------
    OperatorError
        An option is wrong, or a queue is not there.
    """
    now = datetime.now(UTC)
    choice = choices.read(
        kinds=filters.kinds or (),
        reason=filters.reason,
        event_types=filters.event_types or (),
        event_ids=filters.event_ids or (),
        older_than=filters.older_than,
        now=now,
    )
    environment = environments.connect(env, bus=False)
    queues = places.find(environment, filters.queues or ())
    console = open_console(as_json=as_json)
    return Session(environment, queues, choice, console, Steps(console), as_json, now.timestamp())


def rate(text: str) -> float:
    """Read how many events may be handed back in a second.

    Raises
    ------
    OperatorError
        It is no number, or out of bounds.
    """
    try:
        per_second = float(text)
    except ValueError:
        per_second = math.nan
    if not SLOWEST <= per_second <= FASTEST:
        raise OperatorError(
            f"--rate {text!r} is no rate: write events in a second, from {SLOWEST:g} to {FASTEST:g}",
            usage=True,
        )
    return per_second
