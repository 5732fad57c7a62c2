"""Each action of each statement of each policy is needed: without it the embedded AWS refuses a call.

The calls are those of all end-to-end tests before, and of the tests here for what happens rarely. They were
made to an environment with every optional part.
"""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import pytest
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError

from functions.ledger.keys import day_prefix, object_key
from functions.ledger.records import parse
from ops.dev.permissions import NOT_EXERCISED, PURPOSES, granted
from ops.local import drive
from ops.local.deployment import EVENT_SOURCE
from ops.local.observations import RefusedCall
from ops.local.observer import decided_calls, refused_calls
from tests.e2e.pipeline import KEY, Pipeline, fresh, sample, target_gone, wait_for
from tests.emulator.roles import EVERYTHING, role, session

ACCOUNT = "000000000000"
AUDIT = f"arn:aws:sts::{ACCOUNT}:assumed-role/huntaze-stripe-audit-dev"
# What each dead-letter queue that the redrive function reads may hold.
EVENT_OF_QUEUE = {
    "huntaze-stripe-payments-dlq-dev": "payment_intent.succeeded",
    "huntaze-stripe-billing-dlq-dev": "invoice.paid",
    "huntaze-stripe-audit-payments-dlq-dev": "payment_intent.succeeded",
    "huntaze-stripe-audit-billing-dlq-dev": "invoice.paid",
    "huntaze-stripe-audit-other-dlq-dev": "product.created",
    "huntaze-stripe-audit-dlq-dev.fifo": "product.created",
}
# One event for each rule: a payment, a subscription, and one that no handler takes.
EVENT_OF_RULE = {
    "huntaze-stripe-payments-dev": "payment_intent.succeeded",
    "huntaze-stripe-billing-dev": "invoice.paid",
    "huntaze-stripe-audit-payments-dev": "payment_intent.succeeded",
    "huntaze-stripe-audit-billing-dev": "invoice.paid",
    "huntaze-stripe-audit-dev": "product.created",
    "huntaze-stripe-log-dev": "product.created",
}


def stack(pipeline: Pipeline) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((pipeline.deployment.terraform.folder / "cdk.tf.json").read_text())
    return found


@contextmanager
def role_without(pipeline: Pipeline, name: str, sid: str) -> Iterator[None]:
    """Take a statement out of the policy of a function's role."""
    iam = pipeline.deployment.services.aws.client("iam")
    before = iam.get_role_policy(RoleName=name, PolicyName=name)["PolicyDocument"]
    after = {**before, "Statement": [each for each in before["Statement"] if each["Sid"] != sid]}
    assert len(after["Statement"]) == len(before["Statement"]) - 1
    iam.put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=json.dumps(after))
    try:
        yield
    finally:
        iam.put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=json.dumps(before))


def test_event_waits_for_a_missing_right_and_the_refusal_names_it(pipeline: Pipeline) -> None:
    aws = pipeline.deployment.services.aws
    event = fresh(sample("current", "product.created"), "evt_withoutTheRight")
    with role_without(pipeline, "huntaze-stripe-audit-dev", "AddToLedger"):
        sent = drive.send(aws, EVENT_SOURCE, [event])

        def found() -> list[RefusedCall]:
            refused = (each for each in refused_calls(aws) if each.action == "s3:PutObject")
            return [each for each in refused if each.caller == AUDIT]

        wait_for(lambda: bool(found()), "a refused s3:PutObject")
        refused = found()[0]
    assert refused.advice.startswith("needs s3:PutObject on arn:aws:s3:::huntaze-stripe-ledger-dev-")
    assert "in role huntaze-stripe-audit-dev or bucket huntaze-stripe-ledger-dev-" in refused.advice
    (row,) = drive.wait_until_accounted(sent, pipeline.observer)
    assert row.audited


