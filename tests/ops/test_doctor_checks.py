"""Checks of `doctor` on an account that lacks what they look at, or holds it in another form."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from functions.shared import names
from infra.names import archive_name
from ops import environment as environments
from ops.doctor.check import Finding, Status
from ops.doctor.checks import CHECKS
from ops.doctor.context import Context
from ops.doctor.expected import ExpectedRule
from ops.doctor.run import made_by
from tests.ops.conftest import SOURCE
from tests.ops.dead_letters import World, full

ACCOUNT = "000000000000"
TOPIC = f"arn:aws:sns:eu-west-1:{ACCOUNT}:huntaze-stripe-alerts-dev"
STATE_BUCKET = "huntaze-stripe-terraform-state"
STATE = "huntaze-stripe-dev/terraform.tfstate"
METRIC = "aws_cloudwatch_metric_alarm"
COMPOSITE = "aws_cloudwatch_composite_alarm"
# Nobody listens there.
NOWHERE = "http://127.0.0.1:1"
EVERY = {check.name: check for check in CHECKS}


def look(name: str) -> Finding:
    """Make one check as the command does."""
    return made_by(EVERY[name], now())


def now() -> Context:
    """Return what a doctor that starts now knows."""
    return Context(environments.connect("dev", bus=False, check_account=False), datetime.now(UTC))


def store(world: World, key: str, value: str) -> None:
    """Put a value into the secret of a key, as a deploy does."""
    client = world.aws.client("secretsmanager")
    name = names.SECRET_NAMES[key].format(environment="dev")
    text = json.dumps({key: value})
    try:
        client.create_secret(Name=name, SecretString=text)
    except client.exceptions.ResourceExistsException:
        client.put_secret_value(SecretId=name, SecretString=text)


@pytest.mark.parametrize(
    ("check", "key", "deployed", "exported", "text"),
    [
        ("Stripe key", names.STRIPE_SECRET_KEY, "sk_live_deployed", "sk_test_exported", "is a live key"),
        ("ledger database", names.DATABASE_URL, "mysql://deployed", "", "it is not a PostgreSQL URL"),
        ("ledger database", names.DATABASE_URL, "", "mysql://exported", "none: the ledger is in S3 alone"),
    ],
)
def test_the_deployed_value_is_checked_and_not_the_exported_one(
    person: pytest.MonkeyPatch, world: World, check: str, key: str, deployed: str, exported: str, text: str
) -> None:
    person.setenv("STRIPE_API_URL", NOWHERE)
    store(world, key, deployed)
    person.setenv(key, exported)
    found = look(check)
    assert text in found.text, found


def test_a_deployed_value_that_cannot_be_read_is_not_replaced_by_the_exported_one(
    person: pytest.MonkeyPatch, world: World
) -> None:
    store(world, names.STRIPE_SECRET_KEY, "sk_test_deployed")
    secret = names.SECRET_NAMES[names.STRIPE_SECRET_KEY].format(environment="dev")
    world.aws.client("secretsmanager").delete_secret(SecretId=secret, ForceDeleteWithoutRecovery=True)
    person.setenv("STRIPE_API_URL", NOWHERE)
    person.setenv(names.STRIPE_SECRET_KEY, "sk_test_exported")
    found = look("Stripe key")
    assert (found.status, f"the secret {secret} does not exist" in found.text) == (Status.FAIL, True), found


def resource(kind: str, name: str, **actions: Any) -> dict[str, Any]:
    """An alarm as Terraform's state has it."""
    attributes = {"alarm_name": name, "alarm_actions": None, "ok_actions": None, **actions}
    return {"type": kind, "instances": [{"attributes": attributes}]}


DEPLOYED = [
    resource(METRIC, "huntaze-stripe-errors-dev", alarm_actions=[TOPIC], ok_actions=[]),
    resource(METRIC, "huntaze-stripe-errors-since-dev"),
    resource(COMPOSITE, "huntaze-stripe-unhealthy-dev", ok_actions=[TOPIC]),
]


def write_state(world: World, text: str) -> None:
    """Put the Terraform state of dev."""
    s3 = world.aws.client("s3")
    with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=STATE_BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket=STATE_BUCKET, Key=STATE, Body=text)


