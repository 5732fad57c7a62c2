"""Alarms on functions: those that events invoke, and what they publish."""

from typing import Final

from functions.pipeline import routing_table
from functions.shared import names
from infra.constructs.audit import Audit
from infra.constructs.handler import Handler
from infra.constructs.monitoring.alarm import Alarm
from infra.inventory import Pipeline
from infra.resources.function import PipelineFunction
from infra.resources.metrics import MINUTE
from infra.resources.queue import Queue

# One event that keeps failing makes a handler fail three times, then lies in its dead-letter queue,
# which has an alarm of its own. One error more is something that concerns several events.
_ERRORS: Final = 4
# Throttles are retried; a quarter of an hour of them is a concurrency that is too small.
_THROTTLED_PERIODS: Final = 3
# A function that comes so near to its time-out will soon be cut off.
_NEAR_TIMEOUT: Final = 0.8


def alarms(pipeline: Pipeline) -> list[Alarm]:
    """Of handlers and audit; of a scheduled function only its throttles, its runs are watched elsewhere."""
    handlers, audit = pipeline.handlers, pipeline.audit
    on_events = [*(handler.function for handler in handlers), audit.function]
    return [
        *(_of_handler(handler) for handler in handlers),
        _of_audit(audit),
        *(_of_duration(function) for function in on_events),
        *(_of_throttles(function) for function in pipeline.functions),
        *(
            alarm
            for function in on_events
            if function.dead_letter
            for alarm in _of_parking(function, function.dead_letter)
        ),
        *(_of_authentication(pipeline, family) for family in routing_table.HANDLERS),
        *(_of_parked(pipeline, function.family) for function in on_events),
    ]


def _of_handler(handler: Handler) -> Alarm:
    return Alarm(
        f"{handler.family}-errors",
        f"The {handler.family} function keeps failing. The saved query failures-by-type tells with what.",
        handler.function.metric_errors(),
        _ERRORS,
    )


def _of_audit(audit: Audit) -> Alarm:
    # A batch fails only where the ledger does. That each lane fails once is made up for by the next
    # receive; one error more is a failure that lasts.
    return Alarm(
        "audit-errors",
        "The audit function keeps failing: the ledger takes no events. Look at its bucket and its "
        "database. The events wait in the queue, and after twelve hours in the dead-letter queue.",
        audit.metric_failed_batches(),
        len(audit.rules) + 1,
    )


def _of_duration(function: PipelineFunction) -> Alarm:
    """Of a function that events invoke: a scheduled one uses its time, and ends before it is over."""
    return Alarm(
        f"{function.family}-duration",
        f"The {function.family} function comes near its time-out of {function.timeout_seconds} s.",
        function.metric_duration(),
        function.timeout_seconds * 1000 * _NEAR_TIMEOUT,
    )


def _of_throttles(function: PipelineFunction) -> Alarm:
    return Alarm(
        f"{function.family}-throttles",
        f"The {function.family} function lacks concurrency. Raise {function.family}.reserved_concurrency, or "
        "the quota of the account.",
        function.metric_throttles(),
        1,
        periods=_THROTTLED_PERIODS,
    )


def _of_parking(function: PipelineFunction, queue: Queue) -> list[Alarm]:
    """The way of events that Lambda gives up; a function that parks none has no such alarms."""
    family = function.family
    return [
        Alarm(
            f"{family}-events-dropped",
            f"Lambda gave events of the {family} function up after its retries. They lie in the dead-letter "
            f"queue {queue.name}, unless the alarm {family}-destination-failures fires too.",
            function.metric_events_dropped().over(period=MINUTE),
            1,
        ),
        Alarm(
            f"{family}-destination-failures",
            f"Lambda could not put failed events of the {family} function into the dead-letter queue "
            f"{queue.name}. Replay the archive over this time once the queue takes messages.",
            function.metric_destination_failures().over(period=MINUTE),
            1,
        ),
    ]


def _of_authentication(pipeline: Pipeline, family: str) -> Alarm:
    return Alarm(
        f"{family}-authentication-refused",
        f"The Huntaze API refuses the key of the {family} function. Write a valid HUNTAZE_API_KEY "
        "to the secret; failed events go to the dead-letter queue meanwhile.",
        pipeline.custom(family, names.AUTHENTICATION_REFUSED, "Sum").over(period=MINUTE),
        1,
    )


def _of_parked(pipeline: Pipeline, family: str) -> Alarm:
    # It clears after its period and fires anew, while the alarm on the queue stays on and is quiet.
    return Alarm(
        f"{family}-parked",
        f"The {family} function put an event that it can never take into its dead-letter queue. "
        "`huntaze-stripe dlq list` tells the reason.",
        pipeline.custom(family, names.MESSAGES_PARKED, "Sum"),
        1,
    )
