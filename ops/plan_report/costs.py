"""What a plan changes in the monthly cost of a stack: before the first event, and for a million events."""

from __future__ import annotations

from typing import Any, Final

from functions.shared.names import BILLING, HANDLERS, PAYMENTS
from ops.cost import assumptions, measured
from ops.cost.prices import prices
from ops.cost.units import THOUSAND, metrics_of_alarm, million_invocations
from ops.plan_report.deliveries import SIDES, Side, exists
from ops.plan_report.plan import Plan, Resource, at

FUNCTION: Final = "aws_lambda_function"
FAMILIES: Final = (*HANDLERS, "audit")
ARCHITECTURES: Final = ("arm64", "x86_64")
ALARM: Final = "aws_cloudwatch_metric_alarm"
# The price of each resource of a type.
PRICED: Final = {
    "aws_cloudwatch_composite_alarm": ("cloudwatch", "composite_alarm"),
    "aws_cloudwatch_dashboard": ("cloudwatch", "dashboard"),
    "aws_kms_key": ("kms", "key"),
    "aws_secretsmanager_secret": ("secretsmanager", "secret"),
}


def difference(plan: Plan) -> float:
    """Return the change of the fixed cost in US dollars a month: alarms, dashboards, secrets and keys."""
    before, after = (
        sum(_price(each, side) for each in plan.resources if exists(each, side)) for side in SIDES
    )
    return round(after - before, 2)


def difference_of_a_million(plan: Plan) -> float:
    """Return the change of what a million events cost in US dollars: the functions' memory and architecture.

    The durations are measured ones (`ops.cost.measured`): they do not shrink with more memory here.
    """
    changed = [each for each in plan.resources if each.type == FUNCTION and each.before and each.after]
    return round(sum(_million(each.after) - _million(each.before) for each in changed), 2)


def _million(function: Any) -> float:
    """Return what the invocations of a million events cost; 0 where a value is not known."""
    found = measured.read()
    memory, architecture = at(function, "memory_size"), at(function, "architectures", 0)
    family = next((name for name in FAMILIES if f"-{name}-" in str(at(function, "function_name"))), None)
    if family is None or not isinstance(memory, int) or architecture not in ARCHITECTURES:
        return 0.0
    rests = assumptions.of(found)
    seconds = (rests[f"{family}_ms"] + (rests["api_ms"] if family in HANDLERS else 0)) / THOUSAND
    share = {PAYMENTS: rests["payments_share"], BILLING: 1 - rests["payments_share"]}.get(family, 1.0)
    return share * million_invocations(prices(), memory, architecture, seconds)


def _price(resource: Resource, side: Side) -> float:
    # Others of an unchanged type cancel out.
    if resource.type == ALARM:
        value = resource.before if side == "before" else resource.after
        return prices().of("cloudwatch", "metric_of_alarm") * metrics_of_alarm(value)
    return prices().of(*PRICED[resource.type]) if resource.type in PRICED else 0.0
