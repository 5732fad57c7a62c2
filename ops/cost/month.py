"""What a month has cost so far, from the metrics of its events and invocations."""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from functions.shared.names import HANDLERS, PAYMENTS
from ops.cost import assumptions, measured, prices
from ops.cost.assumptions import WORKING
from ops.cost.services import Cost, Usage, costs
from ops.cost.stack import Stack
from ops.environment import Environment, aws_errors

DAY_SECONDS: Final = 86_400


@dataclass(frozen=True)
class Month:
    """What CloudWatch counted since the first of the month.

    Parameters
    ----------
    passed
        The share of the month that has passed.
    milliseconds
        The mean duration of an invocation, by family.
    """

    passed: float
    events: int
    invocations: Mapping[str, int]
    milliseconds: Mapping[str, float]


def read(environment: Environment, now: datetime) -> Month:
    """Read a month's metrics.

    Raises
    ------
    OperatorError
        CloudWatch refuses.
    """
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    length = timedelta(days=calendar.monthrange(now.year, now.month)[1])
    queries = [_query("events", "AWS/Events", "Events", "EventSourceName", environment.bus, "Sum")]
    queries += [
        _query(
            f"{word}_{family}", "AWS/Lambda", name, "FunctionName", environment.resource(family), statistic
        )
        for family in WORKING
        for word, name, statistic in (("runs", "Invocations", "Sum"), ("ms", "Duration", "Average"))
    ]
    with aws_errors("the metrics of the month"):
        answer = environment.client("cloudwatch").get_metric_data(
            MetricDataQueries=queries, StartTime=first, EndTime=now + timedelta(minutes=1)
        )
        values = {each["Id"]: each["Values"] for each in answer["MetricDataResults"]}
    runs = {family: values.get(f"runs_{family}", []) for family in WORKING}
    return Month(
        (now - first) / length,
        round(sum(values.get("events", []))),
        {family: round(sum(runs[family])) for family in WORKING},
        {family: _mean(values.get(f"ms_{family}", []), runs[family]) for family in WORKING},
    )


def so_far(month: Month, stack: Stack) -> list[Cost]:
    """Return what the month has cost so far, as `ops.cost.services` estimates a whole one.

    What is due without any event is due for the days that have passed. Storage counts what this month
    added. An invocation counts with the mean duration that CloudWatch has, the API's answer included.
    """
    found = measured.read()
    handled = sum(month.invocations[family] for family in HANDLERS)
    changed = [f"months={month.passed:.6f}", "api_ms=0"]
    if month.events:
        changed.append(f"handled_share={min(1.0, handled / month.events):.6f}")
    if handled:
        changed.append(f"payments_share={month.invocations[PAYMENTS] / handled:.6f}")
    if month.invocations["audit"]:
        changed.append(f"events_per_batch={month.events / month.invocations['audit']:.6f}")
    changed += [f"{family}_ms={max(1.0, ms):.3f}" for family, ms in month.milliseconds.items() if ms]
    chosen = assumptions.of(found).changed(changed)
    usage = Usage(stack, found, chosen, prices.prices(), month.events)
    return [
        replace(each, dollars=each.dollars * month.passed) if each.fixed else each for each in costs(usage)
    ]


def _mean(daily: list[float], runs: list[float]) -> float:
    """Return the mean of a month from the means of its days."""
    weights = runs if len(runs) == len(daily) else [1.0] * len(daily)
    total = sum(weights)
    return sum(value * weight for value, weight in zip(daily, weights, strict=True)) / total if total else 0.0


def _query(key: str, namespace: str, name: str, dimension: str, value: str, statistic: str) -> dict[str, Any]:
    metric = {
        "Namespace": namespace,
        "MetricName": name,
        "Dimensions": [{"Name": dimension, "Value": value}],
    }
    return {"Id": key, "MetricStat": {"Metric": metric, "Period": DAY_SECONDS, "Stat": statistic}}
