"""The alarms, and who gets them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from infra.names import PROJECT
from ops import preflight
from ops.console import plural
from ops.doctor.check import Finding, failed, warned, worst
from ops.doctor.context import Context

RUNBOOK: Final = re.compile(r"Runbook: (\S+)")


def subscriptions(context: Context) -> Finding:
    """Look whether everybody who should get the alarms has confirmed."""
    environment = context.environment
    problems = [
        warned(each.text, "follow the link in AWS's mail") for each in preflight.subscribers(environment)
    ]
    topic = context.place.arn("sns", context.place.name("alerts"))
    attributes = context.client("sns").get_topic_attributes(TopicArn=topic)["Attributes"]
    pending = int(attributes.get("SubscriptionsPending", 0))
    if pending and not problems:
        count = plural(pending, "subscription")
        problems.append(warned(f"{count} not confirmed", "follow the link in AWS's message"))
    pages = context.client("sns").get_paginator("list_subscriptions_by_topic")
    found = [each for page in pages.paginate(TopicArn=topic) for each in page["Subscriptions"]]
    has = {each["Endpoint"] for each in found}
    missing = [address for address in environment.settings.alert_addresses if address not in has]
    deploy = context.deploy
    problems += [failed(f"{address} of alert_emails is not subscribed", deploy) for address in missing]
    if not found and not environment.settings.alert_emails:
        problems.append(
            warned("nobody is subscribed", f"set alert_emails in environments/{environment.name}.toml")
        )
    count = plural(len(found), "subscription")
    return worst(problems, f"{count}, confirmed" if found else "alarms are read elsewhere")


def alarms(context: Context) -> Finding:
    """Look which alarms are on, and whether they notify anybody."""
    found = list(_alarms(context))
    step = context.deploy
    if not found:
        return failed("no alarm exists", step)
    problems = []
    for alarm in found:
        if alarm["StateValue"] == "ALARM":
            runbook = RUNBOOK.search(alarm.get("AlarmDescription", ""))
            problems.append(failed(f"{alarm['AlarmName']} is on", runbook[1] if runbook else ""))
        if not alarm.get("ActionsEnabled", True):
            problems.append(failed(f"{alarm['AlarmName']} notifies nobody: its actions are disabled", step))
    return worst(problems, f"{plural(len(found), 'alarm')}, none is on")


def _alarms(context: Context) -> Iterator[dict[str, Any]]:
    """Yield the metric alarms that notify by themselves or through a composite alarm."""
    pages = context.client("cloudwatch").get_paginator("describe_alarms")
    suffix = f"-{context.environment.name}"
    for page in pages.paginate(AlarmNamePrefix=f"{PROJECT}-", AlarmTypes=["MetricAlarm"]):
        for alarm in page["MetricAlarms"]:
            # What only remembers, or is on before the first event, notifies nobody.
            if alarm["AlarmName"].endswith(suffix) and alarm.get("AlarmActions"):
                yield alarm