def test_states_of_one_second_are_read_from_stripe(pipeline: Pipeline) -> None:
    first = fresh(sample("current", "customer.subscription.updated"), "evt_tieFirst")
    first["detail"]["data"].pop("previous_attributes", None)
    second = copy.deepcopy(first)
    second["detail"]["id"] = "evt_tieSecond"
    second["detail"]["data"]["object"]["metadata"] = {"second": "yes"}
    pipeline.drive(first)
    pipeline.drive(second)
    reads = [each for each in decided_calls(pipeline.deployment.services.aws) if each["allowed"]]
    assert any(
        each["action"] == "secretsmanager:GetSecretValue"
        and "/stripe-secret-key-" in each["resource"]
        and each["caller"].endswith("/huntaze-stripe-billing-dev")
        for each in reads
    )


@pytest.mark.parametrize("rule", EVENT_OF_RULE)
def test_event_that_a_rule_can_not_deliver_reaches_the_rules_queue(pipeline: Pipeline, rule: str) -> None:
    queue = f"{rule.removesuffix('-dev')}-dlq-dev"
    if rule == "huntaze-stripe-audit-dev":
        queue = "huntaze-stripe-audit-other-dlq-dev"
    pipeline.messages(queue)
    event = fresh(sample("current", EVENT_OF_RULE[rule]), f"evt_gone{rule.replace('-', '')}")
    with target_gone(pipeline, rule):
        drive.send(pipeline.deployment.services.aws, EVENT_SOURCE, [event])
        wait_for(lambda: pipeline.observer.queue_depths()[queue] == 1, f"one message in {queue}")
    assert len(pipeline.messages(queue)) == 1


@pytest.mark.usefixtures("working_api")
@pytest.mark.parametrize("queue", EVENT_OF_QUEUE)
def test_redrive_function_takes_what_failed_temporarily_and_leaves_the_rest(
    pipeline: Pipeline, queue: str
) -> None:
    pipeline.messages(queue)
    aws = pipeline.deployment.services.aws
    options = {"MessageGroupId": "one"} if queue.endswith(".fifo") else {}
    for error in ("TransientError", "PermanentError"):
        event = fresh(
            sample("current", EVENT_OF_QUEUE[queue]), f"evt_{error}{''.join(filter(str.isalnum, queue))}"
        )
        record = {
            "requestContext": {"condition": "RetriesExhausted"},
            "requestPayload": event,
            "responsePayload": {"errorType": error, "errorMessage": "of the test"},
        }
        aws.client("sqs").send_message(
            QueueUrl=pipeline.deployment.outputs.queues[queue], MessageBody=json.dumps(record), **options
        )

    def left() -> bool:
        aws.client("lambda").invoke(FunctionName="huntaze-stripe-redrive-dev", Payload=b"{}")
        return pipeline.observer.queue_depths()[queue] == 1

    wait_for(left, f"one of two messages in {queue}")
    (message,) = pipeline.messages(queue)
    assert json.loads(message["Body"])["responsePayload"]["errorType"] == "PermanentError"


@pytest.mark.usefixtures("working_api")
def test_refused_billing_event_gives_its_record_up(pipeline: Pipeline) -> None:
    pipeline.fail(idempotency_key="evt_refusedBilling", status=422)
    (row,) = pipeline.drive(fresh(sample("current", "invoice.paid"), "evt_refusedBilling"))
    assert row.outcome == "parked"
    pipeline.messages("huntaze-stripe-billing-dlq-dev")


@contextmanager
def key_without(pipeline: Pipeline, sid: str) -> Iterator[None]:
    """Take a statement out of the key's policy."""
    kms = pipeline.deployment.services.aws.client("kms")
    key = kms.describe_key(KeyId=KEY)["KeyMetadata"]["KeyId"]
    before = kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]
    policy = json.loads(before)
    policy["Statement"] = [each for each in policy["Statement"] if each["Sid"] != sid]
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(policy))
    try:
        yield
    finally:
        kms.put_key_policy(KeyId=key, PolicyName="default", Policy=before)


