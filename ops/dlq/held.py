"""Messages received from queues, each of which is deleted or released, whatever happens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from functions.dead_letters.message import DeadLetterMessage
from functions.shared.aws import AwsError
from functions.shared.errors import EventError
from ops.dlq.interrupts import Interruption
from ops.dlq.queues import NamedQueue
from ops.environment import aws_errors
from ops.errors import OperatorError

# Visibility timeout of messages that are only read, should this program be killed.
LOOK_SECONDS: Final = 120
# The same for messages that are worked on; it is extended when half of it is over.
HOLD_SECONDS: Final = 600
# Messages of one queue that are worked on in one run: to extend so many takes seconds, not minutes, and the
# rest stays visible to others, the redrive function included.
MOST_HELD: Final = 10_000

# What to keep of a message in memory.
Kept = Callable[[DeadLetterMessage], DeadLetterMessage]


class HeldMessages:
    """The messages that are held at present, with their queues."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds
        self._since = time.monotonic()
        self._queues: dict[DeadLetterMessage, NamedQueue] = {}

    def __len__(self) -> int:
        return len(self._queues)

    def items(self) -> list[tuple[DeadLetterMessage, NamedQueue]]:
        """Return the messages and their queues, the oldest message first."""
        return sorted(self._queues.items(), key=lambda item: item[0].failed_at)

    def receive(
        self,
        queues: Sequence[NamedQueue],
        interrupted: Interruption,
        on_progress: Callable[[int], None],
        most: int | None = None,
        kept: Kept = lambda message: message,
    ) -> None:
        """Receive from all queues at once.

        Parameters
        ----------
        on_progress
            Called with the number of messages received so far.
        most
            How many messages to receive from each queue; None for no limit.
        kept
            Returns what to keep of a message.

        Raises
        ------
        OperatorError
            A queue can't be read; the messages of the others are held.
        """
        self._since = time.monotonic()
        receivers = [_Receiver(queue, self._seconds, interrupted, most, kept) for queue in queues]
        for receiver in receivers:
            receiver.start()
        for receiver in receivers:
            while receiver.is_alive():
                receiver.join(0.1)
                on_progress(sum(each.count for each in receivers))
            self._queues |= dict.fromkeys(receiver.messages, receiver.queue)
        for receiver in receivers:
            if isinstance(receiver.error, EventError):
                raise operator_error(f"the queue {receiver.queue.messages.name}", receiver.error)
            if receiver.error is not None:
                raise receiver.error

    def forget(self, message: DeadLetterMessage) -> None:
        """Forget a message that is deleted."""
        del self._queues[message]

    def release(self, messages: Sequence[DeadLetterMessage] | None = None) -> None:
        """Make messages, by default all that are held, visible to others again."""
        chosen = list(self._queues) if messages is None else messages
        by_queue: dict[NamedQueue, list[DeadLetterMessage]] = {}
        for message in chosen:
            by_queue.setdefault(self._queues.pop(message), []).append(message)
        for queue, its in by_queue.items():
            queue.messages.release(message.receipt for message in its)

    def extend(self) -> None:
        """Extend the visibility timeout of all messages when half of it is over."""
        if time.monotonic() - self._since < self._seconds / 2:
            return
        self._since = time.monotonic()
        for queue in set(self._queues.values()):
            its = [message.receipt for message, of in self._queues.items() if of is queue]
            queue.messages.change_visibility(its, visibility_timeout=self._seconds)


@contextmanager
def holding(seconds: int) -> Iterator[HeldMessages]:
    """Hold messages within the block, and release at its end those that are not deleted."""
    held = HeldMessages(seconds)
    try:
        yield held
    finally:
        held.release()


def operator_error(what: str, error: EventError) -> OperatorError:
    """Return an error of AWS as one for operators, with the next step."""
    cause = error.__cause__
    if isinstance(cause, AwsError):
        try:
            with aws_errors(what):
                raise cause
        except OperatorError as readable:
            return readable
    return OperatorError(f"{error.reason}: repeat the command")


class _InterruptedError(Exception):
    """Ends a receiver; the queue releases what it has received."""


class _Receiver(threading.Thread):
    """Receives the messages of one queue."""

    def __init__(
        self, queue: NamedQueue, seconds: int, interrupted: Interruption, most: int | None, kept: Kept
    ) -> None:
        super().__init__(daemon=True)
        self.queue = queue
        self.count = 0
        self.messages: list[DeadLetterMessage] = []
        self.error: BaseException | None = None
        self._seconds = seconds
        self._interrupted = interrupted
        self._most = most
        self._kept = kept

    def run(self) -> None:
        try:
            self.messages = self.queue.messages.receive_all(
                visibility_timeout=self._seconds, most=self._most, on_batch=self._count, kept=self._kept
            )
        except _InterruptedError:
            pass
        except BaseException as error:  # noqa: BLE001 (who waits for the thread raises it)
            self.error = error

    def _count(self, count: int) -> None:
        self.count += count
        if self._interrupted:
            raise _InterruptedError
