"""Alarms on queues: on messages in a dead-letter queue, and on the backlog of the audit function."""

from collections.abc import Iterable
from typing import Final

from infra.constructs.monitoring.alarm import Alarm
from infra.resources.queue import Queue

# Minutes in a row in which the audit queue must have too many messages.
_BACKLOG_MINUTES: Final = 5
_HOUR_SECONDS: Final = 3600
# A queue that is never empty is checked hourly, over a week, the longest time of CloudWatch. Some hours may
# lack data, because otherwise a gap would reset the alarm.
_WEEK_HOURS: Final = 7 * 24
_WEEK_HOURS_WITH_MESSAGES: Final = _WEEK_HOURS - 8
AGE_ADVICE: Final = (
    "SQS deletes a message after 14 days: redrive it, or purge it, which saves it to a file first."
)


def of_dead_letters(queues: Iterable[Queue]) -> list[Alarm]:
    """Alarms on messages in a dead-letter queue, and on old ones."""
    return [alarm for queue in queues for alarm in _of_dead_letter(queue)]


def _of_dead_letter(queue: Queue) -> list[Alarm]:
    feeding = queue.short_name.removesuffix("-dlq")
    return [
        Alarm(
            "dlq-messages",
            f"Events wait in the dead-letter queue {queue.name}. Check their reason, then redrive them.",
            queue.metric_messages(),
            1,
            of=feeding,
        ),
        # SQS's own metric of the age ignores messages that were received three times, as a redrive does
        # (Amazon SQS, "Available CloudWatch metrics").
        Alarm(
            "dlq-age",
            f"The dead-letter queue {queue.name} has not been empty for a week, so an event may have waited "
            f"that long. {AGE_ADVICE}",
            queue.metric_messages().over(period=_HOUR_SECONDS),
            1,
            of=feeding,
            periods=_WEEK_HOURS_WITH_MESSAGES,
            of_periods=_WEEK_HOURS,
        ),
    ]


def of_backlog(queue: Queue, messages: int, seconds: int) -> list[Alarm]:
    """Alarms on an event that waits too long, and on too many events for minutes in a row."""
    return [
        Alarm(
            "audit-backlog-age",
            f"An event has waited {seconds} s for the audit function. A failing event blocks its message "
            "group.",
            queue.metric_oldest_age(),
            seconds,
        ),
        Alarm(
            "audit-backlog-depth",
            f"{messages} events wait for the audit function: it cannot keep up. Check its errors and "
            "throttles.",
            queue.metric_visible(),
            messages,
            periods=_BACKLOG_MINUTES,
        ),
    ]
