"""What is watched: the list of alarms, from the constructs that own the metrics."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from functions.pipeline import names, routing
from infra.constructs.account import Account
from infra.constructs.audit import Audit
from infra.constructs.bus_log import BusLog
from infra.constructs.event_bus import PartnerEventBus
from infra.constructs.function import PipelineFunction
from infra.constructs.handler import Handler
from infra.constructs.metrics import MINUTE, Metric
from infra.constructs.monitoring.alarms import Alarm, Silence
from infra.constructs.queues import Queue
from infra.constructs.reconciliation import Reconciliation
from infra.constructs.rules import EventRule
from infra.constructs.schedule import ScheduledFunction

# One event that keeps failing makes a handler fail three times, then lies in its dead-letter queue,
# which has an alarm of its own. One error more is something that concerns several events.
_ERRORS: Final = 4
# A failed run is made up for by the next; two of three are no accident.
_FAILED_RUNS: Final = 2
# Throttles are retried; a quarter of an hour of them is a concurrency that is too small.
_THROTTLED_PERIODS: Final = 3
# A function that comes so near to its time-out will soon be cut off.
_NEAR_TIMEOUT: Final = 0.8
# Minutes in a row in which the audit queue must be too long.
_BACKLOG_MINUTES: Final = 5
# Dead letters live for 14 days; whoever comes back from a long weekend finds them.
_OLD_DAYS: Final = 10
_HOUR_SECONDS: Final = 3600
_DAY_SECONDS: Final = 24 * _HOUR_SECONDS
# A queue that is never empty is watched by the hour, over the week that is CloudWatch's longest. Some hours
# may lack data, or the alarm would begin anew.
_WEEK_HOURS: Final = 7 * 24
_WEEK_HOURS_WITH_MESSAGES: Final = _WEEK_HOURS - 8
_AGE_ADVICE: Final = "SQS deletes it on the 14th: redrive it, or purge it, which keeps it in a file."
_REDRIVE: Final = "redrive"


@dataclass(frozen=True)
class Thresholds:
    """The limits that an environment sets; `heartbeat_minutes` 0 watches no heartbeat."""

    audit_backlog_messages: int
    audit_backlog_seconds: int
    heartbeat_minutes: int


@dataclass(frozen=True)
class Pipeline:
    """Everything that has metrics."""

    account: Account
    bus: PartnerEventBus
    handlers: Sequence[Handler]
    audit: Audit
    bus_log: BusLog | None = None
    scheduled: Sequence[ScheduledFunction] = ()

    @property
    def rules(self) -> dict[str, EventRule]:
        """Rules by the short name that their alarms carry."""
        lanes = {f"audit-{lane}": rule for lane, rule in self.audit.rules.items()}
        log = {"log": self.bus_log.rule} if self.bus_log else {}
        return {handler.family: handler.rule for handler in self.handlers} | lanes | log

    @property
    def functions(self) -> list[PipelineFunction]:
        return [
            *(handler.function for handler in self.handlers),
            self.audit.function,
            *(scheduled.function for scheduled in self.scheduled),
        ]

    @property
    def dead_letters(self) -> list[Queue]:
        """Every queue in which a failure can end."""
        optional = [self.bus.dead_letter, self.bus_log.dead_letter if self.bus_log else None]
        return [
            *(handler.dead_letter for handler in self.handlers),
            *self.audit.dead_letters,
            *(queue for queue in optional if queue),
        ]

    def custom(self, family: str, name: str, statistic: str, event_type: str | None = None) -> Metric:
        """A metric that the handlers publish; all but one are told apart by event type."""
        dimensions = {
            names.DIMENSION_SERVICE: family,
            names.DIMENSION_ENVIRONMENT: self.account.environment,
        }
        if event_type:
            dimensions[names.DIMENSION_EVENT_TYPE] = event_type
        return Metric(names.METRICS_NAMESPACE, name, dimensions, statistic)


def alarms(pipeline: Pipeline, thresholds: Thresholds) -> list[Alarm]:
    """All alarms of an environment."""
    watched: list[Alarm] = []
    for short, rule in pipeline.rules.items():
        watched += _of_rule(short, rule)
    for handler in pipeline.handlers:
        watched += _of_handler(handler)
    watched += _of_audit(pipeline.audit)
    for function in (*(handler.function for handler in pipeline.handlers), pipeline.audit.function):
        watched.append(_of_duration(function))
    for function in pipeline.functions:
        watched += _of_function(function)
    for scheduled in pipeline.scheduled:
        watched += _of_schedule(scheduled)
    for queue in pipeline.dead_letters:
        watched += _of_dead_letter(queue)
    if any(scheduled.function.family == _REDRIVE for scheduled in pipeline.scheduled):
        watched += _of_redrive(pipeline)
    watched += _of_backlog(pipeline.audit.queue, thresholds)
    watched += [
        _at_the_first(
            pipeline.custom(family, names.AUTHENTICATION_REFUSED, "Sum").over(period=MINUTE),
            f"{family}-authentication-refused",
            f"The Huntaze API refuses the key of the {family} function. Write a valid HUNTAZE_API_KEY "
            "to the secret; failed events go to the dead-letter queue meanwhile.",
        )
        for family in routing.HANDLERS
    ]
    watched += [
        _at_the_first(
            pipeline.custom(family, names.MESSAGES_PARKED, "Sum"),
            f"{family}-parked",
            f"The {family} function put an event that it can never take into its dead-letter queue. "
            "`huntaze-stripe dlq list` tells the reason.",
        )
        for family in (*routing.HANDLERS, pipeline.audit.function.family)
    ]
    return watched


def silences(pipeline: Pipeline, thresholds: Thresholds) -> list[Silence]:
    """What must happen again and again in an environment."""
    watched = [
        Silence(
            f"{scheduled.function.family}-not-running",
            f"{scheduled.function.family}-stopped",
            f"The {scheduled.function.family} function did not run although its schedule asks for a run "
            f"every {scheduled.minutes} minutes. Look at the schedule and its role.",
            scheduled.metric_runs(),
        )
        for scheduled in pipeline.scheduled
    ]
    if thresholds.heartbeat_minutes:
        watched.append(
            Silence(
                "heartbeat",
                "heartbeat-stopped",
                f"No event came from Stripe for {thresholds.heartbeat_minutes} minutes. Look at the event "
                "destination in Stripe's dashboard, and whether its event source is active.",
                pipeline.bus.metric_events().over(period=thresholds.heartbeat_minutes * MINUTE),
            )
        )
    return watched


def _at_the_first(metric: Metric, part: str, meaning: str) -> Alarm:
    """An alarm at each time something happens: it clears after the metric's period, and fires anew."""
    return Alarm(part, meaning, metric, 1)


