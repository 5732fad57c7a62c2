"""How the embedded AWS delivers events with all fixes."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from ops.local.clients import Aws
from tests.emulator.process import Emulator, running, wait_until
from tests.emulator.resources import bus, function, invoke, queue, rule, send, unique
from tests.emulator.roles import ACCOUNT, ADMINISTRATOR

SOURCE = "aws.partner/tests.example"
FAILS = """
def handler(event, context):
    raise ValueError("refused")
"""
SLEEPS = """
import time
def handler(event, context):
    time.sleep(60)
"""
FAILS_ONE_RECORD = """
import json
def handler(event, context):
    failed = [one["messageId"] for one in event["Records"] if json.loads(one["body"])["detail"].get("bad")]
    return {"batchItemFailures": [{"itemIdentifier": one} for one in failed]}
"""
RETURNS_ITS_CLIENT_CONTEXT = """
def handler(event, context):
    return {"said": context.client_context and context.client_context.custom}
"""
PRINTS = """
def handler(event, context):
    for number in range(event["lines"]):
        print("line", number)
"""


@pytest.fixture
def aws(emulator: Emulator) -> Aws:
    return emulator.aws


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"Source": f"{SOURCE}/unknown"}, "ResourceNotFoundException"),
        ({"Detail": "{"}, "MalformedDetail"),
        ({"Detail": '{"amount":NaN}'}, "MalformedDetail"),
        ({"Detail": f'{{"deep":{"[" * 3000}{"]" * 3000}}}'}, "MalformedDetail"),
        ({"DetailType": ""}, "InvalidArgument"),
    ],
)
def test_a_partner_event_is_refused_with_a_reason(aws: Aws, changes: dict[str, str], code: str) -> None:
    events = aws.client("events")
    source = f"{SOURCE}/{unique('source')}"
    events.create_partner_event_source(Name=source, Account=ACCOUNT)
    events.create_event_bus(Name=source, EventSourceName=source)
    good = {"Source": source, "DetailType": "made", "Detail": "{}"}
    answer = events.put_partner_events(Entries=[good, good | changes])
    assert answer["FailedEntryCount"] == 1
    assert ["EventId" in entry for entry in answer["Entries"]] == [True, False]
    assert answer["Entries"][1]["ErrorCode"] == code


def test_a_partner_bus_needs_its_source_and_refuses_put_events(aws: Aws) -> None:
    events = aws.client("events")
    source = f"{SOURCE}/{unique('source')}"
    with pytest.raises(ClientError, match="does not exist"):
        events.create_event_bus(Name=source, EventSourceName=source)
    events.create_partner_event_source(Name=source, Account=ACCOUNT)
    with pytest.raises(ClientError, match="must match"):
        events.create_event_bus(Name="other", EventSourceName=source)
    events.create_event_bus(Name=source, EventSourceName=source)
    entry = {"EventBusName": source, "Source": "tests", "DetailType": "test", "Detail": "{}"}
    with pytest.raises(ClientError, match="partner event bus"):
        events.put_events(Entries=[entry])


def test_partner_events_are_archived_by_pattern_and_replayed_by_time(aws: Aws) -> None:
    events = aws.client("events")
    source = f"{SOURCE}/{unique('source')}"
    events.create_partner_event_source(Name=source, Account=ACCOUNT)
    bus_arn = events.create_event_bus(Name=source, EventSourceName=source)["EventBusArn"]
    taker = queue(aws)
    rule(aws, source, taker.arn)
    archive = events.create_archive(
        ArchiveName=unique("archive"),
        EventSourceArn=bus_arn,
        EventPattern=json.dumps({"detail-type": ["kept"]}),
    )["ArchiveArn"]
    now = int(time.time())
    entries = [
        {"Source": source, "DetailType": kind, "Detail": json.dumps({"n": number}), "Time": now - age}
        for number, (kind, age) in enumerate([("kept", 500), ("kept", 50), ("other", 50)])
    ]
    events.put_partner_events(Entries=entries)
    assert len(taker.messages()) == 3
    replay = unique("replay")
    events.start_replay(
        ReplayName=replay,
        EventSourceArn=archive,
        EventStartTime=now - 100,
        EventEndTime=now,
        Destination={"Arn": bus_arn},
    )
    (message,) = taker.wait()
    replayed = json.loads(message["Body"])
    assert (replayed["detail"], replayed["replay-name"]) == ({"n": 1}, replay)
    wait_until(lambda: _replay(aws, replay)["State"] == "COMPLETED", "the replay was expected to complete")
    assert int(_replay(aws, replay)["EventLastReplayedTime"].timestamp()) == now - 50
    (listed,) = [each for each in events.list_replays()["Replays"] if each["ReplayName"] == replay]
    times = ("EventStartTime", "EventEndTime", "EventLastReplayedTime")
    assert [listed[time] for time in times] == [_replay(aws, replay)[time] for time in times]


def test_a_replay_to_an_unknown_rule_is_refused(aws: Aws) -> None:
    events = aws.client("events")
    name = bus(aws)
    bus_arn = events.describe_event_bus(Name=name)["Arn"]
    archive = events.create_archive(ArchiveName=unique("archive"), EventSourceArn=bus_arn)["ArchiveArn"]
    with pytest.raises(ClientError, match="does not exist"):
        events.start_replay(
            ReplayName=unique("replay"),
            EventSourceArn=archive,
            EventStartTime=0,
            EventEndTime=1,
            Destination={"Arn": bus_arn, "FilterArns": [bus_arn.replace("event-bus", "rule") + "/none"]},
        )


def test_a_rule_without_permission_parks_the_event(aws: Aws) -> None:
    name, parked = bus(aws), queue(aws)
    closed = queue(aws, Policy='{"Version": "2012-10-17", "Statement": []}')
    rule(aws, name, closed.arn, DeadLetterConfig={"Arn": parked.arn})
    send(aws, name, {"n": 1})
    assert closed.messages() == []
    (message,) = parked.messages()
    assert message["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"


@pytest.mark.parametrize("fifo", [True, False])
def test_half_a_surrogate_pair_reaches_a_queue(aws: Aws, *, fifo: bool) -> None:
    events, target = bus(aws), queue(aws, fifo=fifo)
    group = {"SqsParameters": {"MessageGroupId": "one"}} if fifo else {}
    rule(aws, events, target.arn, **group)
    send(aws, events, {"name": "half \ud800"})
    (message,) = target.wait()
    assert json.loads(message["Body"])["detail"] == {"name": "half \ud800"}


def test_an_event_is_sent_to_the_destination_after_three_attempts(aws: Aws) -> None:
    name, parked = bus(aws), queue(aws)
    arn = function(aws, FAILS)
    _destination(aws, arn, parked.arn)
    rule(aws, name, arn)
    send(aws, name, {"n": 1})
    (message,) = parked.wait()
    record = json.loads(message["Body"])
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 3
    assert record["requestPayload"]["detail"] == {"n": 1}
    assert record["responsePayload"]["errorType"] == "ValueError"
    assert record["responsePayload"]["errorMessage"] == "refused"


def test_a_throttled_event_waits_for_concurrency(aws: Aws) -> None:
    parked = queue(aws)
    arn = function(aws, FAILS)
    _destination(aws, arn, parked.arn, MaximumRetryAttempts=0)
    functions = aws.client("lambda")
    functions.put_function_concurrency(FunctionName=arn, ReservedConcurrentExecutions=0)
    functions.invoke(FunctionName=arn, InvocationType="Event", Payload="{}")
    name = {"FunctionName": arn.rpartition(":")[2]}
    wait_until(lambda: _sum(aws, "Throttles", name) > 1, "throttles were expected")
    assert parked.messages() == []
    functions.delete_function_concurrency(FunctionName=arn)
    (message,) = parked.wait()
    assert json.loads(message["Body"])["requestContext"]["approximateInvokeCount"] == 1


def test_an_event_that_is_too_old_is_not_retried(tmp_path: Path) -> None:
    # Less than the delay of the first retry, which Lambda's minimum of 60 s is not.
    with running(tmp_path, without=["limits"]) as started:
        aws = started.aws
        parked, arn = queue(aws), function(aws, FAILS)
        settings = {
            "MaximumEventAgeInSeconds": 0.01,
            "DestinationConfig": {"OnFailure": {"Destination": parked.arn}},
        }
        url = f"{aws.url}/2019-09-25/functions/{arn}/event-invoke-config"
        scope = f"{aws.credentials.access_key_id}/20260101/{aws.region}/lambda/aws4_request"
        headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"}
        httpx.put(url, json=settings, headers=headers).raise_for_status()
        aws.client("lambda").invoke(FunctionName=arn, InvocationType="Event", Payload="{}")
        (message,) = parked.wait()
    context = json.loads(message["Body"])["requestContext"]
    assert (context["condition"], context["approximateInvokeCount"]) == ("EventAgeExceeded", 1)


def test_the_timeout_of_a_function_is_enforced(aws: Aws) -> None:
    error = invoke(aws, function(aws, SLEEPS, Timeout=1), {})
    assert error["errorType"] == "Sandbox.Timedout"
    assert "timed out after 1.00 seconds" in error["errorMessage"]


def test_only_the_record_of_a_batch_that_fails_permanently_is_redriven(aws: Aws) -> None:
    name, parked = bus(aws), queue(aws, fifo=True)
    redrive = json.dumps({"deadLetterTargetArn": parked.arn, "maxReceiveCount": "2"})
    source = queue(aws, fifo=True, RedrivePolicy=redrive, VisibilityTimeout="600")
    rule(aws, name, source.arn, SqsParameters={"MessageGroupId": "lane"})
    send(aws, name, {"n": 1}, {"n": 2, "bad": True}, {"n": 3})
    aws.client("lambda").create_event_source_mapping(
        EventSourceArn=source.arn,
        FunctionName=function(aws, FAILS_ONE_RECORD),
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )
    (message,) = parked.wait()
    assert json.loads(message["Body"])["detail"]["n"] == 2
    assert message["Attributes"]["MessageGroupId"] == "lane"
    assert source.messages() == []


def test_a_client_context_reaches_only_its_own_invocation(aws: Aws) -> None:
    functions = aws.client("lambda")
    arn = function(aws, RETURNS_ITS_CLIENT_CONTEXT)
    context = base64.b64encode(b'{"custom": {"settle": true}}').decode()
    answer = functions.invoke(FunctionName=arn, Payload=b"{}", ClientContext=context)
    assert json.loads(answer["Payload"].read()) == {"said": {"settle": True}}
    assert invoke(aws, arn, {}) == {"said": None}


def test_a_log_has_every_line(aws: Aws) -> None:
    arn = function(aws, PRINTS)
    assert invoke(aws, arn, {"lines": 5000}) is None
    group = "/aws/lambda/" + arn.rpartition(":")[2]
    pages = aws.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    lines = [event["message"] for page in pages for event in page["events"]]
    assert [line for line in lines if line.startswith("line")] == [f"line {number}" for number in range(5000)]


def _replay(aws: Aws, name: str) -> dict[str, Any]:
    described: dict[str, Any] = aws.client("events").describe_replay(ReplayName=name)
    return described


def _sum(aws: Aws, metric: str, dimensions: dict[str, str]) -> float:
    now = time.time()
    points = aws.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=now - 600,
        EndTime=now + 60,
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    return float(sum(point["Sum"] for point in points))


def _destination(aws: Aws, function_arn: str, queue_arn: str, **settings: int) -> None:
    aws.client("lambda").put_function_event_invoke_config(
        FunctionName=function_arn,
        DestinationConfig={"OnFailure": {"Destination": queue_arn}},
        **settings,
    )


def test_a_schedule_that_is_changed_follows_its_new_time(aws: Aws) -> None:
    scheduler, parked = aws.client("scheduler"), queue(aws)
    failing = "def handler(event, context):\n    raise ValueError(event)"
    arn = function(aws, failing, DeadLetterConfig={"TargetArn": parked.arn})
    aws.client("lambda").put_function_event_invoke_config(FunctionName=arn, MaximumRetryAttempts=0)
    due = "at(2026-01-01T00:00:00)"

    def schedule(name: str) -> dict[str, Any]:
        target = {"Arn": arn, "RoleArn": ADMINISTRATOR, "Input": json.dumps(name)}
        return {"Name": name, "FlexibleTimeWindow": {"Mode": "OFF"}, "Target": target}

    daily, once = unique("schedule"), unique("schedule")
    scheduler.create_schedule(**schedule(daily), ScheduleExpression="rate(1 day)")
    # When this one has run, the embedded AWS has looked at the other one, too.
    scheduler.create_schedule(**schedule(once), ScheduleExpression=due)
    assert [json.loads(message["Body"]) for message in parked.wait()] == [once]
    scheduler.update_schedule(**schedule(daily), ScheduleExpression=due)
    assert [json.loads(message["Body"]) for message in parked.wait()] == [daily]