@pytest.fixture
def alarmed(person: pytest.MonkeyPatch, world: World) -> Iterator[Any]:
    """The alarms of DEPLOYED, one of an environment eu-dev that is on, and CloudWatch."""
    del person
    write_state(world, json.dumps({"resources": DEPLOYED, "outputs": {}}))
    cloudwatch = world.aws.client("cloudwatch")
    put(cloudwatch, "huntaze-stripe-errors-dev", AlarmActions=[TOPIC])
    put(cloudwatch, "huntaze-stripe-errors-since-dev")
    put(cloudwatch, "huntaze-stripe-errors-eu-dev", AlarmActions=[TOPIC])
    cloudwatch.set_alarm_state(
        AlarmName="huntaze-stripe-errors-eu-dev", StateValue="ALARM", StateReason="a test"
    )
    rule = 'ALARM("huntaze-stripe-errors-dev")'
    name = "huntaze-stripe-unhealthy-dev"
    cloudwatch.put_composite_alarm(AlarmName=name, AlarmRule=rule, OKActions=[TOPIC])
    yield cloudwatch
    # CloudWatch deletes no alarm that a composite alarm names.
    for kind in ("CompositeAlarm", "MetricAlarm"):
        found = cloudwatch.describe_alarms(AlarmTypes=[kind])[f"{kind}s"]
        cloudwatch.delete_alarms(AlarmNames=[each["AlarmName"] for each in found])


def put(cloudwatch: Any, name: str, **actions: Any) -> None:
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace="AWS/Lambda",
        MetricName="Errors",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
        **actions,
    )


def test_alarms_of_another_environment_are_its_own(alarmed: Any) -> None:
    del alarmed
    found = look("alarms")
    assert (found.status, found.text) == (Status.PASS, "3 alarms, none is on")


def test_an_alarm_of_the_state_that_is_gone_is_missed(alarmed: Any) -> None:
    alarmed.delete_alarms(AlarmNames=["huntaze-stripe-unhealthy-dev"])
    alarmed.delete_alarms(AlarmNames=["huntaze-stripe-errors-since-dev"])
    found = look("alarms")
    expected = [f"huntaze-stripe-{each}-dev does not exist" for each in ("errors-since", "unhealthy")]
    assert (found.status, sorted(found.names), found.next) == (Status.FAIL, expected, "make deploy ENV=dev")


def test_an_alarm_that_lost_its_actions_is_seen(alarmed: Any) -> None:
    put(alarmed, "huntaze-stripe-errors-dev")
    found = look("alarms")
    text = "huntaze-stripe-errors-dev notifies nobody: it lost its actions"
    assert (found.status, found.text, found.next) == (Status.FAIL, text, "make deploy ENV=dev")


def test_a_composite_alarm_that_lost_its_actions_is_seen(alarmed: Any) -> None:
    name = "huntaze-stripe-unhealthy-dev"
    alarmed.put_composite_alarm(AlarmName=name, AlarmRule='ALARM("huntaze-stripe-errors-dev")')
    found = look("alarms")
    text = f"{name} notifies nobody: it lost its actions"
    assert (found.status, found.text, found.next) == (Status.FAIL, text, "make deploy ENV=dev")


@pytest.mark.parametrize(
    ("check", "settings", "text"),
    [
        ("subscriptions", {}, "huntaze-stripe-alerts-dev does not exist: no alarm reaches anybody"),
        (
            "key policy",
            {"CREATE_KMS_KEY": "true"},
            "alias/huntaze-stripe-events-dev does not exist: nothing can be encrypted or read",
        ),
    ],
)
def test_what_is_not_deployed_fails_with_the_deploy(
    person: pytest.MonkeyPatch, check: str, settings: dict[str, str], text: str
) -> None:
    for variable, value in settings.items():
        person.setenv(variable, value)
    found = look(check)
    assert (found.status, found.text, found.next) == (Status.FAIL, text, "make deploy ENV=dev")


