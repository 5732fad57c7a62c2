"""The embedded AWS has AWS's size limits."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from functions.shared.names import EVENT_BYTES
from ops.local.clients import Aws
from tests.emulator.process import Emulator, wait_until
from tests.emulator.resources import Queue, bus, function, queue, rule, unique
from tests.emulator.roles import ACCOUNT

PROVIDERS_DEFAULT = "262144"
SYNCHRONOUS_BYTES = 6 * 1024 * 1024
ATTRIBUTES = {"reason": {"DataType": "String", "StringValue": "ten bytes!"}}
ATTRIBUTE_BYTES = len("reason" + "String" + "ten bytes!")
RETURNS_ITS_SIZE = """
import json
def handler(event, context):
    return len(event)
"""
FAILS = """
def handler(event, context):
    raise ValueError("refused")
"""
RECORDS_ITS_BATCHES = """
import os, boto3
sqs = boto3.client("sqs")
def handler(event, context):
    sqs.send_message(QueueUrl=os.environ["QUEUE"], MessageBody=str(len(event["Records"])))
"""


@pytest.fixture
def aws(emulator: Emulator) -> Aws:
    return emulator.aws


def test_a_message_is_its_body_and_its_attributes(aws: Aws) -> None:
    whole = queue(aws)
    body = "x" * (EVENT_BYTES - ATTRIBUTE_BYTES)
    whole.sqs.send_message(QueueUrl=whole.url, MessageBody=body, MessageAttributes=ATTRIBUTES)
    with pytest.raises(ClientError, match=f"shorter than {EVENT_BYTES} bytes"):
        whole.sqs.send_message(QueueUrl=whole.url, MessageBody=body + "x", MessageAttributes=ATTRIBUTES)


def test_a_queue_has_its_own_limit(aws: Aws) -> None:
    small = queue(aws, MaximumMessageSize=PROVIDERS_DEFAULT)
    small.sqs.send_message(QueueUrl=small.url, MessageBody="x" * int(PROVIDERS_DEFAULT))
    with pytest.raises(ClientError, match=f"shorter than {PROVIDERS_DEFAULT} bytes"):
        small.sqs.send_message(QueueUrl=small.url, MessageBody="x" * (int(PROVIDERS_DEFAULT) + 1))


def test_a_batch_is_no_larger_than_one_message(aws: Aws) -> None:
    whole = queue(aws)
    half = "x" * (EVENT_BYTES // 2 - ATTRIBUTE_BYTES)
    entries: list[dict[str, Any]] = [
        {"Id": number, "MessageBody": half, "MessageAttributes": ATTRIBUTES} for number in "12"
    ]
    assert len(whole.sqs.send_message_batch(QueueUrl=whole.url, Entries=entries)["Successful"]) == 2
    entries[0]["MessageBody"] += "x"
    with pytest.raises(ClientError, match="BatchRequestTooLong"):
        whole.sqs.send_message_batch(QueueUrl=whole.url, Entries=entries)


def test_an_entry_is_its_detail_its_type_its_source_and_its_resources(aws: Aws) -> None:
    events = aws.client("events")
    entry = {"EventBusName": bus(aws), "Source": "source", "DetailType": "type", "Resources": ["resource"]}
    rest = len("source" + "type" + "resource")
    detail = json.dumps("x" * (EVENT_BYTES - rest - 2))
    assert events.put_events(Entries=[entry | {"Detail": detail}])["FailedEntryCount"] == 0
    with pytest.raises(ClientError, match="over the limit"):
        events.put_events(Entries=[entry | {"Detail": detail + " "}])


def test_a_partners_entry_is_no_larger(aws: Aws) -> None:
    source = f"aws.partner/tests.example/{unique('source')}"
    events = aws.client("events")
    events.create_partner_event_source(Name=source, Account=ACCOUNT)
    events.create_event_bus(Name=source, EventSourceName=source)
    entry = {"Source": source, "DetailType": "made", "Detail": json.dumps("x" * EVENT_BYTES)}
    with pytest.raises(ClientError, match="over the limit"):
        events.put_partner_events(Entries=[entry])


def test_a_function_takes_1_mib_asynchronously_and_6_mib_synchronously(aws: Aws) -> None:
    arn = function(aws, RETURNS_ITS_SIZE)
    functions = aws.client("lambda")
    for kind, most in (("Event", EVENT_BYTES), ("RequestResponse", SYNCHRONOUS_BYTES)):
        payload = json.dumps("x" * (most - 2))
        functions.invoke(FunctionName=arn, InvocationType=kind, Payload=payload)
        with pytest.raises(functions.exceptions.RequestTooLargeException):
            functions.invoke(FunctionName=arn, InvocationType=kind, Payload=payload + " ")


def test_a_batch_of_a_queue_is_no_larger_than_a_payload(aws: Aws) -> None:
    source, reports = queue(aws, fifo=True), queue(aws)
    body = "x" * (900 * 1024)
    for number in range(10):
        source.sqs.send_message(
            QueueUrl=source.url, MessageBody=body, MessageGroupId="one", MessageDeduplicationId=str(number)
        )
    arn = function(aws, RECORDS_ITS_BATCHES, Environment={"Variables": {"QUEUE": reports.url}})
    aws.client("lambda").create_event_source_mapping(
        FunctionName=arn, EventSourceArn=source.arn, BatchSize=10
    )
    assert [message["Body"] for message in reports.wait(2)] == ["6", "4"]


def test_an_event_that_no_dead_letter_queue_takes_is_counted(aws: Aws) -> None:
    name, small, smaller = bus(aws), _limited(aws), _limited(aws)
    arn = rule(aws, name, small.arn, DeadLetterConfig={"Arn": smaller.arn})
    _put(aws, name, int(PROVIDERS_DEFAULT))
    dimensions = {"EventBusName": name, "RuleName": arn.rpartition("/")[2]}
    assert _counted(aws, "AWS/Events", "InvocationsFailedToBeSentToDlq", dimensions) == 1
    assert smaller.messages() == []


def test_a_failure_that_a_destination_does_not_take_is_counted(aws: Aws) -> None:
    arn = function(aws, FAILS)
    functions = aws.client("lambda")
    functions.put_function_event_invoke_config(
        FunctionName=arn,
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": _limited(aws).arn}},
    )
    payload = json.dumps("x" * int(PROVIDERS_DEFAULT))
    functions.invoke(FunctionName=arn, InvocationType="Event", Payload=payload)
    dimensions = {"FunctionName": arn.rpartition(":")[2]}
    wait_until(
        lambda: _counted(aws, "AWS/Lambda", "DestinationDeliveryFailures", dimensions) == 1,
        "the lost record was expected to be counted",
    )


def test_an_entry_that_its_envelope_makes_too_large_reaches_nothing_and_is_counted(aws: Aws) -> None:
    name, parked = bus(aws), queue(aws)
    arn = rule(aws, name, function(aws, RETURNS_ITS_SIZE), DeadLetterConfig={"Arn": parked.arn})
    _put(aws, name, EVENT_BYTES - len('{"padding": ""}' + "tests" + "test"))
    dimensions = {"EventBusName": name, "RuleName": arn.rpartition("/")[2]}
    assert _counted(aws, "AWS/Events", "FailedInvocations", dimensions) == 1
    assert _counted(aws, "AWS/Events", "InvocationsFailedToBeSentToDlq", dimensions) == 1
    assert parked.messages() == []


def _limited(aws: Aws) -> Queue:
    return queue(aws, MaximumMessageSize=PROVIDERS_DEFAULT)


def _put(aws: Aws, bus_name: str, size: int) -> None:
    detail = json.dumps({"padding": "x" * size})
    entry = {"EventBusName": bus_name, "Source": "tests", "DetailType": "test", "Detail": detail}
    assert aws.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0


def _counted(aws: Aws, namespace: str, metric: str, dimensions: dict[str, str]) -> float:
    answer = aws.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=0,
        EndTime=4102444800,
        Period=60,
        Statistics=["Sum"],
    )
    return float(sum(point["Sum"] for point in answer["Datapoints"]))
