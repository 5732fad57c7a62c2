"""What is just within a limit of AWS is accepted, and what is just over is refused."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from ops.emulator import EmulatorError, constraints, limits
from ops.emulator.limits import LIMITS, Limit
from ops.local.clients import CONFIG, Aws
from tests.emulator.process import Emulator, running, wait_until
from tests.emulator.resources import (
    RUNTIME,
    Queue,
    bus,
    function,
    invoke,
    queue,
    rule,
    unique,
)
from tests.emulator.roles import ACCOUNT, ADMINISTRATOR, role

# The server's checks, not those of boto3.
UNCHECKED = CONFIG.merge(Config(parameter_validation=False))
RETURNS_A_TEXT = """
def handler(event, context):
    return "x" * (event - 2)
"""
TAKES_MEGABYTES = """
def handler(event, context):
    return {"bytes": len(b"x" * (event << 20))}
"""
TAKEN_MB = 200
PRINTS = """
def handler(event, context):
    print(event["line"])
"""
PRINTS_TWO_BYTES_EACH = """
def handler(event, context):
    print("x" + "é" * event)
"""
WAITS = """
import os, time
def handler(event, context):
    while not os.path.exists(event):
        time.sleep(0.01)
"""
HANDLER = "def handler(event, context):\n    pass\n"
ATTRIBUTE = {"DataType": "String", "StringValue": "v"}
ATTRIBUTE_BYTES = len("a" + "String" + "v")
# An item's names and numbers in the tests; the rest is the value of `v`.
ITEM_BYTES = len("id" + "1" + "v")
IN_FLIGHT = {"sqs/in-flight": 3, "sqs/fifo-in-flight": 3}
QUOTA = 150
PATIENCE_SECONDS = 60

Attempt = Callable[[Aws, int], Any]
Test = TypeVar("Test", bound=Callable[..., None])
PROVED: set[str] = set()


def proves(*keys: str) -> Callable[[Test], Test]:
    """Say which limits a test is about, beside those in ATTEMPTS."""
    PROVED.update(keys)
    return lambda test: test


@pytest.fixture
def aws(emulator: Emulator) -> Aws:
    return emulator.aws


@pytest.fixture(scope="module")
def table(emulator: Emulator) -> str:
    return make_table(emulator.aws)


def make_table(aws: Aws) -> str:
    name = unique("table")
    aws.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


def client(aws: Aws, service: str) -> Any:
    return aws.client(service, UNCHECKED)


def refused(attempt: Callable[[], Any], code: str) -> str:
    """Check the error code; return the message."""
    with pytest.raises(ClientError) as caught:
        attempt()
    error = caught.value.response["Error"]
    assert error["Code"].rpartition(".")[2] == code, error
    return str(error["Message"])


def put_rule(aws: Aws, bus_name: str = "default", size: int = 20, **rest: Any) -> str:
    """Put a rule with a pattern of a size; return its name."""
    name = rest.pop("Name", None) or unique("rule")
    pattern = json.dumps({"source": ["x"]}, separators=(",", ":"))
    pattern = pattern.replace('"x"', f'"{"x" * (size - len(pattern) + 1)}"')
    client(aws, "events").put_rule(Name=name, EventBusName=bus_name, EventPattern=pattern, **rest)
    return str(name)


def put_targets(aws: Aws, count: int) -> None:
    name, arn = put_rule(aws), queue(aws).arn
    targets = [{"Id": str(number), "Arn": arn} for number in range(count)]
    # Those that exist already count.
    client(aws, "events").put_targets(Rule=name, Targets=targets[:1])
    client(aws, "events").put_targets(Rule=name, Targets=targets[1:])


def put_many_rules(aws: Aws, count: int) -> None:
    name = bus(aws)
    for _ in range(count):
        put_rule(aws, name)


def put_target(aws: Aws, member: str, value: int) -> None:
    target = {"Id": "it", "Arn": queue(aws).arn, "RetryPolicy": {member: value}}
    client(aws, "events").put_targets(Rule=put_rule(aws), Targets=[target])


def put_events(aws: Aws, count: int) -> None:
    entry = {"Source": "s", "DetailType": "t", "Detail": "{}"}
    client(aws, "events").put_events(Entries=[entry] * count)


def put_entry(aws: Aws, size: int) -> None:
    entry = {"Source": "s", "DetailType": "t", "Detail": json.dumps("x" * (size - 4))}
    client(aws, "events").put_events(Entries=[entry])


def archive(size: int, method: int) -> bytes:
    """Return a .zip file: of that size if it is stored, or whose files have that size."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as made:
        made.writestr("code_of_test.py", HANDLER)
        overhead = len(HANDLER) if method == zipfile.ZIP_DEFLATED else _stored_overhead()
        with made.open("padding", "w", force_zip64=False) as padding:
            left = size - overhead
            while left:
                left -= padding.write(bytes(min(left, 1 << 20)))
    return buffer.getvalue()


def _stored_overhead() -> int:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as made:
        made.writestr("code_of_test.py", HANDLER)
        with made.open("padding", "w"):
            pass
    return len(buffer.getvalue())


def create_function(aws: Aws, **settings: Any) -> None:
    code = settings.pop("Code", None) or {"ZipFile": archive(1_000, zipfile.ZIP_STORED)}
    client(aws, "lambda").create_function(
        **{
            "FunctionName": unique("function"),
            "Runtime": RUNTIME,
            "Role": ADMINISTRATOR,
            "Handler": "code_of_test.handler",
        }
        | settings
        | {"Code": code}
    )


