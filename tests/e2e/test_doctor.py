"""`doctor` on the deployed pipeline: it passes, and each check fails when what it looks at is broken."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ops import environment as environments
from ops.doctor.check import Check, Status
from ops.doctor.checks import CHECKS, FIRST
from ops.doctor.context import Context
from ops.doctor.run import made_by, run
from ops.local import drive
from ops.local.deployment import EVENT_SOURCE, shell_exports
from tests.e2e.pipeline import Command, Pipeline, fresh, sample, target_gone, wait_for
from tests.emulator.roles import ACCOUNT, operator, session

STATE_BUCKET = "huntaze-stripe-terraform-state"
STATE = "huntaze-stripe-dev/terraform.tfstate"
SECRET = "huntaze/stripe-eventbridge/dev"
PAYMENTS = "huntaze-stripe-payments-dev"
AUDIT_QUEUE = "huntaze-stripe-events-dev.fifo"
EVERY = {check.name: check for check in (*FIRST, *CHECKS)}
Broken = AbstractContextManager[None]
Break = Callable[[Pipeline], Broken]


@pytest.fixture
def person(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An administrator whose settings leave nothing to warn of."""
    for name, value in shell_exports(pipeline.deployment).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ACCOUNT_ID", ACCOUNT)
    monkeypatch.setenv("ALERT_EMAILS", "none")
    monkeypatch.delenv("COLUMNS", raising=False)
    return monkeypatch


@pytest.fixture
def healthy(pipeline: Pipeline) -> None:
    """Empty the dead-letter queues."""
    for queue in pipeline.deployment.outputs.queues:
        if "dlq" in queue:
            pipeline.messages(queue)


def ringing(pipeline: Pipeline) -> set[str]:
    """Return the alarms that are on and notify: those of earlier tests, or of a busy machine."""
    cloudwatch = pipeline.deployment.services.aws.client("cloudwatch")
    on = cloudwatch.describe_alarms(StateValue="ALARM", AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    found = [*on["MetricAlarms"], *on["CompositeAlarms"]]
    return {f"{alarm['AlarmName']} is on" for alarm in found if alarm["AlarmActions"]}


def context(*, later: timedelta = timedelta(0)) -> Context:
    environment = environments.connect("dev", bus=False, check_account=False)
    return Context(environment, datetime.now(UTC) + later)


def test_everything_passes_under_the_rights_of_the_command(
    person: pytest.MonkeyPatch, pipeline: Pipeline, healthy: None, command: Command
) -> None:
    del healthy
    person.setenv("STRIPE_API_URL", pipeline.deployment.services.stripe_url)
    before = ringing(pipeline)
    done = command("doctor", "--json")
    found = {each["check"]: each for each in json.loads(done.out)["checks"]}
    assert list(found) == list(EVERY)
    alarms = found.pop("alarms")
    assert [(each["check"], each["found"]) for each in found.values() if each["status"] != "pass"] == []
    assert set(alarms["names"]) <= before | ringing(pipeline)
    assert (alarms["status"], done.code) == (("fail", 1) if alarms["names"] else ("pass", 0))


def test_what_is_broken_is_shown_with_the_next_step(
    person: pytest.MonkeyPatch, pipeline: Pipeline, healthy: None, command: Command
) -> None:
    del healthy
    person.setenv("STRIPE_API_URL", pipeline.deployment.services.stripe_url)
    with paused_rule(pipeline), parked_message(pipeline):
        done = command("doctor")
    assert done.code == 1
    assert f"{PAYMENTS} is disabled" in done.out
    assert "payments-dlq: 1 message" in done.out
    assert "next for rules: huntaze-stripe resume payments --env dev && huntaze-stripe reconcile" in done.out
    assert max(map(len, done.out.splitlines())) <= 140


@contextmanager
def paused_rule(pipeline: Pipeline) -> Iterator[None]:
    events = pipeline.deployment.services.aws.client("events")
    names = {"Name": PAYMENTS, "EventBusName": EVENT_SOURCE}
    events.disable_rule(**names)
    try:
        yield
    finally:
        events.enable_rule(**names)


@contextmanager
def parked_message(pipeline: Pipeline) -> Iterator[None]:
    queue = "huntaze-stripe-payments-dlq-dev"
    pipeline.deployment.services.aws.client("sqs").send_message(
        QueueUrl=pipeline.deployment.outputs.queues[queue], MessageBody="{}"
    )
    try:
        yield
    finally:
        pipeline.messages(queue)


@contextmanager
def narrowed_rule(pipeline: Pipeline) -> Iterator[None]:
    events = pipeline.deployment.services.aws.client("events")
    names = {"Name": PAYMENTS, "EventBusName": EVENT_SOURCE}
    before = events.describe_rule(**names)["EventPattern"]
    pattern = json.loads(before)
    pattern["detail-type"].remove("charge.failed")
    events.put_rule(**names, EventPattern=json.dumps(pattern))
    try:
        yield
    finally:
        events.put_rule(**names, EventPattern=before)


@contextmanager
def held_lock(pipeline: Pipeline) -> Iterator[None]:
    s3 = pipeline.deployment.services.aws.client("s3")
    name = {"Bucket": STATE_BUCKET, "Key": f"{STATE}.tflock"}
    s3.put_object(
        **name, Body=json.dumps({"ID": "1-2", "Who": "ci@runner", "Operation": "OperationTypeApply"})
    )
    try:
        yield
    finally:
        s3.delete_object(**name)


def unversioned(bucket: str) -> Break:
    @contextmanager
    def broken(pipeline: Pipeline) -> Iterator[None]:
        s3 = pipeline.deployment.services.aws.client("s3")
        name = bucket.format(account=ACCOUNT)
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Suspended"})
        try:
            yield
        finally:
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})

    return broken