@pytest.fixture
def ruled(person: pytest.MonkeyPatch, world: World) -> Iterator[Any]:
    """The bus, its archive and its rules as a deploy leaves them; EventBridge."""
    person.setenv("BUS_LOGS", "true")
    events = world.aws.client("events")
    events.create_partner_event_source(Name=SOURCE, Account=ACCOUNT)
    bus = events.create_event_bus(Name=SOURCE, EventSourceName=SOURCE)["EventBusArn"]
    archive = {"ArchiveName": archive_name("dev", SOURCE), "EventSourceArn": bus}
    events.create_archive(**archive, RetentionDays=30)
    rules = now().rules()
    for rule in rules:
        events.put_rule(Name=rule.name, EventBusName=SOURCE, EventPattern=rule.pattern)
        put_target(events, rule)
    yield events
    for rule in rules:
        found = events.list_targets_by_rule(Rule=rule.name, EventBusName=SOURCE)["Targets"]
        events.remove_targets(Rule=rule.name, EventBusName=SOURCE, Ids=[each["Id"] for each in found])
        events.delete_rule(Name=rule.name, EventBusName=SOURCE)
    events.delete_archive(ArchiveName=archive["ArchiveName"])
    events.delete_event_bus(Name=SOURCE)
    events.delete_partner_event_source(Name=SOURCE, Account=ACCOUNT)


def put_target(events: Any, rule: ExpectedRule, **changes: Any) -> None:
    """Give a rule its target as the stack does, with changes."""
    target = {
        "Id": "target",
        "Arn": rule.target_arn,
        "DeadLetterConfig": {"Arn": f"arn:aws:sqs:eu-west-1:{ACCOUNT}:{full(rule.dead_letter)}"},
        "RetryPolicy": {"MaximumEventAgeInSeconds": 86_400, "MaximumRetryAttempts": 185},
        **({"SqsParameters": {"MessageGroupId": rule.group}} if rule.group else {}),
        **changes,
    }
    events.put_targets(Rule=rule.name, EventBusName=SOURCE, Targets=[target])


def test_rules_targets_and_archive_of_a_deploy_pass(ruled: Any) -> None:
    del ruled
    assert [look(name).status for name in ("rules", "targets", "archive")] == [Status.PASS] * 3


@pytest.mark.parametrize(
    ("part", "step"),
    [
        (
            "payments",
            "huntaze-stripe resume payments --env dev && "
            "huntaze-stripe reconcile --since 30d --heal --env dev",
        ),
        (
            "audit-billing",
            "make deploy ENV=dev && huntaze-stripe reconcile --since 30d --all-types --heal --env dev",
        ),
        ("log", "make deploy ENV=dev"),
    ],
)
def test_a_rule_that_somebody_disabled_is_enabled_and_its_gap_closed(
    ruled: Any, part: str, step: str
) -> None:
    ruled.disable_rule(Name=f"huntaze-stripe-{part}-dev", EventBusName=SOURCE)
    found = look("rules")
    text = f"huntaze-stripe-{part}-dev is disabled, and nobody noted since when"
    assert (found.status, found.text, found.next) == (Status.FAIL, text, step)


@pytest.mark.parametrize(
    "pattern",
    [{"source": ["another"]}, {"detail": {"livemode": [True]}}, {"detail-type": [{"prefix": "invoice."}]}],
)
def test_an_archive_with_any_pattern_leaves_out_events(ruled: Any, pattern: dict[str, Any]) -> None:
    ruled.update_archive(ArchiveName=archive_name("dev", SOURCE), EventPattern=json.dumps(pattern))
    found = look("archive")
    assert (found.status, "its pattern leaves out events" in found.text) == (Status.FAIL, True), found


def test_a_rule_with_one_more_kind_of_match_has_another_pattern(ruled: Any) -> None:
    rule = now().rules()[0]
    pattern = json.loads(rule.pattern)
    pattern["detail-type"].append({"prefix": "customer."})
    ruled.put_rule(Name=rule.name, EventBusName=SOURCE, EventPattern=json.dumps(pattern))
    found = look("rules")
    assert (found.status, found.text) == (Status.FAIL, f"{rule.name} has another pattern")


