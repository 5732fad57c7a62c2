"""Dead-letter messages that concern a customer: look at all without keeping any, and delete some."""

from __future__ import annotations

from contextlib import closing
from typing import Any, Final

from functions.dead_letters.message import DeadLetterMessage
from functions.shared.errors import EventError
from ops.customer.search import About, about
from ops.dlq.drain import Messages, QueueCounts, batches
from ops.dlq.held import operator_error
from ops.dlq.interrupts import Interruption
from ops.dlq.queues import NamedQueue
from ops.progress import Steps

NOBODY: Final = About(frozenset(), frozenset())


def whom(message: DeadLetterMessage, customer: str) -> About:
    """Return whom and what a message is about; one without an event counts by its text."""
    detail = message.envelope.get("detail") if isinstance(message.envelope, dict) else None
    if isinstance(detail, dict):
        return about(detail)
    return About(frozenset({customer}), frozenset()) if customer in message.body else NOBODY


def delete(queues: list[NamedQueue], chosen: Messages, steps: Steps, interrupted: Interruption) -> int:
    """Delete chosen messages, and return how many; each stays if it is never received again.

    Raises
    ------
    OperatorError
        A queue can't be read, or refuses.
    """
    ids = {message.message_id for message, _ in chosen}
    deleted = 0
    counts = QueueCounts.of(queues)
    received: Any = batches(
        queues, lambda message, _queue: message.message_id in ids, steps, interrupted, counts
    )
    with closing(received):
        for held, messages in received:
            for message, queue in messages:
                if interrupted:
                    break
                held.extend()
                try:
                    queue.messages.delete(message)
                except EventError as error:
                    raise operator_error(f"the queue {queue.messages.name}", error) from error
                held.forget(message)
                deleted += 1
    return deleted
