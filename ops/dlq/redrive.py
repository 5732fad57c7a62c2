"""Redrive the chosen messages at a bounded rate, oldest first, and keep those that fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final

from rich.console import Console

from functions.dead_letters.message import TRANSIENT, DeadLetterMessage
from functions.dead_letters.redrive import FAILED, OUTCOMES, PARKED, RedriveResult, RedriveTarget, redrive
from functions.shared.errors import ConfigurationError, EventError
from functions.shared.rate_limiter import RateLimiter
from ops.console import PlainTable, styled
from ops.dlq.drain import QueueCounts, Wanted, batches
from ops.dlq.held import HeldMessages, operator_error
from ops.dlq.interrupts import Interruption
from ops.dlq.queues import NamedQueue
from ops.dlq.session import Session
from ops.dlq.tables import one_line
from ops.errors import OperatorError

MEANINGS: Final = {
    "applied": "applied by the API",
    "recorded": "its type needs no call",
    "duplicate": "applied before",
    "stale": "a newer state was applied before",
    "queued": "sent to the audit queue",
    "parked": "refused again; a new message holds the reason",
    FAILED: "still in its queue",
}
# After so many calls in a row that AWS did not answer, the next one would not succeed either.
ERRORS_IN_A_ROW: Final = 3


@dataclass(frozen=True)
class Redriven:
    """One message and its outcome."""

    message: DeadLetterMessage
    queue: NamedQueue
    result: RedriveResult


@dataclass
class RedriveRun:
    """What was done so far.

    Parameters
    ----------
    errors
        How many calls in a row AWS has not answered.
    stopped
        Why it ended early.
    """

    counts: QueueCounts
    redriven: list[Redriven] = field(default_factory=list)
    not_tried: int = 0
    errors: int = 0
    stopped: OperatorError | None = None

    def outcomes(self) -> Counter[str]:
        """Count the messages by outcome."""
        return Counter(each.result.outcome for each in self.redriven)

    def failures(self) -> Counter[tuple[str, str]]:
        """Count the failed messages by queue and reason."""
        return Counter(
            (each.queue.name, each.result.reason or "") for each in self.redriven if not each.result.settled
        )

    @property
    def left(self) -> int:
        """How many chosen events are still in their queues, those that were parked again included."""
        return self.outcomes()[FAILED] + self.outcomes()[PARKED] + self.not_tried

    def show(self, console: Console) -> None:
        """Print the outcomes, and why messages failed."""
        table = PlainTable(
            "Outcome", "Events", "Meaning", title="Redriven", text=("Meaning",), keep=("Events",)
        )
        outcomes = self.outcomes()
        for outcome in OUTCOMES:
            if outcomes[outcome]:
                style = "red" if outcome in (FAILED, PARKED) else ""
                table.add_row(styled(outcome, style), str(outcomes[outcome]), MEANINGS[outcome])
        if self.not_tried:
            table.add_row("not tried", str(self.not_tried), "released to its queue")
        table.add_total("all", str(len(self.redriven) + self.not_tried), "")
        console.print(table)
        for (queue, reason), count in sorted(self.failures().items()):
            console.print(f"{count} of {queue} failed: {one_line(reason)}", soft_wrap=True)

    def document(self) -> dict[str, Any]:
        """Return the outcomes for programs."""
        return {
            "outcomes": {outcome: self.outcomes()[outcome] for outcome in OUTCOMES},
            "not_tried": self.not_tried,
            "left": self.left,
            "unseen": self.counts.all_unseen,
            "failures": [
                {"queue": queue, "reason": reason, "letters": count}
                for (queue, reason), count in sorted(self.failures().items())
            ],
            "letters": [
                {
                    "queue": each.queue.name,
                    "message_id": each.message.message_id,
                    "event_id": each.message.event_id,
                    "event_type": each.message.event_type,
                    "outcome": each.result.outcome,
                    "reason": each.result.reason,
                }
                for each in self.redriven
            ],
        }


def run(
    session: Session,
    targets: Mapping[str, RedriveTarget],
    wanted: Wanted,
    per_second: float,
    interrupted: Interruption,
) -> RedriveRun:
    """Redrive the wanted messages and return the outcomes, also if it ended early.

    Raises
    ------
    OperatorError
        A queue can't be read; nothing was redriven then.
    """
    work = RedriveRun(QueueCounts.of(session.queues))
    limiter = RateLimiter(per_second, interrupted.sleep)
    try:
        with closing(batches(session.queues, wanted, session.steps, interrupted, work.counts)) as received:
            for held, messages in received:
                with session.steps.step("redrive") as step:
                    work.not_tried = len(messages)
                    for message, queue in messages:
                        done = len(messages) - work.not_tried
                        step.advance_to(done, len(messages), f"{work.outcomes()[FAILED]} failed")
                        held.extend()
                        limiter.wait()
                        if interrupted or work.stopped:
                            break
                        _redrive(message, queue, targets[queue.name], held, work)
                    counts = sorted(work.outcomes().items())
                    step.note = ", ".join(f"{count} {outcome}" for outcome, count in counts)
                if work.stopped:
                    break
    except OperatorError as error:
        if not work.redriven:
            raise
        work.stopped = error
    return work


def _redrive(
    message: DeadLetterMessage, queue: NamedQueue, target: RedriveTarget, held: HeldMessages, work: RedriveRun
) -> None:
    try:
        result, work.errors = redrive(message, queue.messages, target), 0
    except EventError as error:
        result, work.errors = RedriveResult(FAILED, TRANSIENT, error.reason), work.errors + 1
        if isinstance(error, ConfigurationError) or work.errors == ERRORS_IN_A_ROW:
            work.stopped = operator_error(f"the redrive target of {queue.name}", error)
    work.redriven.append(Redriven(message, queue, result))
    work.not_tried -= 1
    if result.settled:
        held.forget(message)
    else:
        held.release([message])