def changed_state(change: Callable[[dict[str, Any]], None]) -> Break:
    @contextmanager
    def broken(pipeline: Pipeline) -> Iterator[None]:
        s3 = pipeline.deployment.services.aws.client("s3")
        before = s3.get_object(Bucket=STATE_BUCKET, Key=STATE)["Body"].read()
        document = json.loads(before)
        change(document)
        s3.put_object(Bucket=STATE_BUCKET, Key=STATE, Body=json.dumps(document))
        try:
            yield
        finally:
            s3.put_object(Bucket=STATE_BUCKET, Key=STATE, Body=before)

    return broken


def _other_code(document: dict[str, Any]) -> None:
    for resource in document["resources"]:
        if resource["type"] == "aws_lambda_function":
            resource["instances"][0]["attributes"]["source_code_hash"] = "another"


def _older_module(document: dict[str, Any]) -> None:
    document["outputs"]["code"]["value"]["functions.payments"] = "00000000"


@contextmanager
def disabled_destination(pipeline: Pipeline) -> Iterator[None]:
    del pipeline
    found = context().destination()
    found.disable()
    try:
        yield
    finally:
        found.enable()


def fewer_types(lacking: str) -> Break:
    @contextmanager
    def broken(pipeline: Pipeline) -> Iterator[None]:
        del pipeline
        found = context().destination()
        types = [each for each in found.wanted.event_types("snapshot") if each != lacking]
        destination = found.its_own
        found.api.update(
            destination.id, name=destination.name, metadata=destination.metadata, event_types=types
        )
        try:
            yield
        finally:
            found.update()

    return broken


@contextmanager
def shorter_archive(pipeline: Pipeline) -> Iterator[None]:
    events = pipeline.deployment.services.aws.client("events")
    name = pipeline.deployment.outputs.archive_arn.rpartition("/")[2]
    events.update_archive(ArchiveName=name, RetentionDays=3)
    try:
        yield
    finally:
        events.update_archive(ArchiveName=name, RetentionDays=30)


@contextmanager
def uninvocable(pipeline: Pipeline) -> Iterator[None]:
    client = pipeline.deployment.services.aws.client("lambda")
    [statement] = json.loads(client.get_policy(FunctionName=PAYMENTS)["Policy"])["Statement"]
    client.remove_permission(FunctionName=PAYMENTS, StatementId=statement["Sid"])
    try:
        yield
    finally:
        [source] = statement["Condition"]["ArnLike"].values()
        client.add_permission(
            FunctionName=PAYMENTS,
            StatementId=statement["Sid"],
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
            SourceArn=source,
        )


