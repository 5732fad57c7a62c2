"""What the embedded AWS does if a step is refused, cancelled or skipped."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import pytest

from ops.local.clients import Aws
from tests.emulator.process import Emulator, wait_until
from tests.emulator.resources import Queue, bus, function, queue, rule, send, unique
from tests.emulator.roles import ACCOUNT

EVERYTHING = {"EventStartTime": 0, "EventEndTime": 4102444800}
RULES = 30
# More failures than the maximum of threads of a function's queue.
FAILURES = 6
FAILS_ON_REQUEST = """
import os, boto3
sqs = boto3.client("sqs")
def handler(event, context):
    if event.get("fail"):
        raise RuntimeError("no")
    sqs.send_message(QueueUrl=os.environ["QUEUE"], MessageBody="ran")
"""


@pytest.fixture
def aws(emulator: Emulator) -> Aws:
    return emulator.aws


def _archive(aws: Aws, bus_name: str) -> tuple[str, str]:
    """Archive everything on a bus; return the ARNs of the bus and of the archive."""
    events = aws.client("events")
    bus_arn = events.describe_event_bus(Name=bus_name)["Arn"]
    archive = events.create_archive(ArchiveName=unique("archive"), EventSourceArn=bus_arn)
    return bus_arn, archive["ArchiveArn"]


def test_an_event_that_a_queue_refuses_goes_to_the_dead_letter_queue(aws: Aws) -> None:
    name, small, parked = bus(aws), queue(aws, MaximumMessageSize="1024"), queue(aws)
    rule(aws, name, small.arn, DeadLetterConfig={"Arn": parked.arn})
    send(aws, name, {"padding": "x" * 2_000})
    (message,) = parked.wait()
    assert message["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "SDK_CLIENT_ERROR"
    assert json.loads(message["Body"])["detail"]["padding"]


def test_a_destination_that_refuses_records_does_not_stop_the_function(aws: Aws) -> None:
    small, ran = queue(aws, MaximumMessageSize="1024"), queue(aws)
    arn = function(aws, FAILS_ON_REQUEST, Environment={"Variables": {"QUEUE": ran.url}})
    functions = aws.client("lambda")
    functions.put_function_event_invoke_config(
        FunctionName=arn, MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": small.arn}}
    )
    failing = json.dumps({"fail": True, "padding": "x" * 2_000})
    for _ in range(FAILURES):
        functions.invoke(FunctionName=arn, InvocationType="Event", Payload=failing)
    functions.invoke(FunctionName=arn, InvocationType="Event", Payload=b"{}")
    assert len(ran.wait()) == 1


def test_a_cancelled_replay_stays_cancelled(aws: Aws) -> None:
    name, reached = bus(aws), queue(aws)
    bus_arn, archive = _archive(aws, name)
    for _ in range(100):
        send(aws, name, *range(10))
    # Enough deliveries that the replay takes much longer than the request that cancels it.
    for _ in range(RULES):
        rule(aws, name, reached.arn)
    events, replay = aws.client("events"), unique("replay")
    events.start_replay(ReplayName=replay, EventSourceArn=archive, Destination={"Arn": bus_arn}, **EVERYTHING)
    events.cancel_replay(ReplayName=replay)
    depth = _wait_until_quiet(reached)
    assert events.describe_replay(ReplayName=replay)["State"] == "CANCELLED"
    assert depth < 1_000 * RULES


def _wait_until_quiet(target: Queue) -> int:
    """Wait until a queue's depth is the same a second later; return it."""
    depths: list[tuple[float, int]] = []

    def quiet() -> bool:
        found = target.sqs.get_queue_attributes(QueueUrl=target.url, AttributeNames=["All"])["Attributes"]
        depths.append((time.monotonic(), int(found["ApproximateNumberOfMessages"])))
        since = [taken for taken, count in depths if count == depths[-1][1]]
        return since[-1] - since[0] > 1.0

    wait_until(quiet, "the replay went on")
    return depths[-1][1]


def test_a_rule_outside_of_a_replay_counts_no_invocation(aws: Aws) -> None:
    name, wanted, other = bus(aws), queue(aws), queue(aws)
    bus_arn, archive = _archive(aws, name)
    send(aws, name, {"id": 1})
    named, left_out = rule(aws, name, wanted.arn), rule(aws, name, other.arn)
    aws.client("events").start_replay(
        ReplayName=unique("replay"),
        EventSourceArn=archive,
        Destination={"Arn": bus_arn, "FilterArns": [named]},
        **EVERYTHING,
    )
    wanted.wait()
    assert (_invocations(aws, name, named), _invocations(aws, name, left_out)) == (1, 0)


def _invocations(aws: Aws, bus_name: str, rule_arn: str) -> float:
    now = datetime.now(UTC)
    names = {"EventBusName": bus_name, "RuleName": rule_arn.rpartition("/")[2]}
    answer = aws.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Events",
        MetricName="Invocations",
        Dimensions=[{"Name": key, "Value": value} for key, value in names.items()],
        StartTime=now - timedelta(minutes=10),
        EndTime=now + timedelta(minutes=2),
        Period=60,
        Statistics=["Sum"],
    )
    return float(sum(point["Sum"] for point in answer["Datapoints"]))


def test_a_composite_alarm_keeps_its_suppressor(aws: Aws) -> None:
    cloudwatch = aws.client("cloudwatch")
    child, suppressor, name = unique("child"), unique("suppressor"), unique("composite")
    for alarm in (child, suppressor):
        cloudwatch.put_metric_alarm(
            AlarmName=alarm,
            Namespace="tests",
            MetricName="any",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=0,
            ComparisonOperator="GreaterThanThreshold",
        )
    written = {
        "ActionsSuppressor": f"arn:aws:cloudwatch:{aws.region}:{ACCOUNT}:alarm:{suppressor}",
        "ActionsSuppressorWaitPeriod": 60,
        "ActionsSuppressorExtensionPeriod": 30,
    }
    cloudwatch.put_composite_alarm(AlarmName=name, AlarmRule=f'ALARM("{child}")', **written)
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[name], AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
    assert {key: alarm.get(key) for key in written} == written
