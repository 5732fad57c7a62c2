"""The redrive target of each dead-letter queue: its handler, the audit queue, or both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from botocore.config import Config

from functions.dead_letters.message import UNKNOWN, DeadLetterMessage
from functions.dead_letters.redrive import (
    FAILED,
    NO_ENVELOPE,
    AuditQueueTarget,
    HandlerTarget,
    RedriveResult,
    RedriveTarget,
)
from functions.pipeline import routing_table
from functions.shared import names
from ops.dlq.queues import AUDIT_QUEUES, BUS_QUEUE, FIFO, HANDLER_QUEUES, LOG_QUEUE, NamedQueue
from ops.environment import CONFIG, Environment, aws_errors

ONLY_A_COPY: Final = "only EventBridge writes to the log: purge the message, the ledger holds the event"


@dataclass(frozen=True)
class AuditTarget:
    """The audit queue, but not for a failure record of the audit function itself, which is not an event."""

    queue: AuditQueueTarget

    def send(self, message: DeadLetterMessage) -> RedriveResult:
        """Send the envelope.

        Raises
        ------
        TransientError, ConfigurationError
            SQS did not answer, or refused.
        """
        if not isinstance(message.envelope, dict) or not isinstance(message.envelope.get("detail"), dict):
            return RedriveResult(FAILED, UNKNOWN, NO_ENVELOPE)
        return self.queue.send(message)


@dataclass(frozen=True)
class RulesTarget:
    """Where the rules send an event: its handler, then the audit queue."""

    handlers: Mapping[str, HandlerTarget]
    audit: AuditTarget

    def send(self, message: DeadLetterMessage) -> RedriveResult:
        """Send the envelope to both.

        Raises
        ------
        TransientError, ConfigurationError
            Lambda or SQS did not answer, or refused.
        """
        route = routing_table.ROUTES.get(message.event_type or "")
        if route is None:
            return self.audit.send(message)
        result = self.handlers[route.handler].send(message)
        if result.settled:
            self.audit.send(message)
        return result


@dataclass(frozen=True)
class NoTarget:
    """For messages that can't be redriven."""

    reason: str

    def send(self, _message: DeadLetterMessage, /) -> RedriveResult:
        """Fail."""
        return RedriveResult(FAILED, UNKNOWN, self.reason)


def find(environment: Environment, queues: Sequence[NamedQueue], *, settle: bool) -> dict[str, RedriveTarget]:
    """Return the redrive target of each queue by the queue's name; `settle` as for `HandlerTarget`.

    Raises
    ------
    OperatorError
        A function or the audit queue does not exist.
    """
    chosen = {queue.name for queue in queues}
    wanted = {handler for name, handler in HANDLER_QUEUES.items() if {name, BUS_QUEUE} & chosen}
    handlers = _handlers(environment, wanted, settle=settle)
    found: dict[str, RedriveTarget] = {
        name: handlers[handler] for name, handler in HANDLER_QUEUES.items() if name in chosen
    }
    if chosen & {*AUDIT_QUEUES, BUS_QUEUE}:
        audit = _audit(environment)
        found |= {name: audit for name in AUDIT_QUEUES if name in chosen}
        found[BUS_QUEUE] = RulesTarget(handlers, audit)
    found[LOG_QUEUE] = NoTarget(ONLY_A_COPY)
    return found


def _handlers(environment: Environment, handlers: set[str], *, settle: bool) -> dict[str, HandlerTarget]:
    settings = {
        names.PAYMENTS: environment.settings.payments,
        names.BILLING: environment.settings.billing,
    }
    longest = max((settings[handler].timeout_seconds for handler in handlers), default=0)
    # A repeated call would invoke the function a second time.
    waiting = Config(read_timeout=longest + names.START_SECONDS, retries={"total_max_attempts": 1})
    client = environment.client("lambda", CONFIG.merge(waiting))
    found = {}
    for handler in sorted(handlers):
        name = environment.resource(handler)
        with aws_errors(f"the function {name}"):
            client.get_function_configuration(FunctionName=name)
        found[handler] = HandlerTarget(name, client, settle=settle)
    return found


def _audit(environment: Environment) -> AuditTarget:
    name = environment.resource("events") + FIFO
    client = environment.client("sqs")
    with aws_errors(f"the queue {name}"):
        url = client.get_queue_url(QueueName=name)["QueueUrl"]
    return AuditTarget(AuditQueueTarget(url, client))
