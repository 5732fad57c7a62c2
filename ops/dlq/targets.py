"""The way back of each dead-letter queue: to its handler, to the audit's queue, or to both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from botocore.config import Config

from functions.dead_letters.message import UNKNOWN, DeadLetter
from functions.dead_letters.redrive import FAILED, NO_ENVELOPE, Result, ToAuditQueue, ToHandler, WayBack
from functions.pipeline import routing_table
from functions.shared import names
from ops.dlq.queues import AUDIT_QUEUES, BUS_QUEUE, FIFO, HANDLER_QUEUES, LOG_QUEUE, Queue
from ops.environment import CONFIG, Environment, aws_errors

# Lambda's answer to a function that was cut off comes soon after its time-out.
MARGIN_SECONDS = 15
NO_WAY = "the log is written by EventBridge alone: purge it, the ledger holds the event"


@dataclass(frozen=True)
class ToAudit:
    """To the audit's queue, but for a record of the audit function itself, which is no event."""

    queue: ToAuditQueue

    def hand_over(self, letter: DeadLetter) -> Result:
        """Send the envelope. Raises as :meth:`ToHandler.hand_over` does."""
        if not isinstance(letter.envelope, dict) or not isinstance(letter.envelope.get("detail"), dict):
            return Result(FAILED, UNKNOWN, NO_ENVELOPE)
        return self.queue.hand_over(letter)


@dataclass(frozen=True)
class ToAll:
    """Where the rules would have sent an event that the bus could not take: its handler, then the audit."""

    handlers: Mapping[str, ToHandler]
    audit: ToAudit

    def hand_over(self, letter: DeadLetter) -> Result:
        """Hand the envelope to both. Raises as :meth:`ToHandler.hand_over` does."""
        route = routing_table.ROUTES.get(letter.event_type or "")
        if route is None:
            return self.audit.hand_over(letter)
        result = self.handlers[route.handler].hand_over(letter)
        if result.settled:
            self.audit.hand_over(letter)
        return result


@dataclass(frozen=True)
class Nowhere:
    """No way back."""

    reason: str

    def hand_over(self, _letter: DeadLetter, /) -> Result:
        """Fail."""
        return Result(FAILED, UNKNOWN, self.reason)


def ways(environment: Environment, queues: Sequence[Queue], *, settle: bool) -> dict[str, WayBack]:
    """Return the way back of each queue by the queue's name; ``settle`` as for :class:`ToHandler`.

    Raises
    ------
    OperatorError
        A function or the audit's queue is not there.
    """
    names = {queue.name for queue in queues}
    wanted = {handler for name, handler in HANDLER_QUEUES.items() if {name, BUS_QUEUE} & names}
    handlers = _handlers(environment, wanted, settle=settle)
    found: dict[str, WayBack] = {
        name: handlers[handler] for name, handler in HANDLER_QUEUES.items() if name in names
    }
    if names & {*AUDIT_QUEUES, BUS_QUEUE}:
        audit = _audit(environment)
        found |= {name: audit for name in AUDIT_QUEUES if name in names}
        found[BUS_QUEUE] = ToAll(handlers, audit)
    found[LOG_QUEUE] = Nowhere(NO_WAY)
    return found


def _handlers(environment: Environment, families: set[str], *, settle: bool) -> dict[str, ToHandler]:
    settings = {
        names.PAYMENTS: environment.settings.payments,
        names.BILLING: environment.settings.billing,
    }
    longest = max((settings[family].timeout_seconds for family in families), default=0)
    # A repeated call would invoke the function a second time.
    waiting = Config(read_timeout=longest + MARGIN_SECONDS, retries={"total_max_attempts": 1})
    client = environment.client("lambda", CONFIG.merge(waiting))
    found = {}
    for family in sorted(families):
        name = environment.resource(family)
        with aws_errors(f"the function {name}"):
            client.get_function_configuration(FunctionName=name)
        found[family] = ToHandler(name, client, settle=settle)
    return found


def _audit(environment: Environment) -> ToAudit:
    name = environment.resource("events") + FIFO
    client = environment.client("sqs")
    with aws_errors(f"the queue {name}"):
        url = client.get_queue_url(QueueName=name)["QueueUrl"]
    return ToAudit(ToAuditQueue(url, client))
