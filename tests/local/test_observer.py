"""Which alarms of the embedded CloudWatch are reported as firing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ops.local.clients import Aws
from ops.local.observer import firing_alarms
from ops.local.services import REGION, running_emulator


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
