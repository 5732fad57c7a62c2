"""What the four commands have in common: the queues, a look into them, a question, an end."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import typer
from rich.console import Console

from functions.dead_letters.message import DeadLetterMessage
from ops import environment as environments
from ops.console import confirm, open_console, plural, print_json, print_line, require_terminal
from ops.dlq import json_output, tables
from ops.dlq import queues as dead_letter_queues
from ops.dlq.drain import Messages, QueueCounts, Wanted, inspect
from ops.dlq.filters import Filters
from ops.dlq.interrupts import Interruption, interruption
from ops.dlq.queues import NamedQueue, is_unsettled
from ops.environment import Environment
from ops.errors import OperatorError
from ops.progress import Steps

FASTEST: Final = 100.0
# A message is held for ten minutes, longer than the pause between two of them.
SLOWEST: Final = 0.01


@dataclass(frozen=True)
class Session:
    """One command at work; make it with `begin`.

    Parameters
    ----------
    now
        When it began, in Unix seconds.
    """

    environment: Environment
    queues: list[NamedQueue]
    filters: Filters
    console: Console
    steps: Steps
    as_json: bool
    now: float

    def inspect(self, *, whole: bool = False) -> tuple[Messages, QueueCounts]:
        """Return the chosen messages; they are back in their queues by then.

        Parameters
        ----------
        whole
            Whether they are needed with their events, and not only brief.

        Raises
        ------
        OperatorError
            A queue can't be read.
        typer.Exit
            A signal interrupted.
        """
        with interruption() as interrupted:
            found = inspect(self.queues, self.filters, self.steps, interrupted, whole=whole)
        if interrupted:
            raise typer.Exit(interrupted.exit_code)
        return found

    def ask(
        self,
        question: Callable[[str, int], str],
        *,
        dry_run: bool,
        yes: bool,
        skipped: Wanted = lambda _message, _queue: False,
    ) -> Wanted | None:
        """Show what is chosen and ask, unless `yes`; return what may be touched, or None for nothing.

        Of FIFO queues everything that is chosen may be touched, because they do not return it at once.

        Parameters
        ----------
        question
            Makes the question of a count, for example `2 messages`, and of how many of them have an unknown
            outcome.
        skipped
            Which messages are not chosen although the filters match.

        Raises
        ------
        OperatorError
            The answer is no, or there is no terminal to ask on.
        """
        if yes and not dry_run:
            return lambda message, queue: self._chooses(message) and not skipped(message, queue)
        if not dry_run:
            require_terminal(as_json=self.as_json)
        messages, counts = self.inspect()
        messages = [item for item in messages if not skipped(*item)]
        tables.show_groups(self.console, messages, self.now)
        tables.show_unseen(self.console, counts, self.queues)
        if dry_run:
            print_line("dry run: nothing was changed", as_json=self.as_json)
            if self.as_json:
                document = {"environment": self.environment.name, "dry_run": True, "letters": len(messages)}
                groups = json_output.groups_document(messages, self.now)
                print_json(document | {"unseen": counts.all_unseen, "groups": groups})
            return None
        if not messages and not counts.all_unseen:
            return lambda _message, _queue: False
        least = "at least " if counts.all_unseen else ""
        unsettled = sum(is_unsettled(message, queue) for message, queue in messages)
        text = question(f"{least}{plural(len(messages), 'message')}", unsettled)
        confirm(text, yes=False, as_json=self.as_json)
        shown = {message.message_id for message, _ in messages}
        return lambda message, queue: (
            self._chooses(message)
            and not skipped(message, queue)
            and (queue.fifo or message.message_id in shown)
        )

    def _chooses(self, message: DeadLetterMessage) -> bool:
        """Return whether the filters match a message that was there when the command began.

        A younger one may be one that was redriven a moment ago and refused again.
        """
        return message.failed_at <= self.now and self.filters.match(message)

    def finish(
        self,
        interrupted: Interruption,
        document: dict[str, Any],
        counts: QueueCounts,
        *,
        stopped: OperatorError | None,
        left: str | None,
    ) -> None:
        """Report what was done, and end the command.

        Parameters
        ----------
        stopped
            The error that ended the work early.
        left
            What is left to do.

        Raises
        ------
        OperatorError
            Something failed, is left, or was not seen.
        typer.Exit
            A signal interrupted.
        """
        tables.show_unseen(self.console, counts, self.queues)
        if self.as_json:
            begin = {"environment": self.environment.name, "dry_run": False, "interrupted": bool(interrupted)}
            print_json(begin | document)
        if interrupted:
            raise typer.Exit(interrupted.exit_code)
        if stopped is not None:
            raise stopped
        if left is not None:
            raise OperatorError(left)
        if counts.all_unseen:
            unseen = plural(counts.all_unseen, "message")
            raise OperatorError(f"not seen: {unseen}; repeat the command in a few minutes")


def begin(env: str, filters: Filters, *, as_json: bool) -> Session:
    """Find the environment and the chosen queues.

    Raises
    ------
    OperatorError
        The environment or a queue is unknown, or a queue does not exist.
    """
    now = datetime.now(UTC).timestamp()
    environment = environments.connect(env, bus=False)
    queues = dead_letter_queues.find(environment, filters.queue or ())
    console = open_console(as_json=as_json)
    return Session(environment, queues, filters, console, Steps(console), as_json, now)


def parse_rate(text: str) -> float:
    """Parse how many events are redriven in a second at most.

    Raises
    ------
    OperatorError
        It is not a number, or out of range.
    """
    try:
        per_second = float(text)
    except ValueError:
        per_second = math.nan
    if not SLOWEST <= per_second <= FASTEST:
        raise OperatorError(
            f"invalid --rate {text!r}: expected events per second, {SLOWEST:g} to {FASTEST:g}", usage=True
        )
    return per_second