def with_environment(aws: Aws, size: int) -> None:
    create_function(aws, Environment={"Variables": {"name": "x" * (size - len('{"name":""}'))}})


def invoke_with(aws: Aws, kind: str, size: int) -> None:
    client(aws, "lambda").invoke(
        FunctionName=function(aws, HANDLER), InvocationType=kind, Payload=json.dumps("x" * (size - 2))
    )


def put_invoke_config(aws: Aws, **settings: int) -> None:
    client(aws, "lambda").put_function_event_invoke_config(FunctionName=function(aws, HANDLER), **settings)


def map_queue(aws: Aws, *, fifo: bool = False, **settings: Any) -> None:
    mapping = client(aws, "lambda").create_event_source_mapping(
        FunctionName=function(aws, HANDLER), EventSourceArn=queue(aws, fifo=fifo).arn, **settings
    )
    client(aws, "lambda").delete_event_source_mapping(UUID=mapping["UUID"])


def permit(aws: Aws, size: int) -> None:
    """Make a resource policy of a size; the last of its statements fills it."""
    functions, arn = client(aws, "lambda"), function(aws, HANDLER)

    def add(number: int, source_size: int) -> int:
        functions.add_permission(
            FunctionName=arn,
            StatementId=str(number),
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
            SourceArn="x" * source_size,
        )
        policy = json.loads(functions.get_policy(FunctionName=arn)["Policy"])
        return len(json.dumps(policy, separators=(",", ":")))

    held, more = add(1, 5_000), add(2, 5_000)
    statement = more - held
    while size - more > statement:
        more = add(more, 5_000)
    add(0, size - more - (statement - 5_000))


def document(size: int, spaces: int = 0, **members: Any) -> str:
    """Write a policy of a size, and with more white space."""
    statement = {"Sid": "", "Effect": "Allow", "Action": "sqs:*"} | (members or {"Resource": "*"})
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":"))
    return text.replace('"Sid":""', f'"Sid":"{"x" * (size - len(text))}"') + " " * spaces


def put_queue_policy(aws: Aws, size: int) -> None:
    made = queue(aws)
    text = document(size, Principal="*", Resource=made.arn)
    client(aws, "sqs").set_queue_attributes(QueueUrl=made.url, Attributes={"Policy": text})


def put_log_policy(aws: Aws, size: int) -> None:
    logs, name = client(aws, "logs"), unique("policy")
    logs.put_resource_policy(policyName=name, policyDocument=document(size, Principal="*", Resource="*"))
    logs.delete_resource_policy(policyName=name)


