"""A role needs what AWS asks for besides the call's own action, on the resources that AWS names."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ops.local.clients import Aws
from tests.emulator.process import Emulator
from tests.emulator.resources import RUNTIME, bus, function, queue, unique
from tests.emulator.roles import ACCOUNT, ADMINISTRATOR, role, session

Statement = dict[str, Any]
MAPPING = "00000000-0000-4000-8000-000000000000"
KEY = {"StringEquals": {"aws:ResourceTag/Team": "ours"}}


@pytest.fixture
def aws(emulator: Emulator) -> Aws:
    return emulator.aws


def allow(*actions: str, on: str | list[str] = "*", **more: Any) -> Statement:
    return {"Sid": "It", "Effect": "Allow", "Action": list(actions), "Resource": on, **more}


def holder(aws: Aws, *statements: Statement) -> Aws:
    """A session of a new role that has these rights alone."""
    return session(aws, role(aws, unique("holder"), *statements))


def refused(call: Callable[..., Any], *arguments: Any, **named: Any) -> str:
    """The message of the refusal of a call."""
    with pytest.raises(ClientError) as error:
        call(*arguments, **named)
    assert error.value.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException")
    return str(error.value)


def arn(aws: Aws, service: str, resource: str) -> str:
    return f"arn:aws:{service}:{aws.region}:{ACCOUNT}:{resource}"


def package() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("it.py", "def handler(event, context): pass")
    return buffer.getvalue()


def create_function(aws: Aws, name: str, **settings: Any) -> Any:
    wanted = {"Runtime": RUNTIME, "Handler": "it.handler", "Role": ADMINISTRATOR}
    return aws.client("lambda").create_function(
        FunctionName=name, Code={"ZipFile": package()}, **wanted | settings
    )


def passing(service: str) -> Statement:
    to = {"StringEquals": {"iam:PassedToService": service}}
    return allow("iam:PassRole", on=ADMINISTRATOR, Condition=to)


def test_a_function_takes_only_a_role_that_its_maker_may_pass(aws: Aws) -> None:
    name = unique("function")
    make = allow("lambda:*", on=arn(aws, "lambda", f"function:{name}"))
    for rights in ([make], [make, passing("scheduler.amazonaws.com")]):
        said = refused(create_function, holder(aws, *rights), name)
        assert f"iam:PassRole on resource: {ADMINISTRATOR}" in said
    maker = holder(aws, make, passing("lambda.amazonaws.com"))
    create_function(maker, name)
    update = maker.client("lambda").update_function_configuration
    update(FunctionName=name, Timeout=9)
    other = role(aws, unique("other"))
    assert f"iam:PassRole on resource: {other}" in refused(update, FunctionName=name, Role=other)


def test_a_schedule_takes_only_a_role_that_its_maker_may_pass(aws: Aws) -> None:
    name, target = unique("schedule"), function(aws, "def handler(event, context): pass")
    make = allow("scheduler:CreateSchedule", on=arn(aws, "scheduler", f"schedule/default/{name}"))

    def create(maker: Aws) -> Any:
        return maker.client("scheduler").create_schedule(
            Name=name,
            ScheduleExpression="rate(1 day)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": target, "RoleArn": ADMINISTRATOR},
        )

    assert "iam:PassRole" in refused(create, holder(aws, make, passing("lambda.amazonaws.com")))
    create(holder(aws, make, passing("scheduler.amazonaws.com")))


def test_a_target_takes_only_a_role_that_its_maker_may_pass(aws: Aws) -> None:
    name, rule, taker = bus(aws), unique("rule"), queue(aws)
    aws.client("events").put_rule(Name=rule, EventBusName=name, EventPattern='{"source": ["a"]}')
    make = allow("events:PutTargets", on=arn(aws, "events", f"rule/{name}/{rule}"))

    def put(maker: Aws) -> Any:
        targets = [{"Id": "it", "Arn": taker.arn, "RoleArn": ADMINISTRATOR}]
        return maker.client("events").put_targets(Rule=rule, EventBusName=name, Targets=targets)

    assert "iam:PassRole" in refused(put, holder(aws, make))
    put(holder(aws, make, passing("events.amazonaws.com")))


def test_tags_of_something_new_need_the_right_to_tag(aws: Aws) -> None:
    name = unique("topic")
    topic = arn(aws, "sns", name)

    def create(maker: Aws) -> Any:
        return maker.client("sns").create_topic(Name=name, Tags=[{"Key": "a", "Value": "b"}])

    with pytest.raises(ClientError, match="sns:TagResource on resource"):
        create(holder(aws, allow("sns:CreateTopic", on=topic)))
    tagging = {"StringEquals": {"aws:RequestTag/a": "b"}}
    create(
        holder(aws, allow("sns:CreateTopic", on=topic), allow("sns:TagResource", on=topic, Condition=tagging))
    )


def control(aws: Aws, operation: str, **arguments: Any) -> dict[str, Any]:
    request = {"TypeName": "AWS::SQS::Queue", **arguments}
    event: dict[str, Any] = getattr(aws.client("cloudcontrol"), operation)(**request)["ProgressEvent"]
    return event


def test_a_handler_of_cloud_control_has_the_rights_of_its_caller(aws: Aws) -> None:
    name = unique("queue")
    make = (
        "sqs:CreateQueue",
        "sqs:GetQueueAttributes",
        "sqs:GetQueueUrl",
        "sqs:ListQueueTags",
        "sqs:TagQueue",
    )
    state = json.dumps({"QueueName": name})
    ask = allow(
        "cloudformation:CreateResource", "cloudformation:DeleteResource", "cloudformation:GetResource"
    )
    for lacking in make:
        rest = allow(*(each for each in make if each != lacking), on=arn(aws, "sqs", name))
        ended = control(holder(aws, ask, rest), "create_resource", DesiredState=state)
        assert (ended["OperationStatus"], ended["ErrorCode"]) == ("FAILED", "AccessDenied")
        assert f"{lacking} on resource: {arn(aws, 'sqs', name)}" in ended["StatusMessage"]
    maker = holder(aws, ask, allow(*make, on=arn(aws, "sqs", name)))
    made = control(maker, "create_resource", DesiredState=state)
    assert made["OperationStatus"] == "SUCCESS"
    url = made["Identifier"]
    maker.client("cloudcontrol").get_resource(TypeName="AWS::SQS::Queue", Identifier=url)
    read = maker.client("cloudcontrol").get_resource
    blind = holder(aws, ask).client("cloudcontrol").get_resource
    assert "sqs:GetQueueAttributes" in refused(blind, TypeName="AWS::SQS::Queue", Identifier=url)
    assert control(maker, "delete_resource", Identifier=url)["ErrorCode"] == "AccessDenied"
    assert read(TypeName="AWS::SQS::Queue", Identifier=url)


def test_an_archive_needs_its_bus_too(aws: Aws) -> None:
    name, archive = bus(aws), unique("archive")
    source = arn(aws, "events", f"event-bus/{name}")
    ours = arn(aws, "events", f"archive/{archive}")

    def create(maker: Aws) -> Any:
        return maker.client("events").create_archive(ArchiveName=archive, EventSourceArn=source)

    for resource in (ours, source):
        refused(create, holder(aws, allow("events:CreateArchive", on=resource)))
    create(holder(aws, allow("events:CreateArchive", on=[ours, source])))


def test_a_replay_needs_archive_bus_and_replay(aws: Aws) -> None:
    name, replay = bus(aws), unique("replay")
    source = arn(aws, "events", f"event-bus/{name}")
    archive = aws.client("events").create_archive(ArchiveName=unique("archive"), EventSourceArn=source)
    needed = [archive["ArchiveArn"], source, arn(aws, "events", f"replay/{replay}")]

    def start(maker: Aws) -> Any:
        return maker.client("events").start_replay(
            ReplayName=replay,
            EventSourceArn=needed[0],
            EventStartTime=0,
            EventEndTime=1,
            Destination={"Arn": source},
        )

    for lacking in needed:
        rest = [each for each in needed if each != lacking]
        refused(start, holder(aws, allow("events:StartReplay", on=rest)))
    start(holder(aws, allow("events:StartReplay", on=needed)))


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "action", "resource"),
    [
        ("events", "describe_rule", {"Name": "r"}, "events:DescribeRule", "events/rule/r"),
        (
            "events",
            "list_targets_by_rule",
            {"Rule": "r", "EventBusName": "a/b"},
            "events:ListTargetsByRule",
            "events/rule/a/b/r",
        ),
        ("events", "describe_event_bus", {"Name": "a/b"}, "events:DescribeEventBus", "events/event-bus/a/b"),
        ("events", "delete_archive", {"ArchiveName": "a"}, "events:DeleteArchive", "events/archive/a"),
        ("events", "describe_replay", {"ReplayName": "r"}, "events:DescribeReplay", "events/replay/r"),
        (
            "lambda",
            "get_function_event_invoke_config",
            {"FunctionName": "f"},
            "lambda:GetFunctionEventInvokeConfig",
            "lambda/function:f",
        ),
        (
            "lambda",
            "delete_function_concurrency",
            {"FunctionName": "f"},
            "lambda:DeleteFunctionConcurrency",
            "lambda/function:f",
        ),
        (
            "lambda",
            "get_event_source_mapping",
            {"UUID": MAPPING},
            "lambda:GetEventSourceMapping",
            f"lambda/event-source-mapping:{MAPPING}",
        ),
        (
            "cloudwatch",
            "delete_alarms",
            {"AlarmNames": ["a"]},
            "cloudwatch:DeleteAlarms",
            "cloudwatch/alarm:a",
        ),
        (
            "logs",
            "associate_kms_key",
            {"logGroupName": "g", "kmsKeyId": "k"},
            "logs:AssociateKmsKey",
            "logs/log-group:g:*",
        ),
    ],
)
def test_each_call_is_checked_as_the_action_and_on_the_resource_of_aws(
    aws: Aws, service: str, operation: str, arguments: dict[str, Any], action: str, resource: str
) -> None:
    owner, _, name = resource.partition("/")

    def call(statement: Statement) -> str:
        try:
            getattr(holder(aws, statement).client(service), operation)(**arguments)
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "done"

    denied = ("AccessDenied", "AccessDeniedException")
    assert call(allow(action, on=arn(aws, owner, name))) not in denied
    assert call(allow(action, on=arn(aws, owner, f"{name}x"))) in denied
    assert call(allow(f"{service}:Other", on="*")) in denied


GLUE_TABLE = {"Name": "deliveries", "TableType": "EXTERNAL_TABLE"}


def test_a_table_of_the_data_catalog_needs_its_database_and_the_catalog_too(aws: Aws) -> None:
    database = unique("database").replace("-", "_")
    aws.client("glue").create_database(DatabaseInput={"Name": database})
    own = [f"database/{database}", f"table/{database}/deliveries"]
    needed = [arn(aws, "glue", each) for each in ("catalog", *own)]

    def create(maker: Aws) -> Any:
        return maker.client("glue").create_table(DatabaseName=database, TableInput=GLUE_TABLE)

    for missing in needed:
        others = [each for each in needed if each != missing]
        assert missing in refused(create, holder(aws, allow("glue:CreateTable", on=others)))
    create(holder(aws, allow("glue:CreateTable", on=needed)))
    reader = holder(aws, allow("glue:GetTable", on=needed)).client("glue")
    assert reader.get_table(DatabaseName=database, Name="deliveries")["Table"]["Name"] == "deliveries"
    message = refused(reader.get_partition_indexes, DatabaseName=database, TableName="deliveries")
    assert f"glue:GetPartitionIndexes on resource: {needed[-1]} " in message


def test_a_database_goes_with_what_it_holds(aws: Aws) -> None:
    database = unique("database").replace("-", "_")
    held = ("catalog", f"database/{database}", f"table/{database}/*", f"userDefinedFunction/{database}/*")
    needed = [arn(aws, "glue", each) for each in held]
    maker = holder(aws, allow("glue:CreateDatabase", on=needed[:2])).client("glue")
    described = {"Name": database}
    message = refused(maker.create_database, DatabaseInput=described, Tags={"a": "b"})
    assert f"glue:TagResource on resource: {needed[1]} " in message
    maker.create_database(DatabaseInput=described)
    for missing in needed:
        others = [each for each in needed if each != missing]
        ender = holder(aws, allow("glue:DeleteDatabase", on=others)).client("glue")
        assert f"on resource: {missing} " in refused(ender.delete_database, Name=database)
    holder(aws, allow("glue:DeleteDatabase", on=needed)).client("glue").delete_database(Name=database)


def test_a_dashboard_has_no_region(aws: Aws) -> None:
    body = json.dumps({"widgets": []})
    name = unique("dashboard")
    put = allow("cloudwatch:PutDashboard", on=f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/{name}")
    maker = holder(aws, put).client("cloudwatch")
    maker.put_dashboard(DashboardName=name, DashboardBody=body)
    refused(maker.put_dashboard, DashboardName=f"{name}-2", DashboardBody=body)


def test_a_mapping_is_known_by_its_function(aws: Aws) -> None:
    code = "def handler(event, context): pass"
    ours, theirs, source = function(aws, code), function(aws, code), queue(aws)
    owned = {"ArnLike": {"lambda:FunctionArn": ours}}
    rights = allow("lambda:CreateEventSourceMapping", "lambda:DeleteEventSourceMapping", Condition=owned)
    maker = holder(aws, rights).client("lambda")
    refused(maker.create_event_source_mapping, EventSourceArn=source.arn, FunctionName=theirs)
    made = maker.create_event_source_mapping(EventSourceArn=source.arn, FunctionName=ours)
    maker.delete_event_source_mapping(UUID=made["UUID"])


def test_a_role_may_be_tied_to_its_boundary(aws: Aws) -> None:
    iam = aws.client("iam")
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow("sqs:*")]})
    limit = iam.create_policy(PolicyName=unique("limit"), PolicyDocument=document)["Policy"]["Arn"]
    tied = {"StringEquals": {"iam:PermissionsBoundary": limit}}
    maker = holder(aws, allow("iam:CreateRole", "iam:PutRolePolicy", Condition=tied)).client("iam")
    name = unique("limited")
    request = {"RoleName": name, "AssumeRolePolicyDocument": document}
    refused(maker.create_role, **request)
    maker.create_role(**request, PermissionsBoundary=limit)
    maker.put_role_policy(RoleName=name, PolicyName="it", PolicyDocument=document)
    free = unique("free")
    role(aws, free)
    refused(maker.put_role_policy, RoleName=free, PolicyName="it", PolicyDocument=document)


def key(aws: Aws, tag: str) -> str:
    made = aws.client("kms").create_key(Tags=[{"TagKey": "Team", "TagValue": tag}])
    return str(made["KeyMetadata"]["Arn"])


def test_a_key_is_known_by_its_tags(aws: Aws) -> None:
    describe = holder(aws, allow("kms:DescribeKey", Condition=KEY)).client("kms").describe_key
    describe(KeyId=key(aws, "ours"))
    refused(describe, KeyId=key(aws, "theirs"))


def test_an_alias_needs_its_key_too(aws: Aws) -> None:
    name, ours = f"alias/{unique('it')}", key(aws, "ours")
    alias = arn(aws, "kms", name)

    def create(maker: Aws) -> Any:
        return maker.client("kms").create_alias(AliasName=name, TargetKeyId=ours)

    for resource in (alias, ours):
        refused(create, holder(aws, allow("kms:CreateAlias", on=resource)))
    create(holder(aws, allow("kms:CreateAlias", on=[alias, ours])))


def table(aws: Aws, key_arn: str) -> Any:
    return aws.client("dynamodb").create_table(
        TableName=unique("table"),
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key_arn},
    )


def secret(aws: Aws, key_arn: str) -> Any:
    return aws.client("secretsmanager").create_secret(Name=unique("secret"), KmsKeyId=key_arn)


def keyed_function(aws: Aws, key_arn: str) -> Any:
    return create_function(aws, unique("function"), KMSKeyArn=key_arn)


@pytest.mark.parametrize(
    ("create", "actions", "service"),
    [
        (table, ("CreateGrant", "DescribeKey", "Encrypt", "Decrypt", "GenerateDataKey"), "dynamodb"),
        (secret, ("GenerateDataKey", "Decrypt"), "secretsmanager"),
        (keyed_function, ("CreateGrant", "Encrypt"), "lambda"),
    ],
)
def test_what_a_key_encrypts_needs_rights_to_the_key(
    aws: Aws, create: Callable[[Aws, str], Any], actions: tuple[str, ...], service: str
) -> None:
    used, via = (
        key(aws, "ours"),
        {"StringEquals": {"kms:ViaService": f"{service}.{aws.region}.amazonaws.com"}},
    )
    rest = allow("dynamodb:*", "secretsmanager:*", "lambda:*", "iam:PassRole")
    every = allow("kms:*", on=used, Condition=via)
    create(holder(aws, rest, every), used)
    for action in actions:
        denied = {**allow(f"kms:{action}"), "Effect": "Deny"}
        assert f"kms:{action}" in refused(create, holder(aws, rest, every, denied), used)


def test_a_function_in_a_network_needs_a_maker_that_may_read_it(aws: Aws) -> None:
    ec2 = aws.client("ec2")
    network = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=network, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]
    rest = allow("lambda:CreateFunction", "iam:PassRole")
    reads = ("ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs")
    inside = {"SubnetIds": [subnet], "SecurityGroupIds": []}
    for lacking in reads:
        maker = holder(aws, rest, allow(*(each for each in reads if each != lacking)))
        said = refused(create_function, maker, unique("function"), VpcConfig=inside)
        assert lacking in said
    create_function(holder(aws, rest, allow(*reads)), unique("function"), VpcConfig=inside)


def test_tags_of_a_log_group_are_checked_on_its_arn_without_streams(aws: Aws) -> None:
    logs, group = aws.client("logs"), unique("group")
    logs.create_log_group(logGroupName=group)
    whole = arn(aws, "logs", f"log-group:{group}")
    read = allow("logs:ListTagsForResource", on=whole)
    holder(aws, read).client("logs").list_tags_for_resource(resourceArn=whole)
    streams = holder(aws, {**read, "Resource": f"{whole}:*"}).client("logs")
    refused(streams.list_tags_for_resource, resourceArn=whole)