def queue_policy(change: Callable[[dict[str, Any]], None]) -> Break:
    @contextmanager
    def broken(pipeline: Pipeline) -> Iterator[None]:
        sqs = pipeline.deployment.services.aws.client("sqs")
        url = pipeline.deployment.outputs.queues["huntaze-stripe-payments-dlq-dev"]
        before = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"]
        document = json.loads(before)
        change(document)
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(document)})
        try:
            yield
        finally:
            sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": before})

    return broken


def _no_statement(document: dict[str, Any]) -> None:
    document["Statement"] = [each for each in document["Statement"] if each["Effect"] == "Deny"]


def _for_every_rule(document: dict[str, Any]) -> None:
    for each in document["Statement"]:
        if each["Effect"] == "Allow":
            each.pop("Condition")


def _for_anyone(document: dict[str, Any]) -> None:
    (allowed,) = [each for each in document["Statement"] if each["Effect"] == "Allow"]
    document["Statement"].append({**allowed, "Sid": "Anyone", "Principal": {"AWS": "*"}, "Condition": {}})


def _without_tls(document: dict[str, Any]) -> None:
    document["Statement"] = [each for each in document["Statement"] if each["Effect"] == "Allow"]


@contextmanager
def closed_topic(pipeline: Pipeline) -> Iterator[None]:
    sns, arn = (
        pipeline.deployment.services.aws.client("sns"),
        f"arn:aws:sns:eu-west-1:{ACCOUNT}:huntaze-stripe-alerts-dev",
    )
    before = sns.get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"]
    document = json.loads(before)
    _no_statement(document)
    sns.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=json.dumps(document))
    try:
        yield
    finally:
        sns.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=before)


@contextmanager
def closed_key(pipeline: Pipeline) -> Iterator[None]:
    kms = pipeline.deployment.services.aws.client("kms")
    id_ = kms.describe_key(KeyId="alias/huntaze-stripe-events-dev")["KeyMetadata"]["KeyId"]
    before = kms.get_key_policy(KeyId=id_, PolicyName="default")["Policy"]
    document = json.loads(before)
    document["Statement"] = [each for each in document["Statement"] if each["Sid"] != "EventBridgeSends"]
    kms.put_key_policy(KeyId=id_, PolicyName="default", Policy=json.dumps(document))
    try:
        yield
    finally:
        kms.put_key_policy(KeyId=id_, PolicyName="default", Policy=before)


def secret(name: str, key: str, value: str) -> Break:
    @contextmanager
    def broken(pipeline: Pipeline) -> Iterator[None]:
        client = pipeline.deployment.services.aws.client("secretsmanager")
        deployed = client.get_secret_value(SecretId=name)["VersionId"]
        broken = client.put_secret_value(SecretId=name, SecretString=json.dumps({key: value}))["VersionId"]
        try:
            yield
        finally:
            # The version that Terraform wrote: a third one would make it one to delete, and to deploy again.
            client.update_secret_version_stage(
                SecretId=name,
                VersionStage="AWSCURRENT",
                RemoveFromVersionId=broken,
                MoveToVersionId=deployed,
            )

    return broken


@contextmanager
def no_destination(pipeline: Pipeline) -> Iterator[None]:
    client = pipeline.deployment.services.aws.client("lambda")
    found = client.get_function_event_invoke_config(FunctionName=PAYMENTS)
    limits = {name: found[name] for name in ("MaximumRetryAttempts", "MaximumEventAgeInSeconds")}
    client.put_function_event_invoke_config(FunctionName=PAYMENTS, **limits)
    try:
        yield
    finally:
        client.put_function_event_invoke_config(
            FunctionName=PAYMENTS, **limits, DestinationConfig=found["DestinationConfig"]
        )


