"""The way back of each dead-letter queue: to its handler, to the audit's queue, or to both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from botocore.config import Config

from functions.dead_letters.message import UNKNOWN, DeadLetterMessage
from functions.dead_letters.redrive import (
    FAILED,
    NO_ENVELOPE,
    AuditQueueTarget,
    HandlerTarget,
    RedriveTarget,
    Result,
)
from functions.pipeline import routing_table
from functions.shared import names
from ops.dlq.queues import AUDIT_QUEUES, BUS_QUEUE, FIFO, HANDLER_QUEUES, LOG_QUEUE, Queue
from ops.environment import CONFIG, Environment, aws_errors

NO_WAY = "the log is written by EventBridge alone: purge it, the ledger holds the event"


@dataclass(frozen=True)
class ToAudit:
    """To the audit's queue, but for a record of the audit function itself, which is no event."""

    queue: AuditQueueTarget

    def send(self, letter: DeadLetterMessage) -> Result:
        """Send the envelope. Raises as :meth:`HandlerTarget.send` does."""
        if not isinstance(letter.envelope, dict) or not isinstance(letter.envelope.get("detail"), dict):
            return Result(FAILED, UNKNOWN, NO_ENVELOPE)
        return self.queue.send(letter)


@dataclass(frozen=True)
class ToAll:
    """Where the rules would have sent an event that the bus could not take: its handler, then the audit."""

    handlers: Mapping[str, HandlerTarget]
    audit: ToAudit

    def send(self, letter: DeadLetterMessage) -> Result:
        """Hand the envelope to both. Raises as :meth:`HandlerTarget.send` does."""
        route = routing_table.ROUTES.get(letter.event_type or "")
        if route is None:
            return self.audit.send(letter)
        result = self.handlers[route.handler].send(letter)
        if result.settled:
            self.audit.send(letter)
        return result


@dataclass(frozen=True)
class Nowhere:
    """No way back."""

    reason: str

    def send(self, _letter: DeadLetterMessage, /) -> Result:
        """Fail."""
        return Result(FAILED, UNKNOWN, self.reason)


def ways(environment: Environment, queues: Sequence[Queue], *, settle: bool) -> dict[str, RedriveTarget]:
    """Return the way back of each queue by the queue's name; ``settle`` as for :class:`HandlerTarget`.

    Raises
    ------
    OperatorError
        A function or the audit's queue is not there.
    """
    names = {queue.name for queue in queues}
    wanted = {handler for name, handler in HANDLER_QUEUES.items() if {name, BUS_QUEUE} & names}
    handlers = _handlers(environment, wanted, settle=settle)
    found: dict[str, RedriveTarget] = {
        name: handlers[handler] for name, handler in HANDLER_QUEUES.items() if name in names
    }
    if names & {*AUDIT_QUEUES, BUS_QUEUE}:
        audit = _audit(environment)
        found |= {name: audit for name in AUDIT_QUEUES if name in names}
        found[BUS_QUEUE] = ToAll(handlers, audit)
    found[LOG_QUEUE] = Nowhere(NO_WAY)
    return found


def _handlers(environment: Environment, families: set[str], *, settle: bool) -> dict[str, HandlerTarget]:
    settings = {
        names.PAYMENTS: environment.settings.payments,
        names.BILLING: environment.settings.billing,
    }
    longest = max((settings[family].timeout_seconds for family in families), default=0)
    # A repeated call would invoke the function a second time.
    waiting = Config(read_timeout=longest + names.START_SECONDS, retries={"total_max_attempts": 1})
    client = environment.client("lambda", CONFIG.merge(waiting))
    found = {}
    for family in sorted(families):
        name = environment.resource(family)
        with aws_errors(f"the function {name}"):
            client.get_function_configuration(FunctionName=name)
        found[family] = HandlerTarget(name, client, settle=settle)
    return found


def _audit(environment: Environment) -> ToAudit:
    name = environment.resource("events") + FIFO
    client = environment.client("sqs")
    with aws_errors(f"the queue {name}"):
        url = client.get_queue_url(QueueName=name)["QueueUrl"]
    return ToAudit(AuditQueueTarget(url, client))