def test_the_order_of_a_pattern_says_nothing(ruled: Any) -> None:
    rule = now().rules()[0]
    pattern = json.loads(rule.pattern)
    pattern["detail-type"].reverse()
    ruled.put_rule(Name=rule.name, EventBusName=SOURCE, EventPattern=json.dumps(pattern))
    assert look("rules").status is Status.PASS


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"RetryPolicy": {"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 0}},
            "gives up after 60 seconds and 0 retries, not 86400 and 185",
        ),
        ({"Input": "{}"}, "sends another text than the event: Input is set"),
        ({"InputPath": "$.detail"}, "sends another text than the event: InputPath is set"),
        (
            {"InputTransformer": {"InputPathsMap": {}, "InputTemplate": '"x"'}},
            "sends another text than the event: InputTransformer is set",
        ),
    ],
)
def test_a_target_that_sends_otherwise_is_seen(ruled: Any, changes: dict[str, Any], text: str) -> None:
    rule = now().rules()[0]
    put_target(ruled, rule, **changes)
    found = look("targets")
    assert (found.status, found.text) == (Status.FAIL, f"{rule.name} {text}")
    assert found.next == "make deploy ENV=dev"


def test_a_second_target_is_removed_by_its_id(ruled: Any) -> None:
    rule = now().rules()[0]
    put_target(ruled, rule, Id="second")
    found = look("targets")
    step = f"aws events remove-targets --rule {rule.name} --event-bus-name {SOURCE} --ids second"
    assert (found.status, found.next) == (Status.WARN, f"{step} --region eu-west-1"), found


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"resources": 1, "outputs": {}}', '{"resources": []}', "\x00"]
)
def test_a_corrupt_state_fails_with_the_reason(person: pytest.MonkeyPatch, world: World, text: str) -> None:
    del person
    write_state(world, text)
    for name in ("region", "function code", "alarms"):
        found = look(name)
        reason = f"the Terraform state of dev in {STATE_BUCKET} is corrupt ("
        assert (found.status, found.text.startswith(reason)) == (Status.FAIL, True), found
        assert found.next == (
            f"aws s3api list-object-versions --bucket {STATE_BUCKET} --prefix {STATE} --region eu-west-1"
        )


def test_a_corrupt_policy_fails_with_the_reason(person: pytest.MonkeyPatch, world: World) -> None:
    del person
    name = "audit-dlq.fifo"
    attributes = {"RedriveAllowPolicy": "{"}
    world.sqs.set_queue_attributes(QueueUrl=world.urls[name], Attributes=attributes)
    try:
        found = look("queue policies")
    finally:
        world.sqs.set_queue_attributes(QueueUrl=world.urls[name], Attributes={"RedriveAllowPolicy": ""})
    assert found.status is Status.FAIL
    assert "is not the JSON that it documents (Expecting property name" in found.text


def test_a_key_that_will_be_deleted_has_the_commands_that_keep_it(
    person: pytest.MonkeyPatch, world: World
) -> None:
    person.setenv("CREATE_KMS_KEY", "true")
    kms = world.aws.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/huntaze-stripe-events-dev", TargetKeyId=key)
    of_key = f"--key-id {key} --region eu-west-1"
    try:
        kms.disable_key(KeyId=key)
        disabled = look("key policy")
        kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
        pending = look("key policy")
    finally:
        kms.delete_alias(AliasName="alias/huntaze-stripe-events-dev")
    assert (disabled.status, disabled.next) == (Status.FAIL, f"aws kms enable-key {of_key}")
    commands = f"aws kms cancel-key-deletion {of_key} && aws kms enable-key {of_key}"
    assert (pending.status, pending.next) == (Status.FAIL, commands)


def test_a_lock_has_the_command_that_removes_it(person: pytest.MonkeyPatch, world: World) -> None:
    del person
    write_state(world, "{}")
    s3 = world.aws.client("s3")
    s3.put_object(Bucket=STATE_BUCKET, Key=f"{STATE}.tflock", Body=json.dumps({"ID": "1-2", "Who": "ci"}))
    try:
        found = look("state lock")
    finally:
        s3.delete_object(Bucket=STATE_BUCKET, Key=f"{STATE}.tflock")
    unlock = "terraform -chdir=cdktf.out/stacks/huntaze-stripe-dev force-unlock 1-2"
    assert (found.status, found.next) == (Status.WARN, unlock)