def _of_rule(short: str, rule: EventRule) -> list[Alarm]:
    return [
        Alarm(
            f"{short}-failed-invocations",
            f"EventBridge could not hand events of rule {rule.name} over; they are in its dead-letter queue.",
            rule.metric_failed(),
            1,
        ),
        Alarm(
            f"{short}-undeliverable",
            f"Events of rule {rule.name} reached neither target nor dead-letter queue: they are lost from "
            "the rule. Replay the archive over this time once the queue takes messages.",
            rule.metric_lost().over(period=MINUTE),
            1,
        ),
    ]


def _of_handler(handler: Handler) -> list[Alarm]:
    return [
        Alarm(
            f"{handler.family}-errors",
            f"The {handler.family} function keeps failing. The saved query failures-by-type tells with what.",
            handler.function.metric_errors(),
            _ERRORS,
        )
    ]


def _of_audit(audit: Audit) -> list[Alarm]:
    # A batch fails only where the ledger does. That each lane fails once is made up for by the next
    # receive; one error more is a failure that lasts.
    return [
        Alarm(
            "audit-errors",
            "The audit function keeps failing: the ledger takes no events. Look at its bucket and its "
            "database. The events wait in the queue, and after twelve hours in the dead-letter queue.",
            audit.metric_failed_batches(),
            len(audit.rules) + 1,
        )
    ]


def _of_duration(function: PipelineFunction) -> Alarm:
    """Of a function that events invoke: a scheduled one uses its time, and ends before it is over."""
    return Alarm(
        f"{function.family}-duration",
        f"The {function.family} function comes near its time-out of {function.timeout_seconds} s.",
        function.metric_duration(),
        function.timeout_seconds * 1000 * _NEAR_TIMEOUT,
    )


