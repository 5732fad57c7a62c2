"""The state of an alarm, from the measurements of its metrics.

Source: CloudWatch user guide, "Alarm evaluation" and "Configuring how CloudWatch alarms treat missing data".
CloudWatch also looks at some periods before those that an alarm evaluates, and takes the latest that have
data; here a period without data counts as missing.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ministack.services import cloudwatch

from ops.emulator import metric_math

Data = dict[str, Any]
# Returns the measurements of a metric by its namespace, name and dimensions.
Read = Callable[[str, str, Mapping[str, str]], Sequence[Data]]
DEFAULT_PERIOD_SECONDS: Final = 60
COMPARISONS: Final[dict[str, Callable[[float, float], bool]]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


def state(alarm: Data, read: Read, now: float) -> str:
    """Return the state of a metric alarm by its measurements: OK, ALARM or INSUFFICIENT_DATA.

    The latest period is the one that ends now.

    Raises
    ------
    metric_math.UnknownMathError
        The alarm's expression is not supported here.
    """
    periods = alarm.get("EvaluationPeriods") or 1
    compare = COMPARISONS[alarm["ComparisonOperator"]]
    values = _values(alarm, read, now, periods)
    known = [compare(value, alarm["Threshold"]) for value in values if value is not None]
    treatment = alarm.get("TreatMissingData", "missing")
    if not known and treatment == "missing":
        return "INSUFFICIENT_DATA"
    if not known and treatment == "ignore":
        return str(alarm["StateValue"])
    if treatment == "breaching":
        known += [True] * (periods - len(known))
    return "ALARM" if sum(known) >= (alarm.get("DatapointsToAlarm") or periods) else "OK"


def _values(alarm: Data, read: Read, now: float, periods: int) -> list[float | None]:
    """The value of each period, the latest first: of the alarm's metric, or of its expression."""
    if alarm.get("MetricName"):
        return _statistics(alarm, alarm, read, now, periods)
    queries = alarm["Metrics"]
    series = {
        query["Id"]: _statistics(query["MetricStat"]["Metric"], query["MetricStat"], read, now, periods)
        for query in queries
        if "MetricStat" in query
    }
    (result,) = (query for query in queries if query.get("ReturnData", True))
    if "MetricStat" in result:
        return series[result["Id"]]
    return [
        metric_math.value(result["Expression"], {id_: values[number] for id_, values in series.items()})
        for number in range(periods)
    ]


def _statistics(metric: Data, how: Data, read: Read, now: float, periods: int) -> list[float | None]:
    dimensions = {one["Name"]: one["Value"] for one in metric.get("Dimensions", [])}
    points = read(metric["Namespace"], metric["MetricName"], dimensions)
    statistic = how.get("Stat") or how.get("ExtendedStatistic") or how.get("Statistic", "Average")
    period = int(how.get("Period") or DEFAULT_PERIOD_SECONDS)
    found: list[list[Data]] = [[] for _ in range(periods)]
    # A metric of a long run has thousands of points, and few of them are in these periods.
    for point in [point for point in points if 0 <= now - point["Timestamp"] < periods * period]:
        found[int((now - point["Timestamp"]) // period)].append(point)
    return [
        cloudwatch._stat_value(cloudwatch._calc_stats(each), statistic, each) if each else None
        for each in found
    ]
