"""Receive the chosen messages: all queues once, and FIFO queues again until nothing new comes.

A FIFO queue returns the first ten messages of a group, and the next ones only when those are deleted.
Messages that arrive meanwhile, such as those that a handler parks again, are left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

from functions.dead_letters.message import DeadLetterMessage
from ops.console import plural
from ops.dlq.filters import Filters
from ops.dlq.held import HOLD_SECONDS, LOOK_SECONDS, MOST_HELD, HeldMessages, holding
from ops.dlq.interrupts import Interruption
from ops.dlq.queues import NamedQueue
from ops.progress import Steps

Messages = list[tuple[DeadLetterMessage, NamedQueue]]
Wanted = Callable[[DeadLetterMessage, NamedQueue], bool]


@dataclass
class QueueCounts:
    """How many messages the queues hold, and which of them were received.

    Parameters
    ----------
    sizes
        Messages by queue as SQS counted them at the start, invisible ones included.
    received
        The ids of the received messages by queue.
    """

    sizes: dict[str, int]
    received: dict[str, set[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, queues: Sequence[NamedQueue]) -> QueueCounts:
        """Count the messages of queues.

        Raises
        ------
        OperatorError
            SQS refuses or does not answer.
        """
        return cls({queue.name: queue.size() for queue in queues})

    def unseen(self, queue: str) -> int:
        """How many messages of a queue were not received: others hold them, or their group blocks them."""
        return max(0, self.sizes[queue] - len(self.received.get(queue, ())))

    @property
    def all_unseen(self) -> int:
        """How many messages of all queues were not received."""
        return sum(self.unseen(queue) for queue in self.sizes)

    def add(self, messages: Messages) -> list[tuple[DeadLetterMessage, NamedQueue]]:
        """Count messages as received, and return those that are new."""
        new = [
            (message, queue)
            for message, queue in messages
            if message.message_id not in self.received.get(queue.name, ())
        ]
        for message, queue in messages:
            self.received.setdefault(queue.name, set()).add(message.message_id)
        return new


def inspect(
    queues: Sequence[NamedQueue],
    filters: Filters,
    steps: Steps,
    interrupted: Interruption,
    *,
    whole: bool = True,
) -> tuple[Messages, QueueCounts]:
    """Return the chosen messages, oldest first; all are released by then.

    Parameters
    ----------
    whole
        Whether the chosen messages are needed with their events, and not only brief.

    Raises
    ------
    OperatorError
        A queue can't be read.
    """
    counts = QueueCounts.of(queues)
    with steps.step("read the queues") as step, holding(LOOK_SECONDS) as held:
        held.receive(
            queues,
            interrupted,
            lambda count: step.advance_to(count),
            kept=lambda message: message if whole and filters.match(message) else message.brief(),
        )
        messages = held.items()
        step.note = plural(len(messages), "message")
    counts.add(messages)
    return [(message, queue) for message, queue in messages if filters.match(message)], counts


def batches(
    queues: Sequence[NamedQueue], wanted: Wanted, steps: Steps, interrupted: Interruption, counts: QueueCounts
) -> Generator[tuple[HeldMessages, Messages], None, None]:
    """Yield the wanted messages batch by batch; the others are released at once.

    After each batch, and when the generator is closed, every message that is still held is released.

    Raises
    ------
    OperatorError
        A queue can't be read.
    """
    remaining = list(queues)
    while remaining and not interrupted:
        with holding(HOLD_SECONDS) as held:
            with steps.step("receive messages") as step:
                held.receive(remaining, interrupted, lambda count: step.advance_to(count), MOST_HELD)
                step.note = plural(len(held), "message")
            new = counts.add(held.items())
            batch = [item for item in new if wanted(*item)]
            kept = {message for message, _ in batch}
            held.release([message for message, _ in held.items() if message not in kept])
            if batch and not interrupted:
                yield held, batch
        with_new = {queue.name for _, queue in new}
        remaining = [queue for queue in remaining if queue.fifo and queue.name in with_new]
