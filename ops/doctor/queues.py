"""The queues: what waits in them, and since when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from functions.shared.names import QUEUE_RETENTION_SECONDS
from ops.console import plural
from ops.dlq import queues as dead_letter_queues
from ops.doctor.check import Finding, failed, passed, warned, worst
from ops.doctor.context import Context
from ops.doctor.expected import EVENTS_QUEUE, dead_letters
from ops.environment import Environment, if_exists

DAY_SECONDS: Final = 86_400
# SQS deletes a message after 14 days: what is older than this needs somebody now.
URGENT_SECONDS: Final = QUEUE_RETENTION_SECONDS - 3 * DAY_SECONDS
WAITING: Final = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
AGE: Final = "ApproximateAgeOfOldestMessage"
# SQS reports metrics every minute, and of an idle queue later.
WINDOW: Final = timedelta(minutes=15)
PERIOD_SECONDS: Final = 60


def parked(context: Context) -> Finding:
    """Check what waits in the dead-letter queues, and how old the oldest is."""
    wanted = dead_letters(context.environment.settings)
    counts = {name: count for name in wanted if (count := _count(context, name)) is not None}
    absent = [name for name in wanted if name not in counts]
    deploy = context.deploy
    problems = [failed(f"{name} does not exist", deploy) for name in absent]
    ages = ages_of(context.environment, [name for name, count in counts.items() if count], context.now)
    step = context.command("dlq list")
    for name, count in counts.items():
        if count:
            age = ages.get(name)
            oldest = "" if age is None else f", oldest {_age(age)}"
            urgent = age is not None and age > URGENT_SECONDS
            found = f"{name}: {plural(count, 'message')}{oldest}"
            problems.append((failed if urgent else warned)(found, step))
    return worst(problems, f"{plural(len(counts), 'queue')}, empty")


def backlog(context: Context) -> Finding:
    """Check how many events wait for the audit."""
    limit = context.environment.settings.audit_backlog_messages
    count = _count(context, EVENTS_QUEUE)
    if count is None:
        return failed(f"{EVENTS_QUEUE} does not exist", context.deploy)
    if count >= limit:
        return failed(f"{count} events wait, audit_backlog_messages = {limit}", "docs/runbooks/backlog.md")
    return passed(f"{plural(count, 'event')} waiting")


def _count(context: Context, name: str) -> int | None:
    """Return how many messages a queue holds; None if it does not exist."""
    client = context.client("sqs")
    full = dead_letter_queues.full_name(context.environment, name)
    answer = if_exists(client.get_queue_url, QueueName=full)
    if answer is None:
        return None
    found = client.get_queue_attributes(QueueUrl=answer["QueueUrl"], AttributeNames=list(WAITING))[
        "Attributes"
    ]
    return sum(int(found[each]) for each in WAITING)


def ages_of(environment: Environment, names: Sequence[str], now: datetime) -> Mapping[str, float]:
    """Return the age of the oldest message of queues in seconds, where CloudWatch has one."""
    if not names:
        return {}
    queries = [
        {
            "Id": f"q{number}",
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/SQS",
                    "MetricName": AGE,
                    "Dimensions": [
                        {
                            "Name": "QueueName",
                            "Value": dead_letter_queues.full_name(environment, name),
                        }
                    ],
                },
                "Period": PERIOD_SECONDS,
                "Stat": "Maximum",
            },
        }
        for number, name in enumerate(names)
    ]
    answer = environment.client("cloudwatch").get_metric_data(
        MetricDataQueries=queries, StartTime=now - WINDOW, EndTime=now + timedelta(minutes=1)
    )
    return dict(_latest(answer["MetricDataResults"], names))


def _latest(results: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Iterator[tuple[str, float]]:
    for result in results:
        if result["Values"]:
            yield names[int(result["Id"][1:])], max(result["Values"])


def _age(seconds: float) -> str:
    if seconds >= DAY_SECONDS:
        return f"{seconds / DAY_SECONDS:.1f} days"
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else plural(round(seconds / 60), "minute")