@contextmanager
def no_redrive(pipeline: Pipeline) -> Iterator[None]:
    sqs, url = pipeline.deployment.services.aws.client("sqs"), pipeline.deployment.outputs.queues[AUDIT_QUEUE]
    before = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": ""})
    try:
        yield
    finally:
        sqs.set_queue_attributes(QueueUrl=url, Attributes=before)


@contextmanager
def no_concurrency(pipeline: Pipeline) -> Iterator[None]:
    client = pipeline.deployment.services.aws.client("lambda")
    client.put_function_concurrency(FunctionName=PAYMENTS, ReservedConcurrentExecutions=0)
    try:
        yield
    finally:
        client.delete_function_concurrency(FunctionName=PAYMENTS)


@contextmanager
def paused_audit(pipeline: Pipeline) -> Iterator[None]:
    client = pipeline.deployment.services.aws.client("lambda")
    [mapping] = client.list_event_source_mappings(FunctionName="huntaze-stripe-audit-dev")[
        "EventSourceMappings"
    ]
    client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    try:
        yield
    finally:
        client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)


@contextmanager
def waiting_event(pipeline: Pipeline) -> Iterator[None]:
    with paused_audit(pipeline):
        event = fresh(sample("current", "invoice.paid"), "evt_doctorWaits")
        drive.send(pipeline.deployment.services.aws, EVENT_SOURCE, [event])
        depth = pipeline.observer.queue_depths
        wait_for(lambda: depth()[AUDIT_QUEUE] > 0, "the event waits for the audit")
        yield


@contextmanager
def unconfirmed(pipeline: Pipeline) -> Iterator[None]:
    sns = pipeline.deployment.services.aws.client("sns")
    topic = f"arn:aws:sns:eu-west-1:{ACCOUNT}:huntaze-stripe-alerts-dev"
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint="http://127.0.0.1:1/alarms")
    try:
        yield
    finally:
        for each in sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]:
            sns.unsubscribe(SubscriptionArn=each["SubscriptionArn"])


@contextmanager
def silenced(pipeline: Pipeline) -> Iterator[None]:
    cloudwatch = pipeline.deployment.services.aws.client("cloudwatch")
    cloudwatch.disable_alarm_actions(AlarmNames=["huntaze-stripe-payments-errors-dev"])
    try:
        yield
    finally:
        cloudwatch.enable_alarm_actions(AlarmNames=["huntaze-stripe-payments-errors-dev"])


@contextmanager
def everlasting(pipeline: Pipeline) -> Iterator[None]:
    dynamodb = pipeline.deployment.services.aws.client("dynamodb")
    name = "huntaze-stripe-idempotency-dev"

    def set_expiry(enabled: bool) -> None:
        expiry = {"Enabled": enabled, "AttributeName": "expiration"}
        dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=expiry)

    set_expiry(False)
    try:
        yield
    finally:
        set_expiry(True)


def answering(status: int) -> Break:
    @contextmanager
    def broken(pipeline: Pipeline) -> Iterator[None]:
        pipeline.fail(status=status)
        try:
            yield
        finally:
            pipeline.clear_faults()

    return broken


@contextmanager
def no_dead_letter_queue(pipeline: Pipeline) -> Iterator[None]:
    events = pipeline.deployment.services.aws.client("events")
    names = {"Rule": PAYMENTS, "EventBusName": EVENT_SOURCE}
    before = events.list_targets_by_rule(**names)["Targets"]
    bare = [{key: value for key, value in each.items() if key != "DeadLetterConfig"} for each in before]
    events.put_targets(**names, Targets=bare)
    try:
        yield
    finally:
        events.put_targets(**names, Targets=before)


