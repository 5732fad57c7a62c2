"""The roles plan, refresh and deploy can do what their work needs, and need all that they can do.

The tests of this module follow each other, and `conftest.py` runs them last: at the end nothing is left.
In a run of several workers they have a deployment of their own.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from rich.console import Console

from infra.deployment_roles import DEPLOY, NOT_SHOWN, PLAN, POLICIES, REFRESH, Place
from infra.names import LEDGER_TABLE, PROJECT, database_name, stack_name
from ops.deploy import SavedPlan, Workspace, apply, plan_stack, synthesise
from ops.local import roles
from ops.local.clients import Aws
from ops.local.deployment import ENVIRONMENT, as_role
from ops.local.observer import decided_calls
from ops.progress import Steps
from tests.checkout import alone_in_checkout
from tests.e2e.pipeline import Command, Pipeline, fresh, run_ops, sample

pytestmark = pytest.mark.timeout(900)

# What the deployment, with everything on, has not yet.
MORE = {
    "ALERT_EMAILS": "on.call@huntaze.com",
    "AUDIT_BACKLOG_MESSAGES": "2000",
    "AUTO_REDRIVE_MINUTES": "9",
    "HEARTBEAT_MINUTES": "60",
    "LEDGER_EXPIRATION_DAYS": "400",
    "PAYMENTS_RESERVED_CONCURRENCY": "10",
}
# Not athena_table: a deploy destroys the database only if it is there at the end.
OFF = {
    "AUDIT_SECURITY_GROUP_IDS": "",
    "AUDIT_SUBNET_IDS": "",
    "AUTO_REDRIVE": "false",
    "BUS_LOGS": "false",
    "CREATE_KMS_KEY": "false",
    "LAMBDA_TRACING": "false",
    "LEDGER_COMPACTION": "false",
    "RECONCILE": "off",
}
# Terraform forgets it with the key: events that the bus could not encrypt may wait in it.
FORGOTTEN = f"huntaze-stripe-bus-dlq-{ENVIRONMENT}"
AUDIT = f"huntaze-stripe-audit-{ENVIRONMENT}"
STATE_BUCKET = "huntaze-stripe-terraform-state"
KEY = f"alias/huntaze-stripe-events-{ENVIRONMENT}"
# What the stack creates, as AWS lists it: service, operation, its arguments, and the key of the list.
LISTS: tuple[tuple[str, str, dict[str, Any], str], ...] = (
    ("lambda", "list_functions", {}, "Functions"),
    ("lambda", "list_event_source_mappings", {}, "EventSourceMappings"),
    ("sqs", "list_queues", {}, "QueueUrls"),
    ("events", "list_event_buses", {}, "EventBuses"),
    ("events", "list_archives", {}, "Archives"),
    ("scheduler", "list_schedules", {}, "Schedules"),
    ("dynamodb", "list_tables", {}, "TableNames"),
    ("secretsmanager", "list_secrets", {"IncludePlannedDeletion": True}, "SecretList"),
    ("cloudwatch", "describe_alarms", {"AlarmTypes": ["MetricAlarm"]}, "MetricAlarms"),
    ("cloudwatch", "describe_alarms", {"AlarmTypes": ["CompositeAlarm"]}, "CompositeAlarms"),
    ("cloudwatch", "list_dashboards", {}, "DashboardEntries"),
    ("sns", "list_topics", {}, "Topics"),
    ("logs", "describe_log_groups", {}, "logGroups"),
    ("logs", "describe_query_definitions", {}, "queryDefinitions"),
    ("iam", "list_roles", {}, "Roles"),
    ("s3", "list_buckets", {}, "Buckets"),
    ("glue", "get_databases", {}, "DatabaseList"),
)
# What was there before: the default event bus, and the bucket of the Terraform state.
KEPT = {"Buckets": [STATE_BUCKET], "EventBuses": ["default"]}


def listed(aws: Aws) -> dict[str, list[Any]]:
    """Return everything that AWS lists, by the key of its list; names only for lists that stay filled."""
    found: dict[str, list[Any]] = {}
    for service, operation, arguments, key in LISTS:
        items = getattr(aws.client(service), operation)(**arguments).get(key, [])
        found[key] = [item["Name"] for item in items] if key in KEPT else items
    # Others are of the tests and of who deploys.
    found["Roles"] = [each for each in found["Roles"] if each["RoleName"].startswith(PROJECT)]
    return found


@pytest.fixture
def place(pipeline: Pipeline) -> Place:
    return roles.place(pipeline.deployment.services.aws, ENVIRONMENT, STATE_BUCKET)


def synthesised(pipeline: Pipeline, part: str, place: Place, settings: Mapping[str, str]) -> Workspace:
    """The stack with these settings, in a workspace that has one of the roles."""
    deployment = pipeline.deployment
    workspace = as_role(deployment.workspace, roles.assumed(deployment.services.aws, part, place))
    workspace = replace(workspace, environment={**workspace.environment, **settings})
    synthesise(workspace, [ENVIRONMENT])
    return workspace


def planned(workspace: Workspace, **options: Any) -> SavedPlan:
    return plan_stack(workspace, stack_name(ENVIRONMENT), ENVIRONMENT, Steps(Console(quiet=True)), **options)


def applied(workspace: Workspace) -> SavedPlan:
    plan = planned(workspace)
    apply(plan, Steps(Console(quiet=True)))
    return plan


@pytest.mark.parametrize(("part", "command"), [(REFRESH, ("plan",)), (DEPLOY, ("deploy", "--dry-run"))])
def test_what_an_apply_needs_is_checked_before(
    pipeline: Pipeline, closed_subnet: str, part: str, command: tuple[str, ...]
) -> None:
    with alone_in_checkout():
        done = run_ops(pipeline, *command, AS_ROLE=part, **MORE, AUDIT_SUBNET_IDS=closed_subnet)
    assert done.returncode == 0, done.stderr
    assert f"warning: audit_subnet_ids: from {closed_subnet} " in done.stdout
    assert "0 to change" not in done.stdout
    assert "was not checked" not in done.stdout


def describe_the_ledger_otherwise(aws: Aws) -> None:
    """Change the database and the table of the Data Catalog, as somebody does in its console."""
    glue, database = aws.client("glue"), database_name(ENVIRONMENT)
    glue.update_database(Name=database, DatabaseInput={"Name": database, "Description": "mine"})
    table = glue.get_table(DatabaseName=database, Name=LEDGER_TABLE)["Table"]
    kept = ("Name", "StorageDescriptor", "PartitionKeys", "TableType", "Parameters")
    described = {key: table[key] for key in kept} | {"Description": "mine"}
    glue.update_table(DatabaseName=database, TableInput=described)


def test_deploy_repairs_what_others_changed(pipeline: Pipeline, place: Place, key: str) -> None:
    # So that the ledger's bucket is not empty when it is destroyed.
    for number in range(2):
        pipeline.drive(fresh(sample("current", "invoice.paid"), f"evt_beforeTheEnd{number}"))
    aws = pipeline.deployment.services.aws
    aws.client("iam").delete_role_permissions_boundary(RoleName=AUDIT)
    kms, functions = aws.client("kms"), aws.client("lambda")
    policy = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    del policy["Statement"][-1]
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(policy))
    (mapping,) = functions.list_event_source_mappings(FunctionName=AUDIT)["EventSourceMappings"]
    functions.update_event_source_mapping(UUID=mapping["UUID"], ScalingConfig={"MaximumConcurrency": 99})
    describe_the_ledger_otherwise(aws)
    workspace = synthesised(pipeline, DEPLOY, place, MORE)
    applied(workspace)
    assert planned(workspace).summary.changes == 0


def test_plan_compares_everything_with_the_state(pipeline: Pipeline, place: Place) -> None:
    workspace = synthesised(pipeline, PLAN, place, MORE)
    assert planned(workspace, refresh=False).summary.changes == 0


@pytest.mark.parametrize(("part", "command"), [(REFRESH, ("plan",)), (DEPLOY, ("deploy", "--dry-run"))])
def test_everything_is_compared_with_aws(pipeline: Pipeline, part: str, command: tuple[str, ...]) -> None:
    with alone_in_checkout():
        done = run_ops(pipeline, *command, "--json", AS_ROLE=part, **MORE)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [found[key] for key in ("add", "change", "destroy", "other")] == [0] * 4


def test_deploy_turns_everything_off_and_writes_new_code(pipeline: Pipeline, place: Place) -> None:
    workspace = synthesised(pipeline, DEPLOY, place, OFF)
    stack = workspace.outdir / "stacks" / stack_name(ENVIRONMENT) / "cdk.tf.json"
    document = json.loads(stack.read_text())
    # Of another code: Terraform compares the hashes alone.
    document["resource"]["aws_lambda_function"]["audit_function"]["source_code_hash"] = "A" * 43 + "="
    stack.write_text(json.dumps(document))
    assert applied(workspace).summary.destroy > 40


def _as_deploy(aws: Aws, place: Place) -> Aws:
    return replace(aws, credentials=roles.assumed(aws, DEPLOY, place))


def turns_the_key_of_a_log_on(aws: Aws, key: str) -> None:
    aws.client("logs").associate_kms_key(logGroupName=f"/aws/lambda/{AUDIT}", kmsKeyId=key)


def turns_the_key_of_the_table_on(aws: Aws, key: str) -> None:
    aws.client("dynamodb").update_table(
        TableName=f"huntaze-stripe-idempotency-{ENVIRONMENT}",
        SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key},
    )


def deletes_the_forgotten_key(aws: Aws, key: str) -> None:
    aws.client("kms").schedule_key_deletion(KeyId=key, PendingWindowInDays=30)


def locks_the_ledger(aws: Aws, key: str) -> None:
    """Ask for it in vain: a ledger with a lock could not be destroyed."""
    s3 = aws.client("s3")
    bucket = f"huntaze-stripe-ledger-{ENVIRONMENT}-000000000000"
    with pytest.raises(ClientError) as refused:
        s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration={})
    assert refused.value.response["Error"]["Code"] != "AccessDenied"


# What Terraform asks for on a way that these tests do not go: they create with the key, and forget it.
DIRECTLY = (
    turns_the_key_of_a_log_on,
    turns_the_key_of_the_table_on,
    deletes_the_forgotten_key,
    locks_the_ledger,
)


@pytest.mark.parametrize("action", DIRECTLY)
def test_deploy_may_do_what_a_key_and_a_lock_need(
    pipeline: Pipeline, place: Place, key: str, action: Callable[[Aws, str], None]
) -> None:
    aws = pipeline.deployment.services.aws
    action(replace(aws, credentials=roles.assumed(aws, DEPLOY, place)), key)


def test_deploy_destroys_everything(
    pipeline: Pipeline, place: Place, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also a secret whose deployed version carries a label, because an operator pushed another."""
    monkeypatch.setattr("sys.stdin", io.StringIO(pipeline.deployment.services.secrets.huntaze_api_key))
    assert command("secrets", "push", "HUNTAZE_API_KEY", "--stdin", "--yes").code == 0
    aws = pipeline.deployment.services.aws
    sqs = aws.client("sqs")
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=FORGOTTEN)["QueueUrl"])
    nothing: dict[str, list[Any]] = {key: KEPT.get(key, []) for *_, key in LISTS}
    # A list that is empty before would prove nothing; the schedules are off.
    assert {key for key, items in listed(aws).items() if items == nothing[key]} == {"Schedules"}
    workspace = synthesised(pipeline, DEPLOY, place, OFF)
    plan = planned(workspace, destroy=True)
    resources = len(plan.terraform.resources())
    apply(plan, Steps(Console(quiet=True)))
    assert plan.summary.destroy == resources > 100
    assert plan.terraform.resources() == []
    assert listed(aws) == nothing


