"""Hand chosen letters back at a bounded rate, oldest first, and keep what could not be handed over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from functions.dead_letters.message import TRANSIENT, DeadLetterMessage
from functions.dead_letters.redrive import FAILED, PARKED, RedriveTarget, Result, redrive
from functions.shared.errors import ConfigurationError, EventError
from functions.shared.rate_limiter import RateLimiter
from ops.dlq.drain import Letters, Seen, rounds
from ops.dlq.held import Held, operator_error
from ops.dlq.interrupts import Interruption
from ops.dlq.queues import Queue
from ops.errors import OperatorError
from ops.progress import Step, Steps

# After so many calls in a row that AWS did not answer, the next would meet the same.
ERRORS_IN_A_ROW = 3


@dataclass(frozen=True)
class Handed:
    """One letter and what became of it."""

    letter: DeadLetterMessage
    queue: Queue
    result: Result


@dataclass
class Work:
    """What was done so far; `stopped` says why it ended early."""

    counts: Seen
    handed: list[Handed] = field(default_factory=list)
    not_tried: int = 0
    stopped: OperatorError | None = None

    def outcomes(self) -> Counter[str]:
        """Count the letters by what became of them."""
        return Counter(each.result.outcome for each in self.handed)

    @property
    def left(self) -> int:
        """How many chosen events are still in their queues, those that were parked again included."""
        return self.outcomes()[FAILED] + self.outcomes()[PARKED] + self.not_tried


def hand_back(
    queues: Sequence[Queue],
    wanted: Callable[[DeadLetterMessage, Queue], bool],
    ways: Mapping[str, RedriveTarget],
    per_second: float,
    steps: Steps,
    interrupted: Interruption,
) -> Work:
    """Hand the wanted letters back and return what was done, also where it ended early.

    Raises
    ------
    OperatorError
        A queue can't be read; nothing was handed back then.
    """
    work = Work(Seen({queue.name: queue.size() for queue in queues}))
    limiter = RateLimiter(per_second, interrupted.sleep)
    try:
        with closing(rounds(queues, wanted, steps, interrupted, work.counts)) as taken:
            for held, letters in taken:
                with steps.step("hand events back") as step:
                    _round(held, letters, ways, limiter, step, interrupted, work)
                if work.stopped:
                    break
    except OperatorError as error:
        if not work.handed:
            raise
        work.stopped = error
    return work


def _round(
    held: Held,
    letters: Letters,
    ways: Mapping[str, RedriveTarget],
    limiter: RateLimiter,
    step: Step,
    interrupted: Interruption,
    work: Work,
) -> None:
    errors = 0
    work.not_tried = len(letters)
    for done, (letter, queue) in enumerate(letters):
        step.advance_to(done, len(letters), f"{work.outcomes()[FAILED]} failed")
        held.keep()
        limiter.wait()
        if interrupted:
            break
        try:
            result = redrive(letter, queue.letters, ways[queue.name])
            errors = 0
        except EventError as error:
            result = Result(FAILED, TRANSIENT, error.reason)
            errors += 1
            if isinstance(error, ConfigurationError) or errors == ERRORS_IN_A_ROW:
                work.stopped = operator_error(f"the way back of {queue.name}", error)
        work.handed.append(Handed(letter, queue, result))
        work.not_tried -= 1
        if result.settled:
            held.settled(letter)
        else:
            held.give_back([letter])
        if work.stopped:
            break
    step.advance_to(len(letters) - work.not_tried, len(letters))
    step.note = ", ".join(f"{count} {outcome}" for outcome, count in sorted(work.outcomes().items()))
