"""The alarms, and who gets them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from infra.names import PROJECT
from ops import preflight
from ops.console import plural
from ops.doctor.check import Finding, failed, warned, worst
from ops.doctor.context import Context
from ops.doctor.state import Alarm
from ops.environment import Environment, if_exists

RUNBOOK: Final = re.compile(r"Runbook: (\S+)")


def subscriptions(context: Context) -> Finding:
    """Check whether everybody who should get the alarms has confirmed."""
    environment = context.environment
    problems = [
        warned(each.text, "follow the link in AWS's mail") for each in preflight.subscribers(environment)
    ]
    topic = context.place.arn("sns", context.place.name("alerts"))
    answer = if_exists(context.client("sns").get_topic_attributes, TopicArn=topic)
    if answer is None:
        name = context.place.name("alerts")
        return failed(f"{name} does not exist: no alarm reaches anybody", context.deploy)
    pending = int(answer["Attributes"].get("SubscriptionsPending", 0))
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
    """Check which alarms are on, and whether those of the last deploy exist and notify as it left them."""
    wanted = context.state().alarms
    if not wanted:
        return failed("the last deploy made no alarm", context.deploy)
    return worst(_alarms(context, wanted), f"{plural(len(wanted), 'alarm')}, none is on")


def _alarms(context: Context, wanted: Mapping[str, Alarm]) -> Iterator[Finding]:
    found, step = found_in(context.environment), context.deploy
    for name, deployed in sorted(wanted.items()):
        alarm = found.get(name)
        if alarm is None:
            yield failed(f"{name} does not exist", step)
            continue
        starts, clears = set(alarm.get("AlarmActions", ())), set(alarm.get("OKActions", ()))
        # What only remembers, or is on before the first event, notifies nobody.
        if alarm["StateValue"] == "ALARM" and (deployed.starts or starts):
            runbook = RUNBOOK.search(alarm.get("AlarmDescription", ""))
            yield failed(f"{name} is on", runbook[1] if runbook else "")
        if not deployed.starts <= starts or not deployed.clears <= clears:
            whom = "not whom it should" if starts or clears else "nobody"
            yield failed(f"{name} notifies {whom}: it lost its actions", step)
        elif (starts or clears) and not alarm.get("ActionsEnabled", True):
            yield failed(f"{name} notifies nobody: its actions are disabled", step)


def found_in(environment: Environment) -> Mapping[str, Mapping[str, Any]]:
    """Return the alarms of all environments of the account by name."""
    pages = environment.client("cloudwatch").get_paginator("describe_alarms")
    types = ("MetricAlarm", "CompositeAlarm")
    return {
        alarm["AlarmName"]: alarm
        for page in pages.paginate(AlarmNamePrefix=f"{PROJECT}-", AlarmTypes=types)
        for kind in types
        for alarm in page.get(f"{kind}s", ())
    }
