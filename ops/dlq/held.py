"""Letters taken out of queues, of which each is deleted or given back, whatever happens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from functions.dead_letters.message import DeadLetterMessage
from functions.shared.aws import AwsError
from functions.shared.errors import EventError
from ops.dlq.interrupts import Interruption
from ops.dlq.queues import Queue
from ops.environment import aws_errors
from ops.errors import OperatorError

# Seconds in which letters that are only looked at are hidden from others, should this program be killed.
LOOK_SECONDS = 120
# The same for letters that are worked on; it begins anew when half of it is over.
HOLD_SECONDS = 600
# Letters of one queue that are worked on in one run: to hide so many anew takes seconds, not minutes, and
# those beyond stay where others, the redrive function too, can take them.
MOST_HELD = 10_000


class Held:
    """The letters that are held at present, oldest first, with their queues."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds
        self._since = time.monotonic()
        self._queues: dict[DeadLetterMessage, Queue] = {}

    def __len__(self) -> int:
        return len(self._queues)

    def items(self) -> list[tuple[DeadLetterMessage, Queue]]:
        """Return the letters and their queues, the oldest letter first."""
        return sorted(self._queues.items(), key=lambda item: item[0].failed_at)

    def take(
        self,
        queues: Sequence[Queue],
        interrupted: Interruption,
        told: Callable[[int], None],
        most: int | None = None,
    ) -> None:
        """Take what the queues show, all at once; `told` hears how many letters there are so far.

        ``most`` is how many letters of each queue are taken at most.

        Raises
        ------
        OperatorError
            A queue can't be read; what the others gave is held.
        """
        self._since = time.monotonic()
        takers = [_Taker(queue, self._seconds, interrupted, most) for queue in queues]
        for taker in takers:
            taker.start()
        for taker in takers:
            while taker.is_alive():
                taker.join(0.1)
                told(sum(each.count for each in takers))
            self._queues |= dict.fromkeys(taker.letters, taker.queue)
        for taker in takers:
            if isinstance(taker.error, EventError):
                raise operator_error(f"the queue {taker.queue.letters.name}", taker.error)
            if taker.error is not None:
                raise taker.error

    def settled(self, letter: DeadLetterMessage) -> None:
        """Forget a letter that is deleted."""
        del self._queues[letter]

    def give_back(self, letters: Sequence[DeadLetterMessage] | None = None) -> None:
        """Show letters to others again, or all that are held."""
        chosen = list(self._queues) if letters is None else letters
        by_queue: dict[Queue, list[DeadLetterMessage]] = {}
        for letter in chosen:
            by_queue.setdefault(self._queues.pop(letter), []).append(letter)
        for queue, its in by_queue.items():
            queue.letters.release(letter.receipt for letter in its)

    def keep(self) -> None:
        """Hide the letters for longer where half of their time is over."""
        if time.monotonic() - self._since < self._seconds / 2:
            return
        self._since = time.monotonic()
        for queue in set(self._queues.values()):
            its = [letter.receipt for letter, of in self._queues.items() if of is queue]
            queue.letters.change_visibility(its, visibility_timeout=self._seconds)


@contextmanager
def holding(seconds: int) -> Iterator[Held]:
    """Hold letters within the block; what is still held at its end is given back."""
    held = Held(seconds)
    try:
        yield held
    finally:
        held.give_back()


def operator_error(what: str, error: EventError) -> OperatorError:
    """Tell a person what AWS said, with the next step."""
    cause = error.__cause__
    if isinstance(cause, AwsError):
        try:
            with aws_errors(what):
                raise cause
        except OperatorError as told:
            return told
    return OperatorError(f"{error.reason}: repeat the command")


class _InterruptedError(Exception):
    """Ends a take; the queue gives back what it has taken."""


class _Taker(threading.Thread):
    """Takes the letters of one queue."""

    def __init__(self, queue: Queue, seconds: int, interrupted: Interruption, most: int | None) -> None:
        super().__init__(daemon=True)
        self.queue = queue
        self.count = 0
        self.letters: list[DeadLetterMessage] = []
        self.error: BaseException | None = None
        self._seconds = seconds
        self._interrupted = interrupted
        self._most = most

    def run(self) -> None:
        try:
            self.letters = self.queue.letters.receive_all(
                visibility_timeout=self._seconds, most=self._most, on_batch=self._told
            )
        except _InterruptedError:
            pass
        except BaseException as error:  # noqa: BLE001 (who waits for the thread raises it)
            self.error = error

    def _told(self, count: int) -> None:
        self.count += count
        if self._interrupted:
            raise _InterruptedError
