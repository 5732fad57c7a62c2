"""Whether an alarm fires, from a metric's measurements.

Source: CloudWatch user guide, "Alarm evaluation" and "Configuring how CloudWatch alarms treat missing data".
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from ministack.services import cloudwatch

Point = dict[str, Any]
DEFAULT_PERIOD_SECONDS = 60
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


def state(alarm: Point, points: Sequence[Point], now: float) -> str:
    """Return the state that the points put a metric alarm into: OK, ALARM or INSUFFICIENT_DATA.

    The latest period is the one that ends now.
    """
    period = alarm.get("Period") or DEFAULT_PERIOD_SECONDS
    periods = alarm.get("EvaluationPeriods") or 1
    breaching = [
        _breaching(alarm, [point for point in points if start <= now - point["Timestamp"] < start + period])
        for start in range(0, periods * period, period)
    ]
    known = [breach for breach in breaching if breach is not None]
    treatment = alarm.get("TreatMissingData", "missing")
    if not known and treatment == "missing":
        return "INSUFFICIENT_DATA"
    if not known and treatment == "ignore":
        return str(alarm["StateValue"])
    if treatment == "breaching":
        known += [True] * (periods - len(known))
    return "ALARM" if sum(known) >= (alarm.get("DatapointsToAlarm") or periods) else "OK"


def _breaching(alarm: Point, points: list[Point]) -> bool | None:
    if not points:
        return None
    statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic", "Average")
    value = cloudwatch._stat_value(cloudwatch._calc_stats(points), statistic, points)
    return COMPARISONS[alarm["ComparisonOperator"]](value, alarm["Threshold"])
