"""Alarms on the scheduled functions: that they run, and what they find."""

from typing import Final

from functions.shared import names
from infra.constructs.monitoring.alarm import Alarm, Silence
from infra.constructs.monitoring.queue_alarms import AGE_ADVICE
from infra.constructs.reconciliation import Reconciliation
from infra.constructs.schedule import ScheduledFunction
from infra.inventory import Pipeline
from infra.resources.metrics import MINUTE

# A failed run is made up for by the next; two of three are no accident.
_FAILED_RUNS: Final = 2
# Dead letters live for 14 days; whoever comes back from a long weekend finds them.
_OLD_DAYS: Final = 10
_HOUR_SECONDS: Final = 3600
_DAY_SECONDS: Final = 24 * _HOUR_SECONDS
_REDRIVE: Final = "redrive"


def alarms(pipeline: Pipeline) -> list[Alarm]:
    """Of the scheduled functions that are deployed."""
    found = [alarm for scheduled in pipeline.scheduled for alarm in _of_schedule(scheduled)]
    if any(scheduled.function.family == _REDRIVE for scheduled in pipeline.scheduled):
        found += _of_redrive(pipeline)
    return found


def silence(scheduled: ScheduledFunction) -> Silence:
    """The alarm on a function that no longer runs."""
    family = scheduled.function.family
    return Silence(
        "stopped",
        "not-running",
        f"The {family} function has not run although it is scheduled every {scheduled.minutes} minutes. "
        "Check the schedule, its role, and whether it is paused.",
        scheduled.metric_runs(),
        of=family,
    )


def _of_schedule(scheduled: ScheduledFunction) -> list[Alarm]:
    family = scheduled.function.family
    watched = [
        Alarm(
            "failing",
            f"The {family} function failed twice in the time of three runs. Its log shows the error.",
            scheduled.metric_failed_runs(),
            _FAILED_RUNS,
            of=family,
        ),
    ]
    if isinstance(scheduled, Reconciliation):
        watched += [
            Alarm(
                "events-missing",
                "Events that Stripe created were not in the ledger. `huntaze-stripe reconcile` lists them, "
                'and --heal sends them. With reconcile = "heal" the function has sent them already.',
                scheduled.metric_missing(),
                1,
            ),
            Alarm(
                "events-unhandled",
                "Events reached the bus but no handler. `huntaze-stripe reconcile` lists them, and --heal "
                'sends them. With reconcile = "heal" the function has sent them already. Check the rules of '
                "the handlers.",
                scheduled.metric_unhandled(),
                1,
            ),
        ]
    return watched


def _of_redrive(pipeline: Pipeline) -> list[Alarm]:
    return [
        Alarm(
            "redrive-oldest-letter",
            f"An event that the redrive function read has waited {_OLD_DAYS} days in a dead-letter queue. "
            f"{AGE_ADVICE}",
            pipeline.custom(_REDRIVE, names.OLDEST_MESSAGE_AGE, "Maximum"),
            _OLD_DAYS * _DAY_SECONDS,
        ),
        Alarm(
            "redrive-given-up",
            "The redrive function gave up on an event that kept failing while others of its type were "
            "applied. `huntaze-stripe dlq list` shows the reason. Fix the API, then run "
            "`huntaze-stripe dlq redrive --event-id`.",
            pipeline.custom(_REDRIVE, names.EVENTS_GIVEN_UP, "Sum").over(period=MINUTE),
            1,
        ),
        Alarm(
            "redrive-left",
            "Each run of the redrive function in the last hour left transient failures in the dead-letter "
            "queues. `huntaze-stripe dlq list` shows which: the API keeps failing, or there are too many.",
            pipeline.custom(_REDRIVE, names.EVENTS_LEFT, "Minimum").over(period=_HOUR_SECONDS),
            1,
        ),
    ]
