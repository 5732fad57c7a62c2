"""Each alarm of a stack fires when it should, and clears: by CloudWatch's rules, over a clock of our own.

The rules are those by which the embedded AWS evaluates alarms (ops/emulator/alarm_state.py), and
MiniStack's for composite ones. What AWS does besides, such as when it publishes a metric, how many earlier
periods it looks at, or that a percentile has too few samples, is not shown here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ministack.services import cloudwatch

from ops.emulator.alarm_state import state
from tests.infra.conftest import EVERYTHING_ON, synthesise_into
from tests.infra.terraform_json import Stack, metrics_of

TOPIC = "${aws_sns_topic.alerts.arn}"
DEPLOYED = 10_000_000.0
ACTIONS = {"ALARM": "alarm_actions", "OK": "ok_actions"}
# The parts of alarms on silence; all other alarms fire by what is measured.
SILENT = ("redrive-not-running", "reconcile-not-running", "compact-not-running", "heartbeat")


@dataclass
class CloudWatch:
    """The alarms of a stack: publish, let time pass, and see which state they are in and what was mailed."""

    alarms: dict[str, dict[str, Any]]
    composites: dict[str, dict[str, Any]]
    now: float = DEPLOYED
    mails: list[tuple[str, str]] = field(default_factory=list)
    _points: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    def publish(self, alarm: Mapping[str, Any], *values: float) -> None:
        """Publish a value of each of an alarm's metrics, now."""
        for metric, value in zip(metrics_of(dict(alarm)), values, strict=True):
            key = _key(metric["namespace"], metric["metric_name"], metric["dimensions"])
            self._points[key].append({"Timestamp": self.now, "Value": value, "Unit": "None"})

    def after(self, seconds: float, only: dict[str, Any] | None = None) -> None:
        """Let time pass, and evaluate every alarm, or `only` one of them."""
        self.now += seconds
        for alarm in self.alarms.values() if only is None else [only]:
            self._move(alarm, state(_in_the_api(alarm), self._read, self.now))
        for composite in self.composites.values() if only is None else ():
            self._move(composite, cloudwatch._composite_rule_state(composite))

    def _read(self, namespace: str, name: str, dimensions: Mapping[str, str]) -> Sequence[dict[str, Any]]:
        return self._points[_key(namespace, name, dimensions)]

    def _move(self, alarm: dict[str, Any], after: str) -> None:
        if after != alarm["StateValue"]:
            alarm["StateValue"] = after
            if TOPIC in alarm.get(ACTIONS.get(after, ""), ()):
                self.mails.append((alarm["alarm_name"], after))


def _key(namespace: str, name: str, dimensions: Mapping[str, str]) -> str:
    return f"{namespace} {name} {sorted(dimensions.items())}"


def _in_the_api(alarm: Mapping[str, Any]) -> dict[str, Any]:
    """A metric alarm of Terraform as CloudWatch's API spells it."""
    spelled = {
        "StateValue": alarm["StateValue"],
        "EvaluationPeriods": alarm["evaluation_periods"],
        "DatapointsToAlarm": alarm["datapoints_to_alarm"],
        "Threshold": alarm["threshold"],
        "ComparisonOperator": alarm["comparison_operator"],
        "TreatMissingData": alarm["treat_missing_data"],
    }
    if "metric_query" not in alarm:
        return (
            spelled
            | _metric(alarm)
            | {
                "Period": alarm["period"],
                "Statistic": alarm.get("statistic"),
                "ExtendedStatistic": alarm.get("extended_statistic"),
            }
        )
    queries = []
    for query in alarm["metric_query"]:
        if "metric" in query:
            how = {"Period": query["metric"]["period"], "Stat": query["metric"]["stat"]}
            source: dict[str, Any] = {"MetricStat": {"Metric": _metric(query["metric"]), **how}}
        else:
            source = {"Expression": query["expression"]}
        queries.append({"Id": query["id"], "ReturnData": query.get("return_data", False), **source})
    return spelled | {"Metrics": queries}


def _metric(metric: Mapping[str, Any]) -> dict[str, Any]:
    dimensions = [{"Name": name, "Value": value} for name, value in metric["dimensions"].items()]
    return {"Namespace": metric["namespace"], "MetricName": metric["metric_name"], "Dimensions": dimensions}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """prod with every alarm that there is."""
    folder: Path = tmp_path_factory.mktemp("alarms")
    return Stack.read(synthesise_into(folder, EVERYTHING_ON), "huntaze-stripe-prod")


@pytest.fixture
def watched(whole: Stack, monkeypatch: pytest.MonkeyPatch) -> CloudWatch:
    new = {"StateValue": "INSUFFICIENT_DATA"}
    alarms = {a["alarm_name"]: a | new for a in whole.of_type("aws_cloudwatch_metric_alarm").values()}
    composites = {
        found["alarm_name"]: found | new | {"AlarmRule": found["alarm_rule"]}
        for found in whole.of_type("aws_cloudwatch_composite_alarm").values()
    }
    monkeypatch.setattr(cloudwatch, "_alarms", alarms)
    monkeypatch.setattr(cloudwatch, "_composite_alarms", composites)
    return CloudWatch(alarms, composites)


def on_measurements(watched: CloudWatch) -> Iterator[dict[str, Any]]:
    """The alarms that fire by what is measured."""
    parts = tuple(f"huntaze-stripe-{part}{since}-prod" for part in SILENT for since in ("", "-since"))
    found = [alarm for alarm in watched.alarms.values() if alarm["alarm_name"] not in parts]
    assert len(found) == len(watched.alarms) - len(parts) > 50
    return iter(found)