BROKEN: list[tuple[str, Break, Status, str]] = [
    ("state versioning", unversioned(STATE_BUCKET), Status.FAIL, "suspended"),
    ("state lock", held_lock, Status.WARN, "OperationTypeApply by ci@runner"),
    ("event destination", disabled_destination, Status.FAIL, "disabled: somebody disabled it"),
    ("event types", fewer_types("invoice.paid"), Status.FAIL, "missing, routed: invoice.paid"),
    ("event types", fewer_types("balance.available"), Status.WARN, "for the ledger: balance.available"),
    ("archive", shorter_archive, Status.FAIL, "3 days, archive_retention_days = 30"),
    ("rules", paused_rule, Status.FAIL, f"{PAYMENTS} is disabled"),
    ("rules", narrowed_rule, Status.FAIL, f"{PAYMENTS} lacks charge.failed"),
    ("targets", target_gone, Status.FAIL, f"{PAYMENTS} does not send to function:{PAYMENTS}"),
    ("targets", no_dead_letter_queue, Status.FAIL, "to no queue of ours: it is lost"),
    ("permissions", uninvocable, Status.FAIL, f"{PAYMENTS} refuses {PAYMENTS}"),
    ("queue policies", queue_policy(_no_statement), Status.FAIL, f"payments-dlq-dev refuses {PAYMENTS}"),
    ("queue policies", queue_policy(_for_every_rule), Status.FAIL, "takes requests of any events resource"),
    ("queue policies", queue_policy(_for_anyone), Status.FAIL, "also takes requests of anyone"),
    ("queue policies", queue_policy(_without_tls), Status.FAIL, "takes requests without TLS"),
    ("topic policy", closed_topic, Status.FAIL, "the topic refuses"),
    ("key policy", closed_key, Status.FAIL, "the events queue refuses events.amazonaws.com"),
    (
        "secrets",
        secret(SECRET, "HUNTAZE_API_KEY", ""),
        Status.FAIL,
        "HUNTAZE_API_KEY is empty",
    ),
    (
        "Stripe key",
        secret(f"{SECRET}/stripe-secret-key", "STRIPE_SECRET_KEY", "sk_test_unknown"),
        Status.FAIL,
        "answered 401",
    ),
    (
        "Stripe key",
        secret(f"{SECRET}/stripe-secret-key", "STRIPE_SECRET_KEY", "sk_live_real"),
        Status.FAIL,
        "is a live key",
    ),
    (
        "ledger database",
        secret(f"{SECRET}/database-url", "DATABASE_URL", "postgresql://127.0.0.1:1/x"),
        Status.WARN,
        "not reachable",
    ),
    ("failure exits", no_destination, Status.FAIL, f"what fails in {PAYMENTS} goes nowhere"),
    ("failure exits", no_redrive, Status.FAIL, "can't store does not go to audit-dlq.fifo"),
    ("function code", changed_state(_other_code), Status.FAIL, "runs code that no deploy wrote"),
    ("function code", changed_state(_older_module), Status.WARN, "differs in 1 part: functions.payments"),
    ("concurrency", no_concurrency, Status.FAIL, f"{PAYMENTS} has 0 reserved executions"),
    ("paused", paused_audit, Status.WARN, "audit is paused"),
    ("subscriptions", unconfirmed, Status.WARN, "1 subscription not confirmed"),
    ("dead-letter queues", parked_message, Status.WARN, "payments-dlq: 1 message"),
    ("ledger bucket", unversioned("huntaze-stripe-ledger-dev-{account}"), Status.FAIL, "suspended"),
    ("idempotency", everlasting, Status.FAIL, "items never expire"),
    ("Huntaze API", answering(401), Status.FAIL, "answered 401"),
    ("Huntaze API", answering(503), Status.WARN, "answered 503"),
]


@pytest.mark.parametrize(("name", "break_it", "status", "text"), BROKEN)
def test_a_check_sees_what_is_broken(
    person: pytest.MonkeyPatch,
    pipeline: Pipeline,
    healthy: None,
    name: str,
    break_it: Break,
    status: Status,
    text: str,
) -> None:
    del person, healthy
    with break_it(pipeline):
        found = made_by(EVERY[name], context())
    assert (found.status, text in found.text) == (status, True), found
    assert found.next or name == "Huntaze API"
    restored = made_by(EVERY[name], context())
    assert restored.status is Status.PASS, restored


