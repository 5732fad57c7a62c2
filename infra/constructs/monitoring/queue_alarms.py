"""Alarms on queues: what lies in a dead-letter queue, and what the audit function does not keep up with."""

from collections.abc import Iterable
from typing import Final

from infra.constructs.monitoring.alarm import Alarm
from infra.resources.queue import Queue

# Minutes in a row in which the audit queue must be too long.
_BACKLOG_MINUTES: Final = 5
_HOUR_SECONDS: Final = 3600
# A queue that is never empty is watched by the hour, over the week that is CloudWatch's longest. Some hours
# may lack data, or the alarm would begin anew.
_WEEK_HOURS: Final = 7 * 24
_WEEK_HOURS_WITH_MESSAGES: Final = _WEEK_HOURS - 8
AGE_ADVICE: Final = "SQS deletes it on the 14th: redrive it, or purge it, which keeps it in a file."


def of_dead_letters(queues: Iterable[Queue]) -> list[Alarm]:
    """That a message lies there, and that one may have lain there for long."""
    return [alarm for queue in queues for alarm in _of_dead_letter(queue)]


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
            f"so long. {AGE_ADVICE}",
            queue.metric_messages().over(period=_HOUR_SECONDS),
            1,
            periods=_WEEK_HOURS_WITH_MESSAGES,
            of_periods=_WEEK_HOURS,
        ),
    ]


def of_backlog(queue: Queue, messages: int, seconds: int) -> list[Alarm]:
    """That events wait too long, or that too many wait for minutes in a row."""
    return [
        Alarm(
            "audit-backlog-age",
            f"An event has waited {seconds} s for the audit function; one that fails holds up its lane.",
            queue.metric_oldest_age(),
            seconds,
        ),
        Alarm(
            "audit-backlog-depth",
            f"{messages} events wait for the audit function; it keeps up no "
            "longer. Look at its errors and throttles.",
            queue.metric_visible(),
            messages,
            periods=_BACKLOG_MINUTES,
        ),
    ]
