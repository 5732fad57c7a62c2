"""Alarms on functions that events invoke."""

from typing import Final

from functions.shared import names
from infra.constructs.audit import Audit
from infra.constructs.handler import Handler
from infra.constructs.inventory import Inventory
from infra.constructs.monitoring.alarm import Alarm
from infra.resources.function import PipelineFunction
from infra.resources.metrics import MINUTE
from infra.resources.queue import Queue

# An event that keeps failing makes a handler fail three times, and then the dead-letter queue has an alarm.
# One error more means that several events fail.
_ERRORS: Final = 4
# Lambda retries throttled events; after a quarter of an hour the concurrency is too low.
_THROTTLED_PERIODS: Final = 3
# The part of its timeout that a function may use.
_NEAR_TIMEOUT: Final = 0.8


def alarms(inventory: Inventory) -> list[Alarm]:
    """Alarms on handlers and audit, and on throttles of all functions."""
    handlers, audit = inventory.handlers, inventory.audit
    on_events = [*(handler.function for handler in handlers), audit.function]
    return [
        *(_of_handler(handler) for handler in handlers),
        _of_audit(audit),
        *(_of_duration(function) for function in on_events),
        *(_of_throttles(function) for function in inventory.functions),
        *(
            alarm
            for function in on_events
            if function.dead_letter
            for alarm in _of_parking(function, function.dead_letter)
        ),
        *(_of_authentication(handler.function) for handler in handlers),
        *(_of_parked(function) for function in on_events),
    ]


def _of_handler(handler: Handler) -> Alarm:
    return Alarm(
        "errors",
        f"The {handler.family} function keeps failing. The saved query failures-by-type shows the errors.",
        handler.function.metric_errors(),
        _ERRORS,
        of=handler.family,
    )


def _of_audit(audit: Audit) -> Alarm:
    # A batch fails only if the ledger fails. If each message group fails once, the next receive succeeds;
    # one error more is a lasting failure.
    return Alarm(
        "audit-errors",
        "The audit function keeps failing: it cannot write to the ledger. Check the bucket and the database. "
        "Events wait in the queue and move to the dead-letter queue after twelve hours.",
        audit.metric_failed_batches(),
        len(audit.rules) + 1,
    )


def _of_duration(function: PipelineFunction) -> Alarm:
    """Of a function that events invoke; a scheduled one ends by itself before its timeout."""
    return Alarm(
        "duration",
        f"The {function.family} function runs close to its timeout of {function.timeout_seconds} s.",
        function.metric_duration(),
        function.timeout_seconds * 1000 * _NEAR_TIMEOUT,
        of=function.family,
    )


def _of_throttles(function: PipelineFunction) -> Alarm:
    return Alarm(
        "throttles",
        f"Lambda throttles the {function.family} function. Raise {function.family}.reserved_concurrency or "
        "the account's concurrency quota.",
        function.metric_throttles(),
        1,
        of=function.family,
        periods=_THROTTLED_PERIODS,
    )


def _of_parking(function: PipelineFunction, queue: Queue) -> list[Alarm]:
    """Of events that Lambda gave up, for a function with a dead-letter queue."""
    family = function.family
    return [
        Alarm(
            "events-dropped",
            f"Lambda gave up on events of the {family} function after its retries. They are in the "
            f"dead-letter queue {queue.name}, unless the alarm {family}-destination-failures is on too.",
            function.metric_events_dropped().over(period=MINUTE),
            1,
            of=family,
        ),
        Alarm(
            "destination-failures",
            f"Lambda could not send failed events of the {family} function to the dead-letter queue "
            f"{queue.name}. Fix the queue, then replay the archive for this time.",
            function.metric_destination_failures().over(period=MINUTE),
            1,
            of=family,
        ),
    ]


def _of_authentication(function: PipelineFunction) -> Alarm:
    return Alarm(
        "authentication-refused",
        f"The Huntaze API rejects the key of the {function.family} function. Write a valid HUNTAZE_API_KEY "
        "to the secret. Until then, failed events go to the dead-letter queue.",
        function.metric_published(names.AUTHENTICATION_REFUSED).over(period=MINUTE),
        1,
        of=function.family,
    )


def _of_parked(function: PipelineFunction) -> Alarm:
    # It clears after its period and can start again, while the alarm on the queue stays on.
    return Alarm(
        "parked",
        f"The {function.family} function put an event into its dead-letter queue because no retry can "
        "succeed. `huntaze-stripe dlq list` shows the reason.",
        function.metric_published(names.MESSAGES_PARKED),
        1,
        of=function.family,
    )