@pytest.mark.parametrize(
    ("name", "variables", "status", "text"),
    [
        ("credentials", {"AWS_ACCESS_KEY_ID": "AKIAUNKNOWN"}, Status.FAIL, "AWS refused the credentials"),
        ("account", {"AWS_ACCOUNT_ID": "111122223333"}, Status.FAIL, "aws_account_id = 111122223333"),
        ("account", {"AWS_ACCOUNT_ID": ""}, Status.WARN, "aws_account_id is empty"),
        ("region", {"AWS_REGION": "eu-central-1"}, Status.FAIL, "the stack is in eu-west-1"),
        ("state bucket", {"STATE_BUCKET": "somebody-elses-state"}, Status.FAIL, "does not exist"),
        ("Stripe key", {"STRIPE_SECRET_KEY": "sk_test_unknown"}, Status.PASS, "knows it"),
        ("event destination", {"THIN_EVENTS": "true"}, Status.PASS, "snapshot"),
        ("event types", {"LEDGER_EVENT_TYPES": "invoice.*"}, Status.WARN, "superfluous: account."),
        ("bus", {"CREATE_KMS_KEY": "false"}, Status.FAIL, "create_kms_key = false"),
        ("functions", {"LAMBDA_RUNTIME": "python3.11"}, Status.WARN, "lambda_runtime = python3.11"),
        ("concurrency", {"PAYMENTS_RESERVED_CONCURRENCY": "900"}, Status.PASS, "unreserved"),
        ("concurrency", {"PAYMENTS_RESERVED_CONCURRENCY": "5000"}, Status.FAIL, "has 900 left"),
        ("subscriptions", {"ALERT_EMAILS": "oncall@huntaze.com"}, Status.FAIL, "is not subscribed"),
        ("ledger database", {"DATABASE_URL": "postgresql://127.0.0.1:1/x"}, Status.PASS, "SELECT 1"),
        ("Huntaze API", {"HUNTAZE_API_URL": "http://127.0.0.1:1"}, Status.WARN, "did not answer"),
    ],
)
def test_a_check_holds_the_settings_against_what_is_deployed(
    person: pytest.MonkeyPatch, name: str, variables: dict[str, str], status: Status, text: str
) -> None:
    for variable, value in variables.items():
        person.setenv(variable, value)
    found = made_by(EVERY[name], context())
    assert (found.status, text in found.text) == (status, True), found


def test_thin_events_that_nobody_expects_are_seen(person: pytest.MonkeyPatch) -> None:
    session = context().destination()
    thin = session.api.create(
        name="thin",
        metadata={},
        account_id=ACCOUNT,
        region="eu-west-1",
        event_types=["v1.billing.meter.no_meter_found"],
        events_from=["@self"],
        payload="thin",
        api_version="",
    )
    person.setenv("STRIPE_EVENT_SOURCE_NAME", thin.source_name)
    person.setenv("THIN_EVENTS", "false")
    person.setenv("RECONCILE_ACCOUNTS", "all")
    try:
        found = made_by(EVERY["event destination"], context())
        person.setenv("THIN_EVENTS", "true")
        narrow = made_by(EVERY["event destination"], context())
    finally:
        session.api.delete(thin.id)
    lacks = "events_from is @self, but reconcile_accounts needs @accounts"
    thin_too = f"it sends thin events, but thin_events = false; {lacks}"
    assert (found.status, found.text) == (Status.FAIL, thin_too)
    assert (narrow.status, narrow.text) == (Status.FAIL, lacks)


def test_an_alarm_that_notifies_nobody_is_seen(person: pytest.MonkeyPatch, pipeline: Pipeline) -> None:
    del person
    text = "huntaze-stripe-payments-errors-dev notifies nobody: its actions are disabled"
    with silenced(pipeline):
        found = made_by(EVERY["alarms"], context())
    # Another one may be on because of an earlier test.
    assert (found.status, text in found.names) == (Status.FAIL, True), found
    assert text not in made_by(EVERY["alarms"], context()).names


def test_an_alarm_that_is_on_is_seen(person: pytest.MonkeyPatch, pipeline: Pipeline, healthy: None) -> None:
    del person, healthy
    on = "huntaze-stripe-payments-dlq-messages-dev is on"
    with parked_message(pipeline):
        wait_for(lambda: on in made_by(EVERY["alarms"], context()).names, on)


