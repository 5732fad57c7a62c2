"""Alarms on the functions that run by the clock: that they run, and what they find."""

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
    """That the function no longer runs."""
    family = scheduled.function.family
    return Silence(
        f"{family}-not-running",
        f"{family}-stopped",
        f"The {family} function did not run although its schedule asks for a run every {scheduled.minutes} "
        "minutes. Look at the schedule and its role, and whether somebody paused it.",
        scheduled.metric_runs(),
    )


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
                "handlers' rules.",
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
            f"{AGE_ADVICE}",
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
