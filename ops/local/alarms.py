"""Which alarms of the embedded CloudWatch are firing."""

from __future__ import annotations

from ops.local.clients import Aws


def firing(aws: Aws) -> tuple[str, ...]:
    """Return the names of the alarms that fire now, sorted."""
    pages = aws.client("cloudwatch").get_paginator("describe_alarms")
    return tuple(
        sorted(
            alarm["AlarmName"]
            for page in pages.paginate(AlarmTypes=["MetricAlarm", "CompositeAlarm"], StateValue="ALARM")
            for alarm in (*page["MetricAlarms"], *page["CompositeAlarms"])
        )
    )