def test_event_that_the_bus_can_not_encrypt_reaches_the_buss_queue(pipeline: Pipeline) -> None:
    queue = "huntaze-stripe-bus-dlq-dev"
    with key_without(pipeline, "EventBridgeStores"):
        event = fresh(sample("current", "invoice.paid"), "evt_busWithoutKey")
        drive.send(pipeline.deployment.services.aws, EVENT_SOURCE, [event])
        wait_for(lambda: pipeline.observer.queue_depths()[queue] == 1, f"one message in {queue}")
    (message,) = pipeline.messages(queue)
    assert json.loads(message["Body"])["detail"]["id"] == "evt_busWithoutKey"
    advice = [each.advice for each in refused_calls(pipeline.deployment.services.aws)]
    assert any("kms:GenerateDataKey" in each and "key huntaze-stripe-events-dev" in each for each in advice)


def test_schedule_starts_its_function(pipeline: Pipeline) -> None:
    scheduler = pipeline.deployment.services.aws.client("scheduler")
    scheduled = ("redrive", "reconcile", "compact")
    names = [f"huntaze-stripe-{each}-schedule-dev" for each in scheduled]
    before = {name: scheduler.get_schedule(Name=name) for name in names}
    kept = ("Name", "Description", "ScheduleExpression", "FlexibleTimeWindow", "Target")
    due = {"ScheduleExpression": "at(2026-01-01T00:00:00)"}
    for schedule in before.values():
        scheduler.update_schedule(**{name: schedule[name] for name in kept} | due)

    def started() -> bool:
        calls = decided_calls(pipeline.deployment.services.aws)
        found = {(each["caller"].rpartition("/")[2], each["action"]) for each in calls}
        # The comparison asks first when the table was made: the proof below needs that call.
        compared = ("huntaze-stripe-reconcile-dev", "dynamodb:DescribeTable")
        return found >= {*((name, "lambda:InvokeFunction") for name in names), compared}

    wait_for(started, "the schedules have invoked their function, and the comparison has begun")
    for schedule in before.values():
        scheduler.update_schedule(**{name: schedule[name] for name in kept})


def test_compact_function_replaces_the_objects_of_a_day(pipeline: Pipeline) -> None:
    aws, bucket = pipeline.deployment.services.aws, pipeline.deployment.outputs.ledger_bucket
    s3 = aws.client("s3")
    received = datetime.now(UTC) - timedelta(days=3)
    records = [
        parse(
            {
                "messageId": f"compacted-{each}",
                "body": json.dumps(fresh(sample("current", "product.created"), f"evt_compacted{each}")),
                "attributes": {"SentTimestamp": str(int(received.timestamp() * 1000) + each)},
            }
        )
        for each in range(3)
    ]
    for record in records:
        body = gzip.compress(f"{record.line}\n".encode())
        s3.put_object(Bucket=bucket, Key=object_key([record]), Body=body)
    day = day_prefix(received.date())

    def compacted() -> bool:
        # A scheduled run may hold the lease.
        aws.client("lambda").invoke(FunctionName="huntaze-stripe-compact-dev", Payload=b"{}")
        return len(s3.list_objects_v2(Bucket=bucket, Prefix=day)["Contents"]) == 1

    wait_for(compacted, "one object of three")
    (found,) = s3.list_objects_v2(Bucket=bucket, Prefix=day)["Contents"]
    body = s3.get_object(Bucket=bucket, Key=found["Key"])["Body"].read()
    assert gzip.decompress(body).decode().splitlines() == [record.line for record in records]


