"""Which alarms would be firing. The embedded CloudWatch has no queue metrics, so queues are read here."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

from ops.local.clients import Aws

COMPARISONS = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
VISIBLE = ("AWS/SQS", "ApproximateNumberOfMessagesVisible")


def firing(aws: Aws, queue_depths: Mapping[str, int]) -> tuple[str, ...]:
    """Return the names of the alarms that fire, sorted.

    A queue-depth alarm fires when the queue's present depth crosses its threshold; it does not wait for the
    alarm's period, as CloudWatch would. The other alarms fire when the embedded CloudWatch says so, and the
    composite alarm when one that its rule names fires.
    """
    client = aws.client("cloudwatch")
    metric_alarms: list[dict[str, Any]] = []
    composite_alarms: list[dict[str, Any]] = []
    for page in client.get_paginator("describe_alarms").paginate(
        AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    ):
        metric_alarms += page["MetricAlarms"]
        composite_alarms += page["CompositeAlarms"]
    fire = {alarm["AlarmName"] for alarm in metric_alarms if _crosses(alarm, queue_depths)}
    fire |= {
        alarm["AlarmName"]
        for alarm in composite_alarms
        if any(f'ALARM("{name}")' in alarm["AlarmRule"] for name in fire)
    }
    return tuple(sorted(fire))


def _crosses(alarm: Mapping[str, Any], queue_depths: Mapping[str, int]) -> bool:
    if (alarm.get("Namespace"), alarm.get("MetricName")) == VISIBLE:
        queue = next(item["Value"] for item in alarm["Dimensions"] if item["Name"] == "QueueName")
        compare = COMPARISONS[alarm["ComparisonOperator"]]
        return bool(compare(queue_depths.get(queue, 0), float(alarm["Threshold"])))
    return bool(alarm["StateValue"] == "ALARM")
