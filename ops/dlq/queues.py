"""The dead-letter queues of an environment, by short names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from functions.dead_letters.message import DeadLetterMessage
from functions.dead_letters.queue import DeadLetterQueue
from functions.shared import names
from infra.names import PROJECT
from ops.environment import Environment, aws_errors, if_exists
from ops.errors import OperatorError

FIFO: Final = ".fifo"
HANDLER_QUEUES: Final = {f"{handler}-dlq": handler for handler in names.HANDLERS}
AUDIT_QUEUES: Final = (
    *(f"audit-{group}-dlq" for group in (*names.HANDLERS, names.OTHER_MESSAGE_GROUP)),
    f"audit-dlq{FIFO}",
)
# The bus has one if it is encrypted with a key of ours, the log if the bus is logged.
BUS_QUEUE, LOG_QUEUE = "bus-dlq", "log-dlq"
NAMES: Final = (*HANDLER_QUEUES, *AUDIT_QUEUES, BUS_QUEUE, LOG_QUEUE)
OPTIONAL: Final = (BUS_QUEUE, LOG_QUEUE)


@dataclass(frozen=True)
class NamedQueue:
    """A dead-letter queue; `name` is its short name, `messages` reads it."""

    name: str
    messages: DeadLetterQueue

    @property
    def fifo(self) -> bool:
        """Whether it returns one batch of each message group at a time."""
        return self.name.endswith(FIFO)

    def size(self) -> int:
        """Return how many messages it holds, invisible ones included, as far as SQS knows.

        Raises
        ------
        OperatorError
            SQS refuses or does not answer.
        """
        wanted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        client: Any = self.messages.client
        with aws_errors(f"the queue {self.messages.name}"):
            answer = client.get_queue_attributes(QueueUrl=self.messages.url, AttributeNames=wanted)
            return sum(int(answer["Attributes"][name]) for name in wanted)


def is_unsettled(message: DeadLetterMessage, queue: NamedQueue) -> bool:
    """Return whether the outcome of a message's event is unknown; the log of the bus holds only copies."""
    return message.unsettled and queue.name != LOG_QUEUE


def find(environment: Environment, chosen: Sequence[str]) -> list[NamedQueue]:
    """Return the chosen queues, or all of the environment, in the order of `NAMES`.

    Raises
    ------
    OperatorError
        A name is unknown, or a required queue does not exist.
    """
    asked = {_short(environment, name) for name in chosen}
    client = environment.client("sqs")
    found = []
    for name in NAMES:
        if asked and name not in asked:
            continue
        full = full_name(environment, name)
        url = _url(client, full, optional=name in OPTIONAL and name not in asked)
        if url is not None:
            found.append(NamedQueue(name, DeadLetterQueue(full, url, client)))
    return found


def full_name(environment: Environment, name: str) -> str:
    """Return a queue's name in AWS."""
    return environment.resource(name.removesuffix(FIFO)) + (FIFO if name.endswith(FIFO) else "")


def _short(environment: Environment, name: str) -> str:
    """Return the short name of a queue; alarms show its name in AWS."""
    by_full = {full_name(environment, short): short for short in NAMES}
    short = by_full.get(name, name)
    if short in NAMES:
        return short
    other = "it belongs to another environment; correct --env, or " if name.startswith(PROJECT) else ""
    raise OperatorError(f"invalid --queue {name!r}: {other}use one of {', '.join(NAMES)}", usage=True)


def _url(client: Any, full: str, *, optional: bool) -> str | None:
    with aws_errors(f"the queue {full}"):
        if not optional:
            return str(client.get_queue_url(QueueName=full)["QueueUrl"])
        answer = if_exists(client.get_queue_url, QueueName=full)
        return None if answer is None else str(answer["QueueUrl"])