def period(alarm: Mapping[str, Any]) -> int:
    (seconds,) = {metric["period"] for metric in metrics_of(dict(alarm))}
    return int(seconds)


def values(alarm: Mapping[str, Any], total: float) -> list[float]:
    """Values of the alarm's metrics whose sum is `total`: all of it in the last one, what others hold."""
    return [0.0] * (len(metrics_of(dict(alarm))) - 1) + [total]


def test_each_alarm_fires_at_its_threshold_and_clears_when_the_metric_is_healthy(watched: CloudWatch) -> None:
    for alarm in on_measurements(watched):
        name, seconds = alarm["alarm_name"], period(alarm)
        for number in range(1, alarm["datapoints_to_alarm"] + 1):
            assert alarm["StateValue"] != "ALARM", f"{name} fires after {number - 1} periods"
            watched.publish(alarm, *values(alarm, alarm["threshold"]))
            watched.after(seconds - 1, alarm)
        assert alarm["StateValue"] == "ALARM", name
        assert watched.mails[-1] == (name, "ALARM")
        for _ in range(alarm["evaluation_periods"] - alarm["datapoints_to_alarm"] + 1):
            watched.publish(alarm, *values(alarm, 0))
            watched.after(seconds, alarm)
        assert alarm["StateValue"] == "OK", name


def test_each_alarm_clears_without_data_and_can_start_again(watched: CloudWatch) -> None:
    for alarm in on_measurements(watched):
        name, seconds = alarm["alarm_name"], period(alarm)
        for _ in range(2):
            watched.mails.clear()
            for _ in range(alarm["datapoints_to_alarm"]):
                watched.publish(alarm, *values(alarm, alarm["threshold"]))
                watched.after(seconds - 1, alarm)
            assert (name, "ALARM") in watched.mails
            watched.after(seconds * alarm["evaluation_periods"] + 1, alarm)
            assert alarm["StateValue"] == "OK", name


def test_no_alarm_fires_under_its_threshold_or_without_data(watched: CloudWatch) -> None:
    watched.after(1)
    for alarm in on_measurements(watched):
        assert alarm["StateValue"] == "OK", alarm["alarm_name"]
        for _ in range(alarm["datapoints_to_alarm"]):
            watched.publish(alarm, *values(alarm, alarm["threshold"] * 0.99))
            watched.after(period(alarm) - 1, alarm)
        assert alarm["StateValue"] == "OK", alarm["alarm_name"]
    assert not [mail for mail in watched.mails if mail[1] == "ALARM"]


def test_a_received_dead_letter_still_counts(watched: CloudWatch) -> None:
    alarm = watched.alarms["huntaze-stripe-payments-dlq-messages-prod"]
    for visible, held in ((1, 0), (0, 1), (1, 0)):
        watched.publish(alarm, visible, held)
        watched.after(59)
    assert [mail for mail in watched.mails if mail[0] == alarm["alarm_name"]] == [
        (alarm["alarm_name"], "ALARM")
    ]


def test_each_parked_message_notifies_although_the_alarm_of_the_queue_is_on(watched: CloudWatch) -> None:
    queue = watched.alarms["huntaze-stripe-payments-dlq-messages-prod"]
    parked = watched.alarms["huntaze-stripe-payments-parked-prod"]
    for minute in range(30):
        if minute in (0, 15):
            watched.publish(parked, 1)
        watched.publish(queue, 1 if minute < 15 else 2, 0)
        watched.after(59)
    notified = [name for name, after in watched.mails if after == "ALARM"]
    assert notified.count(queue["alarm_name"]) == 1
    assert notified.count(parked["alarm_name"]) == 2


@pytest.mark.parametrize("part", SILENT)
def test_silence_notifies_once_after_a_first_event_and_clears(watched: CloudWatch, part: str) -> None:
    silent = watched.alarms[f"huntaze-stripe-{part}-prod"]
    stopped = f"huntaze-stripe-{part.removesuffix('-not-running')}-stopped-prod"
    unhealthy = watched.composites["huntaze-stripe-unhealthy-prod"]

    def notified() -> list[str]:
        return [after for name, after in watched.mails if name == stopped]

    # After the first deploy nothing has happened yet.
    for _ in range(3):
        watched.after(period(silent))
    assert (silent["StateValue"], unhealthy["StateValue"]) == ("ALARM", "ALARM")
    assert watched.mails == []
    for _ in range(2):
        watched.publish(silent, 1)
        watched.after(period(silent) - 1)
        assert watched.composites[stopped]["StateValue"] == "OK"
    assert notified() == []
    watched.after(period(silent) + 1)
    assert notified() == ["ALARM"]
    watched.publish(silent, 1)
    watched.after(1)
    assert watched.composites[stopped]["StateValue"] == "OK"
    watched.after(period(silent))
    assert notified() == ["ALARM", "ALARM"]


def test_what_goes_wrong_is_one_mail_and_that_all_is_well_another(watched: CloudWatch) -> None:
    for part in SILENT:
        watched.publish(watched.alarms[f"huntaze-stripe-{part}-prod"], 1)
    watched.after(1)
    watched.mails.clear()
    alarm = watched.alarms["huntaze-stripe-payments-parked-prod"]
    watched.publish(alarm, 1)
    watched.after(1)
    assert watched.mails == [(alarm["alarm_name"], "ALARM")]
    watched.mails.clear()
    watched.after(period(alarm))
    assert watched.mails == [("huntaze-stripe-unhealthy-prod", "OK")]
