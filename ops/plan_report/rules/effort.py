"""Rules about how hard the pipeline tries, and who hears of a failure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Final

from ops.plan_report.attributes import ABSENT, UNKNOWN, Word
from ops.plan_report.changes import ChangeKind
from ops.plan_report.deliveries import RULE, TARGET
from ops.plan_report.findings import Hit
from ops.plan_report.plan import Plan, Resource, at, numbers
from ops.plan_report.rules.data import FUNCTION, QUEUE
from ops.plan_report.rules.routing import MAPPING
from ops.plan_report.text import code, listed

ASYNC: Final = "aws_lambda_function_event_invoke_config"
TOPIC: Final = "aws_sns_topic"
SUBSCRIPTION: Final = "aws_sns_topic_subscription"
COMPOSITE: Final = "aws_cloudwatch_composite_alarm"
ALARMS: Final = ("aws_cloudwatch_metric_alarm", COMPOSITE)
# The alarms that a composite alarm listens to (CloudWatch API reference, PutCompositeAlarm, AlarmRule).
LISTENED: Final = re.compile(r"""ALARM\s*\(\s*"?([^")]+)"?\s*\)""")
GIVES_UP: Final = "an outage that lasts longer parks events, or loses them if no dead-letter queue takes them"
# Numbers that mean fewer or shorter attempts as they fall, and what that does.
TRYING: Final = (
    (TARGET, ("retry_policy", 0, "maximum_retry_attempts"), GIVES_UP),
    (TARGET, ("retry_policy", 0, "maximum_event_age_in_seconds"), GIVES_UP),
    (ASYNC, ("maximum_retry_attempts",), GIVES_UP),
    (ASYNC, ("maximum_event_age_in_seconds",), GIVES_UP),
    (QUEUE, ("RedrivePolicy", "maxReceiveCount"), GIVES_UP),
    (
        QUEUE,
        ("VisibilityTimeout",),
        "SQS delivers a message again while the function still works on it: it is applied twice, or parked",
    ),
    (FUNCTION, ("timeout",), "a slow API call is cut off, and its outcome is unknown"),
)
# The argument with the name by which alarms know a resource.
NAMED: Final = {
    FUNCTION: "function_name",
    QUEUE: "QueueName",
    RULE: "name",
    "aws_cloudwatch_metric_alarm": "alarm_name",
    COMPOSITE: "alarm_name",
}
# Where a failed event goes.
DEAD_LETTERS: Final = (
    (TARGET, ("dead_letter_config", 0, "arn")),
    (ASYNC, ("destination_config", 0, "on_failure", 0, "destination")),
    (QUEUE, ("RedrivePolicy", "deadLetterTargetArn")),
)
RESERVED: Final = ("reserved_concurrent_executions",)
POLLED: Final = ("scaling_config", 0, "maximum_concurrency")


def retries_reduced(plan: Plan) -> Iterator[Hit]:
    """Fewer attempts, or less time for them."""
    for type_, path, why in TRYING:
        for resource in plan.changing(type_):
            sides = numbers(resource.sides(*path))
            if sides and sides[1] < sides[0]:
                what = f"{code(str(path[-1]))}: {sides[1]}, was {sides[0]}"
                yield Hit(resource.address, what, why, "keep the former number unless the reason is known")


def dead_letter_lost(plan: Plan) -> Iterator[Hit]:
    """A failed event has nowhere to go."""
    for type_, path in DEAD_LETTERS:
        for resource in plan.changing(type_):
            before, after = resource.sides(*path)
            still_works = resource.change is not ChangeKind.DESTROY or (
                type_ == ASYNC and not plan.goes_with_owner(resource)
            )
            if before is not ABSENT and after is ABSENT and still_works:
                yield Hit(
                    resource.address,
                    f"failed events no longer go to {_queue(before)}",
                    "an event that fails permanently is lost without a trace",
                    "keep the dead-letter queue",
                )


def concurrency_cut(plan: Plan) -> Iterator[Hit]:
    """A function may run half as often at once, or not at all, or gets a limit that it did not have."""
    for type_, path in ((FUNCTION, RESERVED), (MAPPING, POLLED)):
        for resource in plan.changing(type_):
            sides = numbers(resource.sides(*path))
            if sides is None or sides[0] == sides[1]:
                continue
            before, after = sides
            if after == 0:
                yield Hit(
                    resource.address,
                    f"it may not run at all: {code(str(path[-1]))} is 0",
                    "each event goes to the dead-letter queue",
                    "to stop a function, use `huntaze-stripe pause`",
                )
            # -1 is unreserved: all that the account has (provider, `aws_lambda_function`).
            elif before < 0 < after or 0 < after * 2 <= before:
                was = "unreserved" if before < 0 else before
                yield Hit(
                    resource.address,
                    f"{code(str(path[-1]))}: {after}, was {was}",
                    "events wait at peaks, and are parked when they wait for too long",
                    "compare with the peak of the dashboard's concurrency",
                )


def alarm_lost(plan: Plan) -> Iterator[Hit]:
    """Nobody hears of a failure any more: an alarm, its action, a topic or a subscription is gone."""
    gone = _gone(plan)
    for resource in plan.changing(*ALARMS, TOPIC, SUBSCRIPTION):
        what = _silenced(resource, gone)
        # Nothing is left to watch of what goes with it.
        if what and not _watched(resource) & gone:
            yield Hit(
                resource.address,
                what,
                "events can fail for days without anybody knowing",
                "keep it, or say who watches instead",
            )


def _gone(plan: Plan) -> frozenset[str]:
    """Return the names of what the plan destroys, by which alarms know it."""
    named = ((each, NAMED.get(each.type, "")) for each in plan.resources if each.change is ChangeKind.DESTROY)
    return frozenset(each.was(name) for each, name in named if name and isinstance(each.was(name), str))


def _watched(alarm: Resource) -> set[str]:
    """Return the names in the dimensions of an alarm's metrics."""
    queries = alarm.was("metric_query")
    metrics = [at(each, "metric", 0) for each in queries] if isinstance(queries, list) else []
    found = [alarm.was("dimensions"), *(at(each, "dimensions") for each in metrics)]
    return {
        str(value)
        for each in found
        if isinstance(each, dict)
        for key, value in each.items()
        if key != "EventBusName"
    }


def _silenced(resource: Resource, gone: Collection[str]) -> str:
    if resource.change is ChangeKind.DESTROY:
        name = {TOPIC: "the topic of the alarms", SUBSCRIPTION: "a subscription to alarms"}
        return f"{name.get(resource.type, 'the alarm')} is removed"
    if resource.type not in ALARMS:
        return ""
    if resource.will_be("actions_enabled") is False and resource.was("actions_enabled") is not False:
        return "its actions are turned off"
    heard, hears = (set(LISTENED.findall(str(each))) for each in resource.sides("alarm_rule"))
    left = sorted(heard - hears - set(gone))
    if left and resource.will_be("alarm_rule") is not UNKNOWN:
        return f"it no longer listens to {listed(left)}"
    before, after = resource.sides("alarm_actions")
    return "it notifies nobody" if before not in (ABSENT, []) and after in (ABSENT, []) else ""


def _queue(arn: object) -> str:
    return "their queue" if isinstance(arn, Word) else code(str(arn).rpartition(":")[2])
