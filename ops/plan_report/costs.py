"""What a plan changes in the monthly cost of a stack that gets no event."""

from __future__ import annotations

import tomllib
from functools import cache
from typing import Any, Final

from ops import ROOT
from ops.plan_report.deliveries import SIDES, Side, exists
from ops.plan_report.plan import Plan, Resource, at

FILE: Final = ROOT / "ops" / "prices.toml"
ALARM: Final = "aws_cloudwatch_metric_alarm"
# The price of each resource of a type.
PRICED: Final = {
    "aws_cloudwatch_composite_alarm": "composite_alarm",
    "aws_cloudwatch_dashboard": "dashboard",
    "aws_kms_key": "key",
    "aws_secretsmanager_secret": "secret",
}


def difference(plan: Plan) -> float:
    """Return the change of the fixed cost in US dollars a month: alarms, dashboards, secrets and keys."""
    before, after = (
        sum(_price(each, side) for each in plan.resources if exists(each, side)) for side in SIDES
    )
    return round(after - before, 2)


@cache
def prices() -> dict[str, Any]:
    """Read the price file."""
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def _price(resource: Resource, side: Side) -> float:
    # Others of an unchanged type cancel out.
    month = prices()["month"]
    if resource.type == ALARM:
        value = resource.before if side == "before" else resource.after
        return float(month["metric_of_alarm"]) * _metrics(value)
    return float(month[PRICED[resource.type]]) if resource.type in PRICED else 0.0


def _metrics(alarm: Any) -> int:
    """Count the metrics that an alarm watches: each is billed."""
    queries = at(alarm, "metric_query")
    watched = [each for each in queries if at(each, "metric")] if isinstance(queries, list) else []
    return sum(isinstance(at(each, "metric"), list) for each in watched) or 1
