"""The cost of a month so far, from what CloudWatch counted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from ops.cost import month, services, stack
from ops.environment import Environment

NOW = datetime(2026, 11, 16, tzinfo=UTC)
# Invocations and mean milliseconds of two days, by family.
DAYS = {"payments": ([10, 30], [100, 200]), "billing": ([40], [50]), "audit": ([20], [10])}


class _CloudWatch:
    def get_metric_data(self, **request: Any) -> dict[str, Any]:
        assert request["StartTime"] == datetime(2026, 11, 1, tzinfo=UTC)
        return {
            "MetricDataResults": [
                {"Id": each["Id"], "Values": _values(each["Id"])} for each in request["MetricDataQueries"]
            ]
        }


def _values(key: str) -> list[float]:
    word, _, family = key.partition("_")
    return [100.0] if word == "events" else [float(each) for each in DAYS[family][word == "ms"]]


class _Environment:
    bus = "aws.partner/stripe.com/ed_1"

    def resource(self, part: str) -> str:
        return f"huntaze-stripe-{part}-dev"

    def client(self, _service: str) -> _CloudWatch:
        return _CloudWatch()


@pytest.fixture
def read() -> month.Month:
    return month.read(cast("Environment", _Environment()), NOW)


def test_a_month_is_what_the_metrics_count(read: month.Month) -> None:
    assert (read.passed, read.events) == (0.5, 100)
    assert read.invocations == {"payments": 40, "billing": 40, "audit": 20}
    # By invocations, not by days.
    assert read.milliseconds == {"payments": 175.0, "billing": 50.0, "audit": 10.0}


def test_half_a_month_has_half_of_what_is_due_without_events(read: month.Month) -> None:
    dev = stack.shipped("dev")
    found = month.so_far(read, dev)
    alarms = next(each for each in found if each.what == "alarm metrics")
    assert alarms.dollars == pytest.approx(dev.alarm_metrics * 0.10 / 2)
    runs = {each.what: each.how for each in found if each.service == "Lambda"}
    assert runs["payments"].startswith("40 x")
    assert "175 ms" in runs["payments"]
    assert runs["audit"].startswith("20 x")
    assert {each.service for each in found} >= {
        "EventBridge",
        "Lambda",
        "DynamoDB",
        *services.SERVICES.values(),
    } - {"KMS"}