def test_nothing_is_served_without_tls(pipeline: Pipeline) -> None:
    aws = pipeline.deployment.services.aws
    whoever = session(aws, role(aws, "without-tls", EVERYTHING))

    def plain(service: str) -> Any:
        client = whoever.client(service)
        client.meta.events.register("before-sign", without_tls)
        return client

    sqs, bucket = plain("sqs"), pipeline.deployment.outputs.ledger_bucket
    topic = f"arn:aws:sns:{aws.region}:{ACCOUNT}:huntaze-stripe-alerts-dev"
    calls: list[Callable[[], Any]] = [
        *(partial(sqs.purge_queue, QueueUrl=url) for url in pipeline.deployment.outputs.queues.values()),
        partial(plain("s3").list_objects_v2, Bucket=bucket),
        partial(plain("s3").get_object, Bucket=bucket, Key="audit/any"),
        partial(plain("sns").publish, TopicArn=topic, Message="x"),
    ]
    for call in calls:
        with pytest.raises(ClientError, match=r"AccessDenied|AuthorizationError"):
            call()
    assert whoever.client("s3").list_objects_v2(Bucket=bucket)["KeyCount"]


def without_tls(request: AWSRequest, **_: Any) -> None:
    """Say that the connection has no TLS, as a proxy does."""
    request.headers.add_header("X-Forwarded-Proto", "http")


def test_each_action_of_each_statement_is_needed(pipeline: Pipeline) -> None:
    statements = granted(stack(pipeline))
    wanted = {
        (each.place.replace("ACCOUNT", ACCOUNT), each.sid, action)
        for each in statements
        for action in each.actions
        if (each.sid, action) not in NOT_EXERCISED
    }
    needed = {(place, sid, action) for place, sid, action, _ in uses(pipeline)}
    superfluous = [
        one
        for one in sorted(wanted)
        if not any(one[:2] == other[:2] and fnmatchcase(other[2], one[2]) for other in needed)
    ]
    assert not superfluous, "take the action out, or write down in ops/dev/permissions.py why it stays"
    assert {each.sid.rstrip("0123456789") for each in statements} <= set(PURPOSES)
    stale = {one for one in NOT_EXERCISED if one in {(sid, action) for _, sid, action in needed}}
    assert not stale, "a call needs it: take it out of NOT_EXERCISED"


def test_each_of_several_resources_and_services_of_a_statement_is_needed(pipeline: Pipeline) -> None:
    found: dict[tuple[str, str], set[str]] = {}
    for place, sid, _, part in uses(pipeline):
        if part:
            found.setdefault((place, sid), set()).add(part)
    for each in granted(stack(pipeline)):
        several = [parts for parts in (each.resources, each.principal.split(", ")) if len(parts) > 1]
        expected = [part for parts in several for part in parts if (each.sid, part) not in NOT_EXERCISED]
        used = found.get((each.place.replace("ACCOUNT", ACCOUNT), each.sid), set())
        assert len(used) == len(expected), f"{each.place}, {each.sid}: of {several} a call needs {used}"


def uses(pipeline: Pipeline) -> set[tuple[str, str, str, str]]:
    """Return place, Sid, action, and the resource or service of several, on which a decision rests."""
    aws = pipeline.deployment.services.aws
    # Terraform may create a log group before the key has its alias; the key's id is its name until then.
    aliases = {
        f"key {each['TargetKeyId']}": f"key {each['AliasName'].removeprefix('alias/')}"
        for each in aws.client("kms").list_aliases()["Aliases"]
    }
    return {
        (aliases.get(place, place), sid, call["action"], part)
        for call in decided_calls(aws)
        for place, sid, part in call["needs"]
    }


def test_no_call_of_the_pipeline_was_refused_but_for_those_of_the_tests_here(pipeline: Pipeline) -> None:
    refused = refused_calls(pipeline.deployment.services.aws)
    own = [
        each for each in refused if "assumed-role/huntaze-stripe-" in each.caller or ":" not in each.caller
    ]
    expected = {
        (AUDIT, "s3:PutObject"),
        ("events.amazonaws.com", "kms:GenerateDataKey"),
        # From the archive, which uses the same statement of the key's policy.
        ("events.amazonaws.com", "kms:Decrypt"),
    }
    unexpected = [each for each in own if (each.caller, each.action) not in expected]
    assert not unexpected
