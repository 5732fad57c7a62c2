"""Alarms on the scheduled functions: on missing and failed runs, and on what the runs report."""

from typing import Final

from infra.constructs.inventory import Inventory
from infra.constructs.monitoring.alarm import Alarm, Silence
from infra.constructs.monitoring.queue_alarms import AGE_ADVICE
from infra.constructs.reconciliation import Reconciliation
from infra.constructs.redrive import Redrive
from infra.constructs.schedule import ScheduledFunction
from infra.resources.metrics import MINUTE

# The next run does the work of a failed one; two failures of three runs are not an accident.
_FAILED_RUNS: Final = 2
# SQS deletes messages after 14 days: this leaves four, enough for a long weekend.
_OLD_DAYS: Final = 10
_HOUR_SECONDS: Final = 3600
_DAY_SECONDS: Final = 24 * _HOUR_SECONDS


def alarms(inventory: Inventory) -> list[Alarm]:
    """Alarms on failed runs, and on what the runs report."""
    return [
        *(_of_runs(scheduled) for scheduled in inventory.scheduled),
        *(_of_reconciliation(inventory.reconciliation) if inventory.reconciliation else []),
        *(_of_redrive(inventory.redrive) if inventory.redrive else []),
    ]


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


def _of_runs(scheduled: ScheduledFunction) -> Alarm:
    family = scheduled.function.family
    return Alarm(
        "failing",
        f"The {family} function failed twice in the time of three runs. Its log shows the error.",
        scheduled.metric_failed_runs(),
        _FAILED_RUNS,
        of=family,
    )


def _of_reconciliation(reconciliation: Reconciliation) -> list[Alarm]:
    return [
        Alarm(
            "events-missing",
            "Events that Stripe created were not in the ledger. `huntaze-stripe reconcile` lists them, "
            'and --heal sends them. With reconcile = "heal" the function has sent them already.',
            reconciliation.metric_missing(),
            1,
        ),
        Alarm(
            "events-unhandled",
            "Events reached the bus but no handler. `huntaze-stripe reconcile` lists them, and --heal "
            'sends them. With reconcile = "heal" the function has sent them already. Check the rules of '
            "the handlers.",
            reconciliation.metric_unhandled(),
            1,
        ),
    ]


def _of_redrive(redrive: Redrive) -> list[Alarm]:
    return [
        Alarm(
            "redrive-oldest-letter",
            f"An event that the redrive function read has waited {_OLD_DAYS} days in a dead-letter queue. "
            f"{AGE_ADVICE}",
            redrive.metric_oldest_age(),
            _OLD_DAYS * _DAY_SECONDS,
        ),
        Alarm(
            "redrive-given-up",
            "The redrive function gave up on an event that kept failing while others of its type were "
            "applied. `huntaze-stripe dlq list` shows the reason. Fix the API, then run "
            "`huntaze-stripe dlq redrive --event-id`.",
            redrive.metric_given_up().over(period=MINUTE),
            1,
        ),
        Alarm(
            "redrive-left",
            "Each run of the redrive function in the last hour left transient failures in the dead-letter "
            "queues. `huntaze-stripe dlq list` shows which: the API keeps failing, or there are too many.",
            redrive.metric_left().over(period=_HOUR_SECONDS),
            1,
        ),
    ]
