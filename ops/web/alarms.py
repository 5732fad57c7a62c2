"""The alarms of an environment: which are on, what they are about, and where their runbooks are."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from infra.names import PROJECT
from ops.architecture.topology import FUNCTION, QUEUE, RULE
from ops.doctor.alarms import RUNBOOK, found_in
from ops.environment import aws_errors
from ops.web.site import Site

# The alarm that stands for all others.
UNHEALTHY: Final = "unhealthy"
# The dimensions that name a resource, and its kind; `service` is the family of a function.
NAMED_BY: Final = {"RuleName": RULE, "FunctionName": FUNCTION, "QueueName": QUEUE, "service": FUNCTION}
KIND: Final = re.compile(r"docs/runbooks/([a-z-]+)\.md$")
STATES: Final = {"ALARM": "on", "OK": "off", "INSUFFICIENT_DATA": "no data"}


@dataclass(frozen=True)
class Alarm:
    """One alarm.

    Parameters
    ----------
    part
        Its name between project and environment, for example payments-errors.
    meaning
        What it says, with commands between backticks.
    on
        Whether it is on and notifies; what only remembers, or waits for a first event, does not.
    runbook
        The name of its page in docs/runbooks, without `.md`; empty if it has none.
    about
        Kinds and names of resources, the names without project and environment.
    """

    part: str
    on: bool
    state: str
    meaning: str
    runbook: str
    since: datetime | None
    about: frozenset[tuple[str, str]]


def read(site: Site) -> tuple[Alarm, ...]:
    """Return the alarms by name, those that are on first.

    Raises
    ------
    OperatorError
        CloudWatch refuses.
    """
    return site.recent("alarms", lambda: tuple(sorted(_read(site), key=_order)), time.monotonic())


def _order(alarm: Alarm) -> tuple[bool, bool, str]:
    return (not alarm.on, alarm.part != UNHEALTHY, alarm.part)


def _read(site: Site) -> Iterator[Alarm]:
    ending = f"-{site.environment.name}"
    with aws_errors("the alarms"):
        found = found_in(site.environment)
    for name, alarm in found.items():
        if name.endswith(ending):
            yield _alarm(name.removeprefix(f"{PROJECT}-").removesuffix(ending), alarm, ending)


def _alarm(part: str, alarm: Mapping[str, Any], ending: str) -> Alarm:
    described = str(alarm.get("AlarmDescription", ""))
    where = RUNBOOK.search(described)
    kind = KIND.search(where[1]) if where else None
    metrics = [
        alarm,
        *(each["MetricStat"]["Metric"] for each in alarm.get("Metrics", ()) if "MetricStat" in each),
    ]
    values = {
        (
            NAMED_BY[one["Name"]],
            one["Value"].removeprefix(f"{PROJECT}-").removesuffix(".fifo").removesuffix(ending),
        )
        for each in metrics
        for one in each.get("Dimensions", ())
        if one["Name"] in NAMED_BY
    }
    since = alarm.get("StateUpdatedTimestamp")
    return Alarm(
        part,
        on=alarm["StateValue"] == "ALARM" and bool(alarm.get("AlarmActions")),
        state=STATES[alarm["StateValue"]],
        meaning=described.partition(" Runbook:")[0],
        runbook=kind[1] if kind else "",
        since=since if isinstance(since, datetime) else None,
        about=frozenset(values),
    )
