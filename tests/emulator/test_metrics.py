"""The state of an alarm follows its measurements."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from ministack.services import cloudwatch

from ops.emulator import metric_math
from ops.emulator.alarm_state import state
from ops.emulator.fixes import metrics
from ops.emulator.metrics import Measurement, embedded, rule_dimensions

NOW = 10_000.0
ALARM = {
    "Namespace": "N",
    "MetricName": "M",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 3,
    "DatapointsToAlarm": 2,
    "Threshold": 1.0,
    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
    "TreatMissingData": "notBreaching",
    "StateValue": "OK",
}


def points(*values: tuple[float, float]) -> list[dict[str, Any]]:
    """Return measurements from pairs of age in seconds and value."""
    return [{"Timestamp": NOW - age, "Value": value, "Unit": "Count"} for age, value in values]


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (points(), "OK"),
        (points((1, 1)), "OK"),
        (points((1, 1), (61, 1)), "ALARM"),
        (points((1, 1), (2, 1)), "OK"),
        (points((1, 1), (200, 1)), "OK"),
        (points((1, 0.5), (2, 0.5), (130, 1)), "ALARM"),
    ],
)
def test_enough_periods_must_breach(measured: list[dict[str, Any]], expected: str) -> None:
    assert state(ALARM, lambda *_: measured, NOW) == expected


@pytest.mark.parametrize(
    ("treatment", "expected"),
    [("missing", "INSUFFICIENT_DATA"), ("notBreaching", "OK"), ("breaching", "ALARM"), ("ignore", "OK")],
)
def test_missing_data_is_treated_as_the_alarm_says(treatment: str, expected: str) -> None:
    assert state(ALARM | {"TreatMissingData": treatment}, lambda *_: [], NOW) == expected


def test_points_older_than_two_weeks_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloudwatch, "_metrics", {})
    held, now = cloudwatch._metrics, time.time()
    old, new = {"Timestamp": now - 15 * 24 * 3600}, {"Timestamp": now - 13 * 24 * 3600}
    held |= {"both": [old, new], "new": [new], "old": [old]}
    metrics._evict_old_metrics()
    assert held == {"both": [new], "new": [new]}


SUM = {
    key: value
    for key, value in ALARM.items()
    if key not in ("Namespace", "MetricName", "Statistic", "Period")
} | {
    "Metrics": [
        {"Id": "total", "Expression": "m1 + m2", "ReturnData": True},
        *(
            {
                "Id": id_,
                "ReturnData": False,
                "MetricStat": {
                    "Metric": {"Namespace": "N", "MetricName": name, "Dimensions": []},
                    "Period": 60,
                    "Stat": "Maximum",
                },
            }
            for id_, name in (("m1", "Visible"), ("m2", "Hidden"))
        ),
    ]
}


@pytest.mark.parametrize(
    ("visible", "hidden", "expected"),
    [
        (points((1, 1), (61, 0)), points((1, 0), (61, 1)), "ALARM"),
        (points((1, 0), (61, 0)), points((1, 0), (61, 0)), "OK"),
        (points((1, 1), (61, 1)), points((1, 0)), "OK"),
        (points(), points(), "OK"),
    ],
)
def test_a_sum_breaches_in_the_periods_in_which_each_of_its_metrics_has_data(
    visible: list[dict[str, Any]], hidden: list[dict[str, Any]], expected: str
) -> None:
    measured = {"Visible": visible, "Hidden": hidden}
    assert state(SUM, lambda _namespace, name, _dimensions: measured[name], NOW) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [("m1 + m2", 5.0), ("m1 - m2 * 2", -4.0), ("m1 / 4", 0.5), ("m1 / none", None), ("m1 / 0", None)],
)
def test_metric_math_computes_as_cloudwatch_does(expression: str, expected: float | None) -> None:
    assert metric_math.value(expression, {"m1": 2.0, "m2": 3.0, "none": None}) == expected


@pytest.mark.parametrize("expression", ["FILL(m1, 0)", "m9", "m1 +", "m1 ** 2"])
def test_unsupported_metric_math_is_refused(expression: str) -> None:
    with pytest.raises(metric_math.UnknownMathError):
        metric_math.value(expression, {"m1": 1.0})


def test_embedded_metrics_are_read_with_their_dimensions() -> None:
    directive = {
        "Namespace": "N",
        "Dimensions": [["service"], ["service", "environment"]],
        "Metrics": [{"Name": "Applied", "Unit": "Count"}],
    }
    line = {"_aws": {"CloudWatchMetrics": [directive]}, "service": "s", "environment": "e", "Applied": [1, 2]}
    found = list(embedded(json.dumps(line)))
    assert Measurement("N", "Applied", 1.0, "Count", {"service": "s"}) in found
    assert Measurement("N", "Applied", 2.0, "Count", {"service": "s", "environment": "e"}) in found
    assert len(found) == 4


@pytest.mark.parametrize(
    "line", ["", "plain", '{"_aws": 1}', '{"_aws": {"CloudWatchMetrics": ', '{"message": "x"}']
)
def test_other_log_lines_have_no_metrics(line: str) -> None:
    assert list(embedded(line)) == []


def test_only_a_rule_of_the_default_bus_has_no_bus_dimension() -> None:
    assert rule_dimensions({"Name": "r", "EventBusName": "default"}) == {"RuleName": "r"}
    assert rule_dimensions({"Name": "r", "EventBusName": "b"}) == {"EventBusName": "b", "RuleName": "r"}
