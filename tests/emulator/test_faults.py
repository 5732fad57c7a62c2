"""Injected faults: AWS calls of functions fail, functions die, and other clients see nothing of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from ops.emulator.faults import AwsCall, AwsFault, fault_from_json, fault_plan, read_call
from tests.emulator.process import Emulator
from tests.emulator.resources import function, invoke, queue, unique

CALLS_DYNAMODB = """
import boto3, botocore
config = botocore.config.Config(retries={"total_max_attempts": 1})
table = boto3.client("dynamodb", config=config)
def handler(event, context):
    try:
        table.put_item(TableName=event["table"], Item={"id": {"S": event["id"]}})
    except botocore.exceptions.ClientError as error:
        return {"failed": error.response["Error"]["Code"]}
    return {"failed": None}
"""
PUT = AwsCall("dynamodb", "PutItem", "{}", "a")


@pytest.fixture
def orders(emulator: Emulator) -> Iterator[Any]:
    url = f"{emulator.aws.url}/_control/faults"

    headers = emulator.aws.control.headers

    def order(**fault: Any) -> httpx.Response:
        return httpx.post(url, json=fault, headers=headers, trust_env=False)

    yield order
    httpx.delete(url, headers=headers, trust_env=False)


@pytest.fixture(scope="module")
def table(emulator: Emulator) -> str:
    name = unique("table")
    emulator.aws.client("dynamodb").create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


def is_stored(emulator: Emulator, table: str, key: str) -> bool:
    return "Item" in emulator.aws.client("dynamodb").get_item(TableName=table, Key={"id": {"S": key}})


@pytest.mark.parametrize("applies", [False, True])
def test_a_functions_call_fails_before_or_after_it_is_done(
    emulator: Emulator, orders: Any, table: str, applies: bool
) -> None:
    arn = function(emulator.aws, CALLS_DYNAMODB, Timeout=20)
    key = unique("key")
    code = "ProvisionedThroughputExceededException"
    orders(service="dynamodb", operation="PutItem", status=400, code=code, applies=applies)
    assert invoke(emulator.aws, arn, {"table": table, "id": key}) == {"failed": code}
    assert is_stored(emulator, table, key) == applies


@pytest.mark.parametrize(("when", "done"), [("before", False), ("after", True)])
def test_a_function_is_killed_before_or_after_its_call(
    emulator: Emulator, orders: Any, table: str, when: str, done: bool
) -> None:
    arn = function(emulator.aws, CALLS_DYNAMODB, Timeout=20)
    key = unique("key")
    orders(service="dynamodb", containing=key, kill=when, times=1)
    assert invoke(emulator.aws, arn, {"table": table, "id": key})["errorType"] == "Runtime.ExitError"
    assert is_stored(emulator, table, key) == done
    assert invoke(emulator.aws, arn, {"table": table, "id": key}) == {"failed": None}


def test_a_fault_fails_only_calls_of_functions(emulator: Emulator, orders: Any, table: str) -> None:
    orders(service="dynamodb", status=500)
    orders(service="sqs", status=500)
    assert not is_stored(emulator, table, "nothing")
    assert queue(emulator.aws).messages() == []
    with pytest.raises(ClientError):
        emulator.aws.client("dynamodb").describe_table(TableName="not-there")


def test_faults_are_listed_with_their_failures_and_removed(
    emulator: Emulator, orders: Any, table: str
) -> None:
    url = f"{emulator.aws.url}/_control/faults"
    arn = function(emulator.aws, CALLS_DYNAMODB, Timeout=20)
    orders(service="dynamodb", status=500, times=1)
    for _ in range(2):
        invoke(emulator.aws, arn, {"table": table, "id": "listed"})
    (listed,) = httpx.get(url, headers=emulator.aws.control.headers, trust_env=False).json()["faults"]
    assert (listed["fault"]["service"], listed["struck"]) == ("dynamodb", 1)
    assert httpx.delete(url, headers=emulator.aws.control.headers, trust_env=False).json() == {"cleared": 1}


@pytest.mark.parametrize(
    "fault",
    [
        {"service": "s3"},
        {"service": "s3", "status": 200},
        {"service": "s3", "status": 500, "kill": "before"},
        {"service": "s3", "kill": "later"},
        {"service": "s3", "status": 500, "probability": 0},
        {"service": "s3", "status": 500, "times": 0},
        {"service": "s3", "status": 500, "unknown": 1},
        {},
    ],
    ids=str,
)
def test_a_contradictory_fault_is_refused(orders: Any, fault: dict[str, Any]) -> None:
    assert orders(**fault).status_code == 400


def test_a_fault_must_be_an_object() -> None:
    with pytest.raises(ValueError, match="JSON object"):
        fault_from_json([])


def test_draws_follow_the_seed_the_item_and_the_attempt() -> None:
    def struck(seed: int) -> list[bool]:
        plan = fault_plan()
        plan.add(AwsFault("dynamodb", status=500, probability=0.5, seed=seed))
        return [plan.strike(AwsCall("dynamodb", "PutItem", "", str(n % 9))) is not None for n in range(40)]

    assert struck(1) == struck(1)
    assert struck(1) != struck(2)
    assert any(struck(1))
    assert not all(struck(1))


def test_a_fault_fails_only_its_service_operation_and_text() -> None:
    plan = fault_plan()
    plan.add(AwsFault("dynamodb", "UpdateItem", "COMPLETED", status=500))
    for call in (
        PUT,
        AwsCall("sqs", "UpdateItem", "COMPLETED", ""),
        AwsCall("dynamodb", "UpdateItem", "", ""),
    ):
        assert plan.strike(call) is None
    assert plan.strike(AwsCall("dynamodb", "UpdateItem", '"COMPLETED"', "")) is not None


def test_a_call_is_read_from_its_headers_and_body() -> None:
    headers = {
        "user-agent": "Boto3/1 exec-env/AWS_Lambda_python3.13",
        "authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/dynamodb/aws4_request, x",
        "x-amz-target": "DynamoDB_20120810.UpdateItem",
    }
    body = json.dumps({"Key": {"id": {"S": "payments#1"}}}).encode()
    call = read_call(headers, "POST", body)
    assert call is not None
    assert call == AwsCall("dynamodb", "UpdateItem", body.decode(), "{'S': 'payments#1'}")
    several = {"TransactItems": [{"Update": json.loads(body)}, {"Delete": {"Key": {"id": {"S": "other"}}}}]}
    transaction = read_call(headers, "POST", json.dumps(several).encode())
    assert transaction is not None
    assert transaction.subject == call.subject
    assert read_call(headers | {"user-agent": "Boto3/1"}, "POST", body) is None
    assert read_call({"user-agent": headers["user-agent"]}, "POST", body) is None