def calls_of(pipeline: Pipeline, place: Place, part: str) -> list[dict[str, Any]]:
    """The calls of one of the roles since the environment was created."""
    caller = f":assumed-role/{place.role_name(part)}"
    return [row for row in decided_calls(pipeline.deployment.services.aws) if row["caller"].endswith(caller)]


def refusals(pipeline: Pipeline, place: Place, part: str) -> Counter[str]:
    """How often each call of a role was refused."""
    calls = calls_of(pipeline, place, part)
    return Counter({f"{row['action']}: {row['advice']}": row["calls"] for row in calls if not row["allowed"]})


@pytest.fixture(scope="module", autouse=True)
def key(pipeline: Pipeline) -> str:
    """The ARN of the key, found while it has its name."""
    found = pipeline.deployment.services.aws.client("kms").describe_key(KeyId=KEY)
    arn: str = found["KeyMetadata"]["Arn"]
    return arn


@pytest.fixture(scope="module", autouse=True)
def refused_before(pipeline: Pipeline) -> dict[str, Counter[str]]:
    """What other tests let be refused."""
    where = roles.place(pipeline.deployment.services.aws, ENVIRONMENT, STATE_BUCKET)
    return {part: refusals(pipeline, where, part) for part in POLICIES}


@pytest.mark.parametrize("part", POLICIES)
def test_no_call_was_refused(
    pipeline: Pipeline, place: Place, refused_before: dict[str, Counter[str]], part: str
) -> None:
    assert calls_of(pipeline, place, part)
    assert refusals(pipeline, place, part) - refused_before[part] == Counter()


def _needed(calls: list[dict[str, Any]], role: str) -> Iterator[tuple[str, str]]:
    for row in calls:
        for where, sid, _ in row["needs"]:
            if where.startswith(f"policy {role}-"):
                yield sid, row["action"]


@pytest.mark.parametrize("part", POLICIES)
def test_every_action_of_every_statement_was_needed(pipeline: Pipeline, place: Place, part: str) -> None:
    given = {(each.sid, action) for each in POLICIES[part](place) for action in each.actions}
    needed = set(_needed(calls_of(pipeline, place, part), place.role_name(part)))
    not_shown = {(sid, action) for sid, action in given if action in NOT_SHOWN}
    assert sorted(given - needed - not_shown) == []
    assert not not_shown & needed