def put_inline_policies(aws: Aws, size: int) -> None:
    """Put a policy twice, then another; together they have a size without their white space."""
    iam, name = client(aws, "iam"), unique("role")
    role(aws, name)
    for number, part in ((1, size // 2), (1, size // 2), (2, size - size // 2)):
        text = document(part, spaces=100)
        iam.put_role_policy(RoleName=name, PolicyName=str(number), PolicyDocument=text)


def create_policy(aws: Aws, size: int) -> str:
    text = document(size, spaces=100)
    made = client(aws, "iam").create_policy(PolicyName=unique("policy"), PolicyDocument=text)
    return str(made["Policy"]["Arn"])


def attach_policies(aws: Aws, count: int) -> None:
    iam, name = client(aws, "iam"), unique("role")
    role(aws, name)
    for arn in [create_policy(aws, 200) for _ in range(count)]:
        iam.attach_role_policy(RoleName=name, PolicyArn=arn)


def trust(size: int) -> str:
    return document(size, spaces=100, Principal="*", Action="sts:AssumeRole")


def send(aws: Aws, size: int = 1, **settings: Any) -> None:
    target = queue(aws)
    client(aws, "sqs").send_message(QueueUrl=target.url, MessageBody="x" * size, **settings)


def send_whole(aws: Aws, size: int) -> None:
    """Send a message of a size of which the attribute is a part."""
    send(aws, size - ATTRIBUTE_BYTES, MessageAttributes={"a": ATTRIBUTE})


def send_batch(aws: Aws, bodies: list[str], **attributes: dict[str, str]) -> None:
    entries = [
        {"Id": str(number), "MessageBody": body, "MessageAttributes": attributes}
        for number, body in enumerate(bodies)
    ]
    client(aws, "sqs").send_message_batch(QueueUrl=queue(aws).url, Entries=entries)


def send_whole_batch(aws: Aws, size: int) -> None:
    send_batch(aws, ["x", "x" * (size - 1 - 2 * ATTRIBUTE_BYTES)], a=ATTRIBUTE)


def with_attribute(name: str) -> Attempt:
    return lambda aws, value: queue(aws, fifo=False, **{name: str(value)})


def with_receives(aws: Aws, count: int) -> None:
    policy = {"deadLetterTargetArn": queue(aws).arn, "maxReceiveCount": count}
    queue(aws, RedrivePolicy=json.dumps(policy))


def receive(aws: Aws, **settings: int) -> None:
    client(aws, "sqs").receive_message(QueueUrl=queue(aws).url, **settings)


def create_queue(aws: Aws, size: int) -> None:
    name = unique("queue")
    client(aws, "sqs").create_queue(QueueName=(name + "x" * size)[:size])


def put_item(aws: Aws, size: int) -> None:
    item = {"id": {"S": "1"}, "v": {"S": "x" * (size - ITEM_BYTES)}}
    client(aws, "dynamodb").put_item(TableName=make_table(aws), Item=item)


def transact(aws: Aws, items: list[dict[str, Any]]) -> None:
    name = make_table(aws)
    client(aws, "dynamodb").transact_write_items(
        TransactItems=[{"Put": {"TableName": name, "Item": item}} for item in items]
    )


def transact_actions(aws: Aws, count: int) -> None:
    transact(aws, [{"id": {"S": str(number)}} for number in range(count)])


def put_log_events(aws: Aws, sizes: list[int]) -> None:
    """Put log events of these sizes, in which AWS includes 26 bytes."""
    logs, group = client(aws, "logs"), unique("group")
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": "x" * (size - 26)} for size in sizes]
    logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)


def retain(aws: Aws, days: int) -> None:
    logs, group = client(aws, "logs"), unique("group")
    logs.create_log_group(logGroupName=group)
    logs.put_retention_policy(logGroupName=group, retentionInDays=days)


def put_metrics(aws: Aws, count: int = 1, dimensions: int = 0) -> None:
    named = [{"Name": f"d{number}", "Value": "v"} for number in range(dimensions)]
    datum = {"MetricName": "m", "Value": 1.0, "Dimensions": named}
    client(aws, "cloudwatch").put_metric_data(Namespace=unique("space"), MetricData=[datum] * count)


def put_alarm(aws: Aws, **settings: Any) -> None:
    alarm = {"AlarmName": unique("alarm"), "EvaluationPeriods": 1, "Threshold": 0.0}
    alarm |= {"ComparisonOperator": "GreaterThanThreshold"}
    if "Metrics" not in settings:
        alarm |= {"Namespace": "tests", "MetricName": "any", "Statistic": "Sum", "Period": 60}
    client(aws, "cloudwatch").put_metric_alarm(**(alarm | settings))


def put_alarm_on_expression(aws: Aws, count: int) -> None:
    metrics: list[dict[str, Any]] = [
        {
            "Id": f"m{number}",
            "MetricStat": {"Metric": {"Namespace": "n", "MetricName": "m"}, "Period": 60, "Stat": "Sum"},
            "ReturnData": False,
        }
        for number in range(count)
    ]
    put_alarm(aws, Metrics=[*metrics, {"Id": "e", "Expression": "m0", "ReturnData": True}])


def put_composite(aws: Aws, rule_text: str) -> None:
    client(aws, "cloudwatch").put_composite_alarm(AlarmName=unique("composite"), AlarmRule=rule_text)


def put_rule_of_size(aws: Aws, size: int) -> None:
    name = unique("child")
    put_alarm(aws, AlarmName=name)
    text = f'ALARM("{name}")'
    put_composite(aws, text + " " * (size - len(text)))


def put_rule_of_alarms(aws: Aws, count: int) -> None:
    names = [unique("child") for _ in range(count)]
    for name in names:
        put_alarm(aws, AlarmName=name)
    put_composite(aws, " OR ".join(f'ALARM("{name}")' for name in names))


def create_schedule(aws: Aws, name: str | None = None, expression: str = "rate(1 day)", **retry: int) -> None:
    target = {"Arn": function(aws, HANDLER), "RoleArn": ADMINISTRATOR, "Input": "{}"}
    client(aws, "scheduler").create_schedule(
        Name=name or unique("schedule"),
        ScheduleExpression=expression,
        FlexibleTimeWindow={"Mode": "OFF"},
        Target=target | ({"RetryPolicy": retry} if retry else {}),
        State="DISABLED",
    )


def create_secret(aws: Aws, name: str | None = None, size: int = 1) -> str:
    name = name or unique("secret")
    client(aws, "secretsmanager").create_secret(Name=name, SecretString="x" * size)
    return name


def of_size(prefix: str, size: int) -> str:
    """Return a unique name of a length."""
    return (unique(prefix) + "x" * size)[:size]


# By limit: a request with a number of what it limits.
ATTEMPTS: Mapping[str, Attempt] = {
    "events/entry": put_entry,
    "events/entries": put_events,
    "events/pattern": lambda aws, size: put_rule(aws, size=size),
    "events/targets": put_targets,
    "events/rules": put_many_rules,
    "events/rule-name": lambda aws, size: put_rule(aws, Name=of_size("rule", size)),
    "events/target-retries": lambda aws, count: put_target(aws, "MaximumRetryAttempts", count),
    "events/target-age": lambda aws, age: put_target(aws, "MaximumEventAgeInSeconds", age),
    "lambda/request": lambda aws, size: invoke_with(aws, "RequestResponse", size),
    "lambda/event": lambda aws, size: invoke_with(aws, "Event", size),
    "lambda/environment": with_environment,
    "lambda/zipped": lambda aws, size: create_function(
        aws, Code={"ZipFile": archive(size, zipfile.ZIP_STORED)}
    ),
    "lambda/unzipped": lambda aws, size: create_function(
        aws, Code={"ZipFile": archive(size, zipfile.ZIP_DEFLATED)}
    ),
    "lambda/name": lambda aws, size: create_function(aws, FunctionName=of_size("function", size)),
    "lambda/timeout": lambda aws, seconds: create_function(aws, Timeout=seconds),
    "lambda/memory": lambda aws, size: create_function(aws, MemorySize=size),
    "lambda/event-age": lambda aws, age: put_invoke_config(aws, MaximumEventAgeInSeconds=age),
    "lambda/event-retries": lambda aws, count: put_invoke_config(aws, MaximumRetryAttempts=count),
    "lambda/batch": lambda aws, size: map_queue(aws, BatchSize=size, MaximumBatchingWindowInSeconds=1),
    "lambda/batch-without-window": lambda aws, size: map_queue(aws, BatchSize=size),
    "lambda/fifo-batch": lambda aws, size: map_queue(aws, fifo=True, BatchSize=size),
    "lambda/fifo-window": lambda aws, seconds: map_queue(
        aws, fifo=True, MaximumBatchingWindowInSeconds=seconds
    ),
    "lambda/policy": permit,
    "lambda/window": lambda aws, seconds: map_queue(aws, MaximumBatchingWindowInSeconds=seconds),
    "lambda/mapping-concurrency": lambda aws, count: map_queue(
        aws, ScalingConfig={"MaximumConcurrency": count}
    ),
    "sqs/maximum": with_attribute("MaximumMessageSize"),
    "sqs/message": send_whole,
    "sqs/batch": send_whole_batch,
    "sqs/batch-entries": lambda aws, count: send_batch(aws, ["x"] * count),
    "sqs/attributes": lambda aws, count: send(
        aws, MessageAttributes={f"a{number}": ATTRIBUTE for number in range(count)}
    ),
    "sqs/visibility": lambda aws, seconds: receive(aws, VisibilityTimeout=seconds),
    "sqs/wait": lambda aws, seconds: receive(aws, WaitTimeSeconds=seconds),
    "sqs/delay": lambda aws, seconds: send(aws, DelaySeconds=seconds),
    "sqs/retention": with_attribute("MessageRetentionPeriod"),
    "sqs/receives": with_receives,
    "sqs/name": create_queue,
    "sqs/policy": put_queue_policy,
    "dynamodb/item": put_item,
    "dynamodb/actions": transact_actions,
    "logs/event": lambda aws, size: put_log_events(aws, [size]),
    "logs/batch": lambda aws, size: put_log_events(aws, [size // 2, size - size // 2]),
    "logs/events": lambda aws, count: put_log_events(aws, [27] * count),
    "logs/retention": retain,
    "logs/policy": put_log_policy,
    "cloudwatch/metrics": put_metrics,
    "cloudwatch/dimensions": lambda aws, count: put_metrics(aws, dimensions=count),
    "cloudwatch/alarm-name": lambda aws, size: put_alarm(aws, AlarmName=of_size("alarm", size)),
    "cloudwatch/actions": lambda aws, count: put_alarm(
        aws, AlarmActions=[f"arn:aws:sns:{aws.region}:{ACCOUNT}:t{number}" for number in range(count)]
    ),
    "cloudwatch/evaluation": lambda aws, seconds: put_alarm(aws, EvaluationPeriods=-(-seconds // 60)),
    "cloudwatch/long-evaluation": lambda aws, seconds: put_alarm(
        aws, Period=3_600, EvaluationPeriods=-(-seconds // 3_600)
    ),
    "cloudwatch/expression": put_alarm_on_expression,
    "cloudwatch/rule": put_rule_of_size,
    "cloudwatch/children": put_rule_of_alarms,
    "scheduler/name": lambda aws, size: create_schedule(aws, of_size("schedule", size)),
    "scheduler/retries": lambda aws, count: create_schedule(aws, MaximumRetryAttempts=count),
    "scheduler/age": lambda aws, age: create_schedule(aws, MaximumEventAgeInSeconds=age),
    "secretsmanager/value": lambda aws, size: create_secret(aws, size=size),
    "secretsmanager/name": lambda aws, size: create_secret(aws, of_size("secret", size)),
    "s3/name": lambda aws, size: client(aws, "s3").create_bucket(
        Bucket=of_size("b", size), CreateBucketConfiguration={"LocationConstraint": aws.region}
    ),
    "iam/inline": put_inline_policies,
    "iam/managed": create_policy,
    "iam/attached": attach_policies,
    "iam/trust": lambda aws, size: role(aws, unique("role"), trusted=trust(size)),
}
WITH_ATTEMPT = [limit for limit in LIMITS if limit.key in ATTEMPTS]
# What waits, or takes long, is tried with one number only.
SLOW = {"sqs/wait"}


def test_every_enforced_limit_is_tried() -> None:
    assert set(ATTEMPTS) | PROVED == {limit.key for limit in LIMITS if limit.by}


def test_every_other_limit_says_why_it_is_not_enforced() -> None:
    assert all(limit.note for limit in LIMITS if not limit.by)


@pytest.mark.parametrize("limit", WITH_ATTEMPT, ids=lambda limit: limit.key)
def test_just_within_is_accepted_and_just_over_is_refused(aws: Aws, limit: Limit) -> None:
    lowest, most = _range(limit)
    attempt = ATTEMPTS[limit.key]
    refused(lambda: attempt(aws, most + 1), limit.error)
    if lowest is not None:
        code = limit.error if limit.key != "sqs/batch-entries" else "EmptyBatchRequest"
        refused(lambda: attempt(aws, lowest - 1), code)
    if limit.key not in SLOW:
        attempt(aws, most)
    if lowest is not None:
        attempt(aws, lowest)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """An AWS without the fixes that enforce limits."""
    without = sorted({limit.by.strip("`") for limit in WITH_ATTEMPT} - {limits.MINISTACK})
    with running(tmp_path_factory.mktemp("bare"), without=without) as emulator:
        yield emulator.aws


@pytest.mark.parametrize("limit", WITH_ATTEMPT, ids=lambda limit: limit.key)
def test_what_the_table_names_enforces_it(bare: Aws, limit: Limit) -> None:
    _, most = _range(limit)
    if limit.by == limits.MINISTACK:
        refused(lambda: ATTEMPTS[limit.key](bare, most + 1), limit.error)
    else:
        ATTEMPTS[limit.key](bare, most + 1)


def _range(limit: Limit) -> tuple[int | None, int]:
    if not limit.shape:
        return limit.lowest, limit.value
    lowest, most = constraints.bounds(limit.service, constraints.model(limit.service).shape_for(limit.shape))
    assert most is not None
    # An empty list or name of a request, or one that is missing, is not what these tests are about.
    return (int(lowest) if lowest is not None and lowest > 1 else None), int(most)


def test_an_error_reads_as_that_of_aws(aws: Aws) -> None:
    too_long = refused(lambda: create_function(aws, Timeout=901), "ValidationException")
    assert too_long == (
        "1 validation error detected: Value '901' at 'timeout' failed to satisfy constraint: "
        "Member must have value less than or equal to 900"
    )
    two = refused(
        lambda: create_schedule(aws, MaximumRetryAttempts=186, MaximumEventAgeInSeconds=59),
        "ValidationException",
    )
    assert two.startswith("2 validation errors detected: ")
    assert "'target.retryPolicy.maximumEventAgeInSeconds'" in two
    secret = refused(lambda: create_secret(aws, size=65_537), "ValidationException")
    assert "Value at 'secretString'" in secret
    assert "xx" not in secret


def test_a_known_rule_and_a_known_target_can_be_put_again(tmp_path: Path) -> None:
    with running(tmp_path, changed={"events/rules": 1, "events/targets": 1}) as emulator:
        aws, name = emulator.aws, bus(emulator.aws)
        arn = rule(aws, name, queue(aws).arn)
        put_rule(aws, name, Name=arn.rpartition("/")[2])
        rule_name = arn.rpartition("/")[2]
        target = [{"Id": "it", "Arn": queue(aws).arn}]
        client(aws, "events").put_targets(Rule=rule_name, EventBusName=name, Targets=target)
        message = refused(lambda: put_rule(aws, name), "LimitExceededException")
    assert message == "The requested resource exceeds the maximum number allowed."


@proves("lambda/response")
def test_a_response_is_no_larger_than_a_payload(aws: Aws) -> None:
    most = limits.RESPONSE.value
    arn = function(aws, RETURNS_A_TEXT, Timeout=PATIENCE_SECONDS)
    assert len(invoke(aws, arn, most)) == most - 2
    answer = client(aws, "lambda").invoke(FunctionName=arn, Payload=json.dumps(most + 1))
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    assert json.loads(answer["Payload"].read()) == {
        "errorMessage": f"Response payload size ({most + 1} bytes) exceeded maximum allowed payload size "
        f"({most} bytes).",
        "errorType": "Function.ResponseSizeTooLarge",
    }


@proves("lambda/memory-used")
def test_a_function_uses_no_more_memory_than_it_is_configured_with(aws: Aws) -> None:
    within, over = (function(aws, TAKES_MEGABYTES, MemorySize=size) for size in (512, 128))
    assert invoke(aws, within, TAKEN_MB) == {"bytes": TAKEN_MB << 20}
    assert invoke(aws, over, TAKEN_MB)["errorType"] == "Runtime.OutOfMemory"


@proves("lambda/visibility")
def test_a_message_stays_hidden_while_its_function_may_run(aws: Aws) -> None:
    functions = client(aws, "lambda")
    arn, slow = function(aws, HANDLER, Timeout=10), function(aws, HANDLER, Timeout=11)
    source = queue(aws, VisibilityTimeout="10").arn
    mapping = functions.create_event_source_mapping(FunctionName=arn, EventSourceArn=source)["UUID"]
    for attempt in (
        lambda: functions.create_event_source_mapping(FunctionName=slow, EventSourceArn=source),
        lambda: functions.update_event_source_mapping(UUID=mapping, FunctionName=slow),
        lambda: functions.update_function_configuration(FunctionName=arn, Timeout=11),
    ):
        message = refused(attempt, "InvalidParameterValueException")
        assert message == "Queue visibility timeout: 10 seconds is less than Function timeout: 11 seconds"
    functions.update_function_configuration(FunctionName=arn, Timeout=9)
    functions.delete_event_source_mapping(UUID=mapping)
    functions.update_function_configuration(FunctionName=arn, Timeout=11)


def test_an_update_of_a_mapping_has_the_limits_of_its_creation(aws: Aws) -> None:
    functions = client(aws, "lambda")
    for fifo, wrong in ((True, {"BatchSize": 11}), (False, {"MaximumBatchingWindowInSeconds": 0})):
        settings = {} if fifo else {"BatchSize": 11, "MaximumBatchingWindowInSeconds": 1}
        made = functions.create_event_source_mapping(
            FunctionName=function(aws, HANDLER), EventSourceArn=queue(aws, fifo=fifo).arn, **settings
        )
        update = partial(functions.update_event_source_mapping, UUID=made["UUID"])
        refused(partial(update, **wrong), "InvalidParameterValueException")
        update(BatchSize=10, Enabled=False)
        functions.delete_event_source_mapping(UUID=made["UUID"])


def test_a_changed_policy_has_the_limits_of_a_new_one(aws: Aws) -> None:
    iam, name = client(aws, "iam"), unique("role")
    role(aws, name)
    arn, most = create_policy(aws, 200), limits.MANAGED_POLICY.value
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=document(most, spaces=100))
    message = refused(
        lambda: iam.create_policy_version(PolicyArn=arn, PolicyDocument=document(most + 1)), "LimitExceeded"
    )
    assert message == "Cannot exceed quota for PolicySize: 6144"
    most = limits.TRUST_POLICY.value
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust(most))
    message = refused(
        lambda: iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust(most + 1)), "LimitExceeded"
    )
    assert message == "Cannot exceed quota for ACLSizePerRole: 2048"
    most = limits.QUEUE_POLICY.value
    refused(lambda: queue(aws, Policy=document(most + 1, Principal="*")), "InvalidAttributeValue")


def test_a_long_line_of_a_function_becomes_several_log_events(aws: Aws) -> None:
    most = limits.LOG_EVENT.value - 26
    # The first part ends within a character.
    line = "x" + "é" * most
    arn = function(aws, PRINTS_TWO_BYTES_EACH, Timeout=PATIENCE_SECONDS, MemorySize=256)
    invoke(aws, arn, most)
    group = "/aws/lambda/" + arn.rpartition(":")[2]
    pages = client(aws, "logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    found = [each["message"] for page in pages for each in page["events"] if each["message"][0] in "xé"]
    assert [len(part.encode()) for part in found] == [most - 1, most, 2]
    assert "".join(found) == line


@proves("lambda/unreserved")
def test_what_functions_reserve_leaves_enough_of_the_quota(tmp_path: Path) -> None:
    with running(tmp_path, changed={"lambda/concurrency": QUOTA}) as emulator:
        functions = client(emulator.aws, "lambda")
        one, two = function(emulator.aws, HANDLER), function(emulator.aws, HANDLER)
        functions.put_function_concurrency(FunctionName=one, ReservedConcurrentExecutions=30)
        functions.put_function_concurrency(FunctionName=two, ReservedConcurrentExecutions=20)
        message = refused(
            lambda: functions.put_function_concurrency(FunctionName=two, ReservedConcurrentExecutions=21),
            "InvalidParameterValueException",
        )
        assert message.endswith(
            "decreases account's UnreservedConcurrentExecution below its minimum value of [100]."
        )
        limit = functions.get_account_settings()["AccountLimit"]
        quotas = client(emulator.aws, "service-quotas")
        asked = {"ServiceCode": "lambda", "QuotaCode": "L-B99A9384"}
        quota = quotas.get_service_quota(**asked)["Quota"]
        default = quotas.get_aws_default_service_quota(**asked)["Quota"]
        refused(
            lambda: quotas.get_service_quota(ServiceCode="lambda", QuotaCode="L-0"), "NoSuchResourceException"
        )
    assert (limit["ConcurrentExecutions"], limit["UnreservedConcurrentExecutions"]) == (QUOTA, 100)
    assert (quota["Value"], default["Value"]) == (QUOTA, 1_000)


def test_nothing_can_be_reserved_of_the_quota_of_a_new_account(tmp_path: Path) -> None:
    with running(tmp_path, changed={"lambda/concurrency": 10}) as emulator:
        functions, arn = client(emulator.aws, "lambda"), function(emulator.aws, HANDLER)
        functions.put_function_concurrency(FunctionName=arn, ReservedConcurrentExecutions=0)
        message = refused(
            lambda: functions.put_function_concurrency(FunctionName=arn, ReservedConcurrentExecutions=1),
            "InvalidParameterValueException",
        )
    assert "[10]" in message


@proves("lambda/concurrency")
def test_an_account_runs_no_more_at_once_than_its_quota(tmp_path: Path) -> None:
    with running(tmp_path / "aws", changed={"lambda/concurrency": 1}) as emulator:
        functions, go_on = client(emulator.aws, "lambda"), tmp_path / "go_on"
        waiting = function(emulator.aws, WAITS, Timeout=PATIENCE_SECONDS)
        other = function(emulator.aws, HANDLER)
        invoke(emulator.aws, other, None)
        functions.invoke(FunctionName=waiting, InvocationType="Event", Payload=json.dumps(str(go_on)))
        wait_until(lambda: _is_throttled(functions, other), "the quota was expected to be used up")
        go_on.touch()
        wait_until(lambda: not _is_throttled(functions, other), "the quota was expected to be free again")


def _is_throttled(functions: Any, arn: str) -> bool:
    try:
        functions.invoke(FunctionName=arn)
    except functions.exceptions.TooManyRequestsException:
        return True
    return False


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """An AWS whose queues have at most three messages in flight."""
    with running(tmp_path_factory.mktemp("narrow"), changed=IN_FLIGHT) as emulator:
        yield emulator.aws


def _filled(aws: Aws, *, fifo: bool = False) -> Queue:
    """Return a queue with four messages, of which three are in flight."""
    made = queue(aws, fifo=fifo)
    for number in range(4):
        group = {"MessageGroupId": str(number)} if fifo else {}
        made.sqs.send_message(QueueUrl=made.url, MessageBody=str(number), **group)
    taken = made.sqs.receive_message(QueueUrl=made.url, MaxNumberOfMessages=10)["Messages"]
    assert [message["Body"] for message in taken] == ["0", "1", "2"]
    return made


@proves("sqs/in-flight")
def test_a_queue_gives_no_more_than_may_be_in_flight(narrow: Aws) -> None:
    full = _filled(narrow)
    message = refused(lambda: full.sqs.receive_message(QueueUrl=full.url), "OverLimit")
    assert message.startswith("Too many messages have been received without being deleted.")
    assert "Messages" not in full.sqs.receive_message(QueueUrl=full.url, WaitTimeSeconds=1)


def test_a_deleted_message_is_no_longer_in_flight(narrow: Aws) -> None:
    made = queue(narrow)
    for number in range(4):
        made.sqs.send_message(QueueUrl=made.url, MessageBody=str(number))
    assert [message["Body"] for message in made.messages()] == ["0", "1", "2", "3"]


@proves("sqs/fifo-in-flight")
def test_a_fifo_queue_gives_no_more_than_may_be_in_flight_and_no_error(narrow: Aws) -> None:
    full = _filled(narrow, fifo=True)
    assert "Messages" not in full.sqs.receive_message(QueueUrl=full.url)


@proves("sqs/group")
def test_a_message_in_flight_blocks_its_group_only(aws: Aws) -> None:
    made = queue(aws, fifo=True)
    for body in ("a1", "a2", "b1"):
        made.sqs.send_message(QueueUrl=made.url, MessageBody=body, MessageGroupId=body[0])
    (first,) = made.sqs.receive_message(QueueUrl=made.url)["Messages"]
    assert (first["Body"], [message["Body"] for message in made.messages()]) == ("a1", ["b1"])
    made.sqs.delete_message(QueueUrl=made.url, ReceiptHandle=first["ReceiptHandle"])
    assert [message["Body"] for message in made.messages()] == ["a2"]


def test_a_visibility_timeout_ends_within_12_hours_of_the_receipt(aws: Aws) -> None:
    made = queue(aws)
    made.sqs.send_message(QueueUrl=made.url, MessageBody="x")
    (message,) = made.sqs.receive_message(QueueUrl=made.url)["Messages"]
    handle = {"ReceiptHandle": message["ReceiptHandle"]}
    most = limits.VISIBILITY.value
    reason = refused(
        lambda: made.sqs.change_message_visibility(QueueUrl=made.url, VisibilityTimeout=most, **handle),
        "InvalidParameterValue",
    )
    assert "Total VisibilityTimeout for the message is beyond the limit" in reason
    entries = [{"Id": "over", "VisibilityTimeout": most, **handle}]
    entries.append({"Id": "within", "VisibilityTimeout": most - PATIENCE_SECONDS, **handle})
    answer = made.sqs.change_message_visibility_batch(QueueUrl=made.url, Entries=entries)
    assert [one["Id"] for one in answer["Successful"]] == ["within"]
    assert [(one["Id"], one["Code"]) for one in answer["Failed"]] == [("over", "InvalidParameterValue")]


@proves("dynamodb/transaction")
def test_a_transaction_has_at_most_4_mib(aws: Aws) -> None:
    value, rest = 400_000, 190_000
    items = [{"id": {"S": str(number)}, "v": {"S": "x" * value}} for number in range(10)]
    transact(aws, [*items, {"id": {"S": "last"}, "v": {"S": "x" * (rest - 10_000)}}])
    over = [*items, {"id": {"S": "last"}, "v": {"S": "x" * (rest + 10_000)}}]
    refused(lambda: transact(aws, over), "ValidationException")


@proves("dynamodb/condition")
def test_a_failed_condition_gives_the_item_that_is_asked_for(aws: Aws, table: str) -> None:
    dynamodb, name = client(aws, "dynamodb"), unique("item")
    held = {"id": {"S": name}, "v": {"N": "1"}}
    put = {
        "TableName": table,
        "Item": held,
        "ConditionExpression": "attribute_not_exists(id)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    dynamodb.put_item(**put)
    with pytest.raises(dynamodb.exceptions.ConditionalCheckFailedException) as caught:
        dynamodb.put_item(**put)
    assert caught.value.response["Item"] == held
    new = {"id": {"S": unique("item")}}
    other = {"Put": {"TableName": table, "Item": new}}
    with pytest.raises(dynamodb.exceptions.TransactionCanceledException) as cancelled:
        dynamodb.transact_write_items(TransactItems=[other, {"Put": put}])
    reasons = cancelled.value.response["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == ["None", "ConditionalCheckFailed"]
    assert reasons[1]["Item"] == held
    assert "Item" not in dynamodb.get_item(TableName=table, Key=new)


@proves("dynamodb/expiry")
def test_an_expired_item_is_there_until_it_is_deleted_late(tmp_path: Path) -> None:
    with running(tmp_path, changed={"dynamodb/expiry": 10}) as emulator:
        dynamodb, name = client(emulator.aws, "dynamodb"), make_table(emulator.aws)
        now = int(time.time())
        for key, expires in {"long ago": now - 3_600, "lately": now - 1, "in an hour": now + 3_600}.items():
            item = {"id": {"S": key}, "expires": {"N": str(expires)}}
            dynamodb.put_item(TableName=name, Item=item)
        specification = {"Enabled": True, "AttributeName": "expires"}
        dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=specification)

        def held() -> set[str]:
            return {item["id"]["S"] for item in dynamodb.scan(TableName=name)["Items"]}

        wait_until(lambda: "long ago" not in held(), "the item was expected to be deleted")
        if time.time() < now - 1 + 10:
            assert held() == {"lately", "in an hour"}
        wait_until(lambda: held() == {"in an hour"}, "the item was expected to be deleted later")


def test_the_setting_of_a_tables_expiry_survives_a_restart(tmp_path: Path) -> None:
    specification = {"Enabled": True, "AttributeName": "expires"}
    with running(tmp_path) as emulator:
        name = make_table(emulator.aws)
        emulator.aws.client("dynamodb").update_time_to_live(
            TableName=name, TimeToLiveSpecification=specification
        )
    with running(tmp_path) as emulator:
        answer = emulator.aws.client("dynamodb").describe_time_to_live(TableName=name)
    assert answer["TimeToLiveDescription"]["AttributeName"] == "expires"


@proves("cloudwatch/embedded-metrics", "cloudwatch/embedded-dimensions")
@pytest.mark.parametrize(
    ("limit", "of"), [(limits.EMF_METRICS, "metrics"), (limits.EMF_DIMENSIONS, "dimensions")]
)
def test_a_line_with_too_many_metrics_or_dimensions_gives_none(aws: Aws, limit: Limit, of: str) -> None:
    arn, within, over = function(aws, PRINTS), unique("Within"), unique("Over")
    for namespace, count in ((over, limit.value + 1), (within, limit.value)):
        counts = {"metrics": 1, "dimensions": 1} | {of: count}
        invoke(aws, arn, {"line": _line(namespace, **counts)})
    listed = client(aws, "cloudwatch").list_metrics
    assert listed(Namespace=within)["Metrics"]
    assert not listed(Namespace=over)["Metrics"]


def _line(namespace: str, metrics: int, dimensions: int) -> str:
    names = {"m": metrics, "d": dimensions}
    values = {f"{prefix}{number}": 1 for prefix, count in names.items() for number in range(count)}
    directive = {
        "Namespace": namespace,
        "Metrics": [{"Name": f"m{number}"} for number in range(metrics)],
        "Dimensions": [[f"d{number}" for number in range(dimensions)]],
    }
    return json.dumps({"_aws": {"CloudWatchMetrics": [directive]}, **values})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"Period": 90}, "Period must be 10, 20, 30 or a multiple of 60"),
        ({"DatapointsToAlarm": 2}, "DatapointsToAlarm must be less than or equal to EvaluationPeriods"),
    ],
)
def test_an_alarm_with_impossible_periods_is_refused(aws: Aws, wrong: dict[str, int], message: str) -> None:
    assert refused(lambda: put_alarm(aws, **wrong), "ValidationError") == message


@proves("scheduler/expression")
@pytest.mark.parametrize(
    ("expression", "right"),
    [
        ("rate(1 minute)", True),
        ("rate(5 minutes)", True),
        ("rate(0 minutes)", False),
        ("rate(1 week)", False),
        ("cron(15 10 ? * MON-FRI *)", True),
        ("cron(15 10 * * *)", False),
        ("at(2030-01-01T00:00:00)", True),
        ("at(2030-01-01)", False),
        ("every day", False),
        (f"rate(1 {'d' * limits.EXPRESSION.value}ay)", False),
    ],
)
def test_a_schedule_expression_has_the_syntax_of_aws(aws: Aws, expression: str, right: bool) -> None:
    if right:
        create_schedule(aws, expression=expression)
    else:
        refused(lambda: create_schedule(aws, expression=expression), "ValidationException")


@proves("secretsmanager/recovery")
@pytest.mark.parametrize("days", [limits.RECOVERY.lowest, limits.RECOVERY.most])
def test_the_name_of_a_deleted_secret_is_taken_in_its_recovery_window(aws: Aws, days: int) -> None:
    secrets, name = client(aws, "secretsmanager"), create_secret(aws)
    secrets.delete_secret(SecretId=name, RecoveryWindowInDays=days)
    message = refused(lambda: create_secret(aws, name), "InvalidRequestException")
    assert message == (
        "You can't create this secret because a secret with this name is already scheduled for deletion."
    )
    secrets.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    create_secret(aws, name)


@pytest.mark.parametrize("days", [6, 31])
def test_a_recovery_window_is_of_7_to_30_days(aws: Aws, days: int) -> None:
    secrets, name = client(aws, "secretsmanager"), create_secret(aws)
    refused(
        lambda: secrets.delete_secret(SecretId=name, RecoveryWindowInDays=days), "InvalidParameterException"
    )


@proves("s3/reserved")
@pytest.mark.parametrize(
    "name",
    [
        "Capital",
        "under_score",
        "two..dots",
        "-hyphen",
        "192.168.5.4",
        "xn--bucket",
        "sthree-bucket",
        "amzn-s3-demo-bucket",
        "bucket-s3alias",
        "bucket--ol-s3",
        "bucket.mrap",
        "bucket--table-s3",
    ],
)
def test_a_name_of_a_bucket_that_aws_refuses_is_refused(aws: Aws, name: str) -> None:
    with pytest.raises(ClientError, match="InvalidBucketName"):
        client(aws, "s3").create_bucket(
            Bucket=name, CreateBucketConfiguration={"LocationConstraint": aws.region}
        )


@pytest.mark.parametrize("text", ["[]", "{", '{"lambda/unknown": 1}', '{"lambda/concurrency": "1"}'])
def test_a_wrong_setting_of_limits_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(limits.VARIABLE, text)
    limits.changed.cache_clear()
    try:
        with pytest.raises(EmulatorError, match="expected a JSON object of row keys and numbers"):
            limits.changed()
    finally:
        limits.changed.cache_clear()