def test_an_event_that_waits_for_the_audit_is_seen(person: pytest.MonkeyPatch, pipeline: Pipeline) -> None:
    person.setenv("AUDIT_BACKLOG_MESSAGES", "1")
    with waiting_event(pipeline):
        found = made_by(EVERY["audit backlog"], context())
    assert (found.status, "1 events wait" in found.text) == (Status.FAIL, True), found


def test_an_old_message_is_urgent(person: pytest.MonkeyPatch, pipeline: Pipeline, healthy: None) -> None:
    del healthy
    person.setattr("ops.doctor.queues.URGENT_SECONDS", -1)
    with parked_message(pipeline):

        def is_urgent() -> bool:
            found = made_by(EVERY["dead-letter queues"], context())
            return found.status is Status.FAIL and "oldest" in found.text

        wait_for(is_urgent, "CloudWatch has the age of the message")


def test_a_pending_source_has_its_days_left(person: pytest.MonkeyPatch, pipeline: Pipeline) -> None:
    name = "aws.partner/stripe.com/ed_test_pending"
    events = pipeline.deployment.services.aws.client("events")
    events.create_partner_event_source(Name=name, Account=ACCOUNT)
    person.setenv("STRIPE_EVENT_SOURCE_NAME", name)
    try:
        early = made_by(EVERY["event source"], context())
        late = made_by(EVERY["event source"], context(later=timedelta(days=6)))
    finally:
        events.delete_partner_event_source(Name=name, Account=ACCOUNT)
    assert (early.status, "in 7.0 of 7 days" in early.text) == (Status.WARN, True)
    assert (late.status, "in 1.0 of 7 days" in late.text) == (Status.FAIL, True)
    gone = made_by(EVERY["event source"], context())
    assert (gone.status, "has no event source" in gone.text) == (Status.FAIL, True)


def test_without_rights_each_check_names_the_right(person: pytest.MonkeyPatch, pipeline: Pipeline) -> None:
    aws = pipeline.deployment.services.aws
    nobody = session(aws, operator(aws, "doctor-nobody", [])).credentials
    for name, value in nobody.environment().items():
        person.setenv(name, value)
    found = {each.check.name: each.finding for each in run(context())}
    # Stripe's key is exported for the calls of the destination, and the credentials need no right.
    free = {"credentials", "account", "event destination", "event types"}
    for name, finding in found.items():
        if name not in free:
            assert finding.status is Status.WARN, (name, finding)
            assert finding.text.startswith("not checked: needs "), (name, finding)


def test_without_aws_nothing_is_left_out(person: pytest.MonkeyPatch, command: Command) -> None:
    del command
    person.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    found = run(context())
    assert [each.check.name for each in found] == list(EVERY)
    assert [each.finding.status for each in found] == [Status.FAIL] + [Status.WARN] * (len(EVERY) - 1)
    assert all("does not answer" in each.finding.text for each in found)


def test_an_environment_that_is_not_deployed_says_what_to_do(
    person: pytest.MonkeyPatch, pipeline: Pipeline
) -> None:
    del pipeline
    person.setenv("STRIPE_EVENT_SOURCE_NAME", "aws.partner/stripe.com/ed_test_of_nobody")
    person.setenv("LIVEMODE", "false")
    environment = environments.connect("prod", bus=False, check_account=False)
    found = {each.check.name: each.finding for each in run(Context(environment, datetime.now(UTC)))}
    deploy = "make deploy ENV=prod"
    for name in (
        "bus",
        "archive",
        "rules",
        "functions",
        "ledger bucket",
        "idempotency",
        "dead-letter queues",
    ):
        assert found[name].status is Status.FAIL, (name, found[name])
        assert found[name].next == deploy, (name, found[name])
    assert found["event destination"].next == "huntaze-stripe destination create --env prod"


def test_a_defect_of_a_check_ends_in_one_line(person: pytest.MonkeyPatch) -> None:
    def look(_context: Context) -> Any:
        raise KeyError("missing")

    found = made_by(Check("odd", look), context())
    assert (found.status, "unexpected response" in found.text) == (Status.FAIL, True)