def _of_function(function: PipelineFunction) -> list[Alarm]:
    family = function.family
    return [
        Alarm(
            f"{family}-throttles",
            f"The {family} function lacks concurrency. Raise {family}.reserved_concurrency, or the quota "
            "of the account.",
            function.metric_throttles(),
            1,
            periods=_THROTTLED_PERIODS,
        ),
        *(_of_parking(function, function.dead_letter) if function.dead_letter else []),
    ]


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


def _of_schedule(scheduled: ScheduledFunction) -> list[Alarm]:
    family = scheduled.function.family
    watched = [
        Alarm(
            f"{family}-failing",
            f"The {family} function failed twice in the time of three runs; its log tells with what.",
            scheduled.metric_failed_runs(),
            _FAILED_RUNS,
        ),
    ]
    if isinstance(scheduled, Reconciliation):
        watched += [
            Alarm(
                "events-missing",
                "Events that Stripe made were not in the ledger. `huntaze-stripe reconcile` lists them; with "
                'reconcile = "heal" they were handed over already, else it does so with --heal.',
                scheduled.metric_missing(),
                1,
            ),
            Alarm(
                "events-unhandled",
                "Events reached the bus and no handler. `huntaze-stripe reconcile` lists them; with "
                'reconcile = "heal" they were handed over already, else it does so with --heal. Look at the '
                "handlers' rules and at what was purged.",
                scheduled.metric_unhandled(),
                1,
            ),
        ]
    return watched


def _of_redrive(pipeline: Pipeline) -> list[Alarm]:
    return [
        Alarm(
            "redrive-oldest-letter",
            f"An event has waited {_OLD_DAYS} days in a dead-letter queue, by what the redrive function saw. "
            f"{_AGE_ADVICE}",
            pipeline.custom(_REDRIVE, names.OLDEST_LETTER_AGE, "Maximum"),
            _OLD_DAYS * _DAY_SECONDS,
        ),
        Alarm(
            "redrive-given-up",
            "The redrive function leaves an event to you: it kept failing while others of its type were "
            "applied. `huntaze-stripe dlq list` shows why; mend the API, then `dlq redrive --event-id`.",
            pipeline.custom(_REDRIVE, names.EVENTS_GIVEN_UP, "Sum").over(period=MINUTE),
            1,
        ),
        Alarm(
            "redrive-left",
            "In each run of the last hour the redrive function left transient failures in the dead-letter "
            "queues. `huntaze-stripe dlq list` shows which: the API fails them, or they are many.",
            pipeline.custom(_REDRIVE, names.EVENTS_LEFT, "Minimum").over(period=_HOUR_SECONDS),
            1,
        ),
    ]


def _of_dead_letter(queue: Queue) -> list[Alarm]:
    return [
        Alarm(
            f"{queue.short_name}-messages",
            f"Events wait in the dead-letter queue {queue.name}. Look at their reason, then redrive them.",
            queue.metric_messages(),
            1,
        ),
        # The age that SQS measures leaves out what was received three times, as a redrive does ("Available
        # CloudWatch metrics for Amazon SQS").
        Alarm(
            f"{queue.short_name}-age",
            f"The dead-letter queue {queue.name} has not been empty for a week, so an event may have waited "
            f"so long. {_AGE_ADVICE}",
            queue.metric_messages().over(period=_HOUR_SECONDS),
            1,
            periods=_WEEK_HOURS_WITH_MESSAGES,
            of_periods=_WEEK_HOURS,
        ),
    ]


def _of_backlog(queue: Queue, thresholds: Thresholds) -> list[Alarm]:
    return [
        Alarm(
            "audit-backlog-age",
            f"An event has waited {thresholds.audit_backlog_seconds} s for the audit function; "
            "one that fails holds up its lane.",
            queue.metric_oldest_age(),
            thresholds.audit_backlog_seconds,
        ),
        Alarm(
            "audit-backlog-depth",
            f"{thresholds.audit_backlog_messages} events wait for the audit function; it keeps up no "
            "longer. Look at its errors and throttles.",
            queue.metric_visible(),
            thresholds.audit_backlog_messages,
            periods=_BACKLOG_MINUTES,
        ),
    ]
