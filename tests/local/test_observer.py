"""What is read of a running pipeline: causes before effects, and the alarms that fire."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ops.local import observer
from ops.local.clients import Aws
from ops.local.observer import Observer, firing_alarms
from ops.local.services import JOURNAL, REGION, running_emulator


class EventThatEndsMeanwhile:
    """CloudWatch Logs and S3 of a pipeline whose event is applied while somebody looks."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal

    def client(self, _service: str) -> Any:
        """Return this as the client of a service."""
        return self

    def get_paginator(self, operation: str) -> Any:
        """Return the pages of an operation; the API is called, and that logged, before the logs are read."""
        if operation != "filter_log_events":
            return SimpleNamespace(paginate=lambda **_asked: [{}])
        request = {
            "path": "/api/billing/invoice-paid",
            "idempotency_key": "evt_1",
            "headers": {},
            "body": {},
            "status": 200,
            "received_at": 1_796_086_535.1,
        }
        with self._journal.open("a") as journal:
            journal.write(json.dumps({"request": request, "applied": None}) + "\n")
        line = {"message": "event finished", "outcome": "applied", "event_id": "evt_1"}
        event = {"logStreamName": "1", "timestamp": 1_796_086_535_276, "message": json.dumps(line)}
        return SimpleNamespace(paginate=lambda **_asked: [{"events": [event]}])


def test_an_event_that_is_seen_as_applied_is_seen_with_its_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = tmp_path / "api" / JOURNAL
    journal.parent.mkdir()
    journal.touch()
    services: Any = SimpleNamespace(aws=EventThatEndsMeanwhile(journal), folder=tmp_path, database_url="")
    outputs: Any = SimpleNamespace(log_groups=["/aws/lambda/payments"], ledger_bucket="ledger", queues={})
    monkeypatch.setattr(Observer, "_messages", lambda _self: {})
    monkeypatch.setattr(observer, "_ledger_rows", lambda _url: [])
    seen = Observer(services, outputs, since=0).look()
    assert [each.outcome for each in seen.finished] == ["applied"]
    assert [each.event_id for each in seen.requests] == ["evt_1"]


def metric(name: str, queue: str) -> dict[str, Any]:
    return {
        "MetricStat": {
            "Metric": {
                "Namespace": "AWS/SQS",
                "MetricName": f"ApproximateNumberOfMessages{name}",
                "Dimensions": [{"Name": "QueueName", "Value": queue}],
            },
            "Period": 60,
            "Stat": "Maximum",
        },
        "ReturnData": False,
    }


def test_an_alarm_on_the_messages_of_a_queue_fires_also_while_they_are_in_flight(tmp_path: Path) -> None:
    with running_emulator(tmp_path) as url:
        aws = Aws(url, REGION)
        cloudwatch, sqs = aws.client("cloudwatch"), aws.client("sqs")
        queues = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("empty", "held")}
        for queue in queues:
            cloudwatch.put_metric_alarm(
                AlarmName=queue,
                Metrics=[
                    {"Id": "total", "Expression": "m1 + m2", "ReturnData": True},
                    {"Id": "m1", **metric("Visible", queue)},
                    {"Id": "m2", **metric("NotVisible", queue)},
                ],
                EvaluationPeriods=1,
                DatapointsToAlarm=1,
                Threshold=1,
                ComparisonOperator="GreaterThanOrEqualToThreshold",
                TreatMissingData="notBreaching",
            )
            cloudwatch.put_composite_alarm(AlarmName=f"all of {queue}", AlarmRule=f'ALARM("{queue}")')
        assert firing_alarms(aws) == ()
        sqs.send_message(QueueUrl=queues["held"], MessageBody="it")
        sqs.receive_message(QueueUrl=queues["held"], VisibilityTimeout=600)
        assert firing_alarms(aws) == ("all of held", "held")
