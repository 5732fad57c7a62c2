"""The embedded AWS refuses what AWS refuses, says why, and remembers which statement each call needs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ops.emulator.permissions import Call, Policy, Question
from ops.local.clients import Aws, Credentials
from ops.local.observer import decided_calls, refused_calls
from tests.emulator.process import Emulator, wait_until
from tests.emulator.resources import bus, function, invoke, queue, rule, send, unique
from tests.emulator.roles import ACCOUNT, ADMINISTRATOR, policy, role, session

RETURNS = "def handler(event, context):\n    return event\n"
PRINTS = "def handler(event, context):\n    print('written')\n"


def allow(*actions: str, on: str = "*", **condition: Any) -> dict[str, Any]:
    return {"Sid": "It", "Effect": "Allow", "Action": list(actions), "Resource": on} | condition


def error(call: Callable[[], Any]) -> tuple[str, int, str]:
    """Return code, HTTP status and message of a refusal."""
    with pytest.raises(ClientError) as refused:
        call()
    answer = refused.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Message"]


def refusals(aws: Aws, action: str, resource: str) -> list[str]:
    """Return what would have allowed an action on a resource."""
    return [each.advice for each in refused_calls(aws) if (each.action, each.resource) == (action, resource)]


@pytest.mark.parametrize(
    ("service", "call", "code", "status"),
    [
        ("s3", lambda client: client.list_objects_v2(Bucket="refused"), "AccessDenied", 403),
        ("sqs", lambda client: client.list_queues(), "AccessDenied", 403),
        ("lambda", lambda client: client.list_functions(), "AccessDeniedException", 403),
        ("sns", lambda client: client.list_topics(), "AuthorizationError", 403),
        ("dynamodb", lambda client: client.list_tables(), "AccessDeniedException", 400),
        ("secretsmanager", lambda client: client.list_secrets(), "AccessDeniedException", 400),
        ("events", lambda client: client.list_rules(), "AccessDeniedException", 400),
        ("kms", lambda client: client.list_keys(), "AccessDeniedException", 400),
        ("logs", lambda client: client.describe_log_groups(), "AccessDeniedException", 400),
        ("iam", lambda client: client.list_roles(), "AccessDenied", 403),
    ],
)
def test_refusal_is_the_services_own(
    emulator: Emulator, service: str, call: Callable[[Any], Any], code: str, status: int
) -> None:
    nobody = session(emulator.aws, role(emulator.aws, unique("nobody")))
    found = error(lambda: call(nobody.client(service)))
    assert found[:2] == (code, status)


def test_refusal_names_the_caller_the_call_and_what_would_allow_it(emulator: Emulator) -> None:
    aws, here, there = emulator.aws, queue(emulator.aws), queue(emulator.aws)
    name = unique("sender")
    sender = session(aws, role(aws, name, allow("sqs:SendMessage", on=here.arn))).client("sqs")
    sender.send_message(QueueUrl=here.url, MessageBody="x")
    _, _, message = error(lambda: sender.send_message(QueueUrl=there.url, MessageBody="x"))
    assert f"assumed-role/{name}/tests is not authorized to perform: sqs:SendMessage" in message
    (refused,) = [each for each in refused_calls(aws) if each.resource == there.arn]
    assert refused.caller == f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}"
    assert message.endswith(
        f"on resource: {there.arn} because no identity-based policy allows the sqs:SendMessage action"
    )
    assert refused.advice.startswith(f"needs sqs:SendMessage on {there.arn} in role {name} or queue ")
    assert f"role {name}, statement It, allows it only on {here.arn}" in refused.advice
    log = (emulator.folder / "server.log").read_text()
    assert f"refused: User: arn:aws:sts::{ACCOUNT}:assumed-role/{name}/tests" in log


def test_allowed_call_needs_its_statement(emulator: Emulator) -> None:
    aws, target = emulator.aws, queue(emulator.aws)
    name = unique("sender")
    sender = session(aws, role(aws, name, allow("sqs:SendMessage", on=target.arn)))
    sender.client("sqs").send_message(QueueUrl=target.url, MessageBody="x")
    (call,) = [each for each in decided_calls(aws) if each["resource"] == target.arn]
    assert call["allowed"]
    assert call["needs"] == [[f"role {name}", "It", ""]]


def test_only_what_may_speak_of_an_action_is_weighed(monkeypatch: pytest.MonkeyPatch) -> None:
    weighed: list[Question] = []
    evaluate = Question.is_allowed

    def counted(question: Question) -> bool:
        weighed.append(question)
        return evaluate(question)

    monkeypatch.setattr(Question, "is_allowed", counted)
    others = [allow(f"s3:Get{number}") for number in range(50)]
    denied = {"Sid": "Denies", "Effect": "Deny", "NotAction": ["s3:*"], "Resource": "*"}
    document = policy(*others, allow("SQS:Send*"), denied)
    question = Question(Call(f"arn:aws:sts::{ACCOUNT}:assumed-role/one/it", "sqs:SendMessage", "*"))
    question = replace(question, identity=(Policy("role one", document),))
    assert [sid for _, sid, _ in question.deciding()] == ["Denies"]
    # The decision, and one for each of the two statements.
    assert len(weighed) == 3


def test_call_needs_the_one_of_several_resources_that_it_names(emulator: Emulator) -> None:
    aws, targets = emulator.aws, [queue(emulator.aws) for _ in range(2)]
    name = unique("sender")
    both = allow("sqs:SendMessage") | {"Resource": [each.arn for each in targets]}
    sender = session(aws, role(aws, name, both))
    sender.client("sqs").send_message(QueueUrl=targets[0].url, MessageBody="x")
    (call,) = [each for each in decided_calls(aws) if each["resource"] == targets[0].arn]
    assert call["needs"] == [[f"role {name}", "It", ""], [f"role {name}", "It", targets[0].arn]]


def test_resource_policy_alone_suffices_and_a_denial_wins(emulator: Emulator) -> None:
    aws, target = emulator.aws, queue(emulator.aws)
    arn = role(aws, unique("named"))
    named = {"Principal": {"AWS": arn}, "Action": "sqs:SendMessage", "Resource": target.arn}
    sender = session(aws, arn).client("sqs")
    for effect in ("Allow", "Deny"):
        statements = [{"Effect": "Allow", **named}, {"Effect": effect, **named}]
        target.sqs.set_queue_attributes(QueueUrl=target.url, Attributes={"Policy": policy(*statements)})
        if effect == "Allow":
            sender.send_message(QueueUrl=target.url, MessageBody="x")
        else:
            assert error(lambda: sender.send_message(QueueUrl=target.url, MessageBody="x"))[1] == 403


def test_batch_needs_the_action_of_its_entries(emulator: Emulator) -> None:
    aws, target = emulator.aws, queue(emulator.aws)
    sender = session(aws, role(aws, unique("batch"), allow("sqs:SendMessage", on=target.arn))).client("sqs")
    sent = sender.send_message_batch(QueueUrl=target.url, Entries=[{"Id": "1", "MessageBody": "x"}])
    assert len(sent["Successful"]) == 1


def encrypted_queue(aws: Aws, *statements: dict[str, Any]) -> tuple[Any, str]:
    """Create a queue with a key of its own; return the queue and the key's ARN."""
    root = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    own = {"Sid": "Account", "Effect": "Allow", "Principal": root, "Action": "kms:*", "Resource": "*"}
    key = aws.client("kms").create_key(Policy=policy(own, *statements))["KeyMetadata"]["Arn"]
    return queue(aws, KmsMasterKeyId=key), key


def test_encrypted_queue_needs_its_key_too(emulator: Emulator) -> None:
    aws = emulator.aws
    target, key = encrypted_queue(aws)
    statements = [allow("sqs:SendMessage", on=target.arn)]
    without = session(aws, role(aws, unique("keyless"), *statements)).client("sqs")
    code, status, message = error(lambda: without.send_message(QueueUrl=target.url, MessageBody="x"))
    assert status == 403
    assert "KmsAccessDenied" in code
    assert "kms:GenerateDataKey" in message
    assert refusals(aws, "kms:GenerateDataKey", key)
    statements.append(allow("kms:GenerateDataKey", "kms:Decrypt", on=key))
    session(aws, role(aws, unique("keyed"), *statements)).client("sqs").send_message(
        QueueUrl=target.url, MessageBody="x"
    )


def test_key_policy_must_allow_too(emulator: Emulator) -> None:
    aws = emulator.aws
    target, key = encrypted_queue(aws)
    other = {"AWS": role(aws, unique("other"))}
    only = {"Sid": "Other", "Effect": "Allow", "Principal": other, "Action": "kms:*", "Resource": "*"}
    aws.client("kms").put_key_policy(KeyId=key, PolicyName="default", Policy=policy(only))
    sender = session(aws, role(aws, unique("all"), allow("*"))).client("sqs")
    assert (
        "kms:GenerateDataKey" in error(lambda: sender.send_message(QueueUrl=target.url, MessageBody="x"))[2]
    )


def test_rule_needs_the_key_of_an_encrypted_queue(emulator: Emulator) -> None:
    aws = emulator.aws
    dead, name = queue(aws), bus(aws)
    target, key = encrypted_queue(aws)
    rule(aws, name, target.arn, DeadLetterConfig={"Arn": dead.arn})
    send(aws, name, {"n": 1})
    (message,) = dead.wait()
    assert message["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"
    assert "kms:GenerateDataKey" in message["MessageAttributes"]["ERROR_MESSAGE"]["StringValue"]
    service = {"Service": "events.amazonaws.com"}
    use = ["kms:GenerateDataKey", "kms:Decrypt"]
    context = {"ArnEquals": {"kms:EncryptionContext:aws:sqs:arn": target.arn}}
    statement = {
        "Effect": "Allow",
        "Principal": service,
        "Action": use,
        "Resource": "*",
        "Condition": context,
    }
    aws.client("kms").put_key_policy(KeyId=key, PolicyName="default", Policy=policy(statement))
    send(aws, name, {"n": 2})
    wait_until(lambda: len(target.messages()) == 1, "the message arrives with the key")


def test_function_without_the_right_to_log_works_and_writes_nothing(emulator: Emulator) -> None:
    aws = emulator.aws
    name = unique("mute")
    assert invoke(aws, function(aws, PRINTS, name, Role=role(aws, name)), {}) is None
    groups = aws.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{name}")["logGroups"]
    assert groups == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"TracingConfig": {"Mode": "Active"}}, "to call PutTraceSegments on XRAY"),
        (
            {"VpcConfig": {"SubnetIds": ["subnet-0"], "SecurityGroupIds": ["sg-0"]}},
            "CreateNetworkInterface on EC2",
        ),
    ],
)
def test_function_is_not_created_without_the_rights_that_lambda_checks(
    emulator: Emulator, settings: dict[str, Any], message: str
) -> None:
    arn = role(emulator.aws, unique("poor"))
    code, status, found = error(lambda: function(emulator.aws, RETURNS, Role=arn, **settings))
    assert (code, status) == ("InvalidParameterValueException", 400)
    assert message in found


def test_role_that_lambda_may_not_assume_is_refused(emulator: Emulator) -> None:
    arn = role(emulator.aws, unique("foreign"), trusted=_trusting("ec2.amazonaws.com"))
    assert "cannot be assumed by Lambda" in error(lambda: function(emulator.aws, RETURNS, Role=arn))[2]


def test_trust_for_another_account_does_not_count(emulator: Emulator) -> None:
    condition = {"StringEquals": {"aws:SourceAccount": "111111111111"}}
    arn = role(emulator.aws, unique("elsewhere"), trusted=_trusting("lambda.amazonaws.com", condition))
    assert "cannot be assumed by Lambda" in error(lambda: function(emulator.aws, RETURNS, Role=arn))[2]


def _trusting(service: str, condition: dict[str, Any] | None = None) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return policy(statement | ({"Condition": condition} if condition else {}))


def test_mapping_needs_the_right_to_read_its_queue(emulator: Emulator) -> None:
    aws, source = emulator.aws, queue(emulator.aws)
    rights = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
    functions = aws.client("lambda")
    for missing in rights:
        left = allow(*(each for each in rights if each != missing), on=source.arn)
        arn = function(aws, RETURNS, Role=role(aws, unique("reader"), left))
        create = partial(functions.create_event_source_mapping, EventSourceArn=source.arn, FunctionName=arn)
        found = error(create)
        assert f"to call {missing.removeprefix('sqs:')} on SQS" in found[2]


def test_mapping_stops_when_its_right_is_taken_away(emulator: Emulator) -> None:
    aws, source = emulator.aws, queue(emulator.aws)
    name = unique("reader")
    rights = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
    arn = function(aws, RETURNS, Role=role(aws, name, allow(*rights, on=source.arn)))
    aws.client("lambda").create_event_source_mapping(EventSourceArn=source.arn, FunctionName=arn)
    source.sqs.send_message(QueueUrl=source.url, MessageBody="1")
    wait_until(lambda: _depth(source) == 0, "the mapping deletes the message")
    aws.client("iam").delete_role_policy(RoleName=name, PolicyName="it")
    source.sqs.send_message(QueueUrl=source.url, MessageBody="2")
    wait_until(lambda: bool(refusals(aws, "sqs:ReceiveMessage", source.arn)), "the mapping is refused")
    assert _depth(source) == 1


def _depth(source: Any) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = source.sqs.get_queue_attributes(QueueUrl=source.url, AttributeNames=names)["Attributes"]
    return sum(int(found[name]) for name in names)


def test_schedule_whose_role_may_not_invoke_is_refused_at_each_run(emulator: Emulator) -> None:
    aws = emulator.aws
    arn = function(aws, RETURNS)
    aws.client("scheduler").create_schedule(
        Name=unique("schedule"),
        ScheduleExpression="at(2026-01-01T00:00:00)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": arn, "RoleArn": role(aws, unique("idle")), "Input": "{}"},
    )
    wait_until(lambda: bool(refusals(aws, "lambda:InvokeFunction", arn)), "the run is refused")


def test_schedule_needs_a_role_that_scheduler_may_assume(emulator: Emulator) -> None:
    arn = role(emulator.aws, unique("lambdas"), trusted=_trusting("lambda.amazonaws.com"))
    found = error(
        lambda: emulator.aws.client("scheduler").create_schedule(
            Name=unique("schedule"),
            ScheduleExpression="rate(1 hour)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:x", "RoleArn": arn},
        )
    )
    assert found[0] == "ValidationException"
    assert "must allow AWS EventBridge Scheduler to assume the role" in found[2]


def test_alarm_notifies_only_a_topic_that_allows_it(emulator: Emulator) -> None:
    aws, target = emulator.aws, queue(emulator.aws)
    sns = aws.client("sns")
    topic = sns.create_topic(Name=unique("topic"))["TopicArn"]
    anyone = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": target.arn}
    target.sqs.set_queue_attributes(QueueUrl=target.url, Attributes={"Policy": policy(anyone)})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=target.arn)
    publish = {"Effect": "Allow", "Action": "sns:Publish", "Resource": topic}
    cloudwatch, name = aws.client("cloudwatch"), unique("alarm")
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace="Tests",
        MetricName="Errors",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[topic],
    )
    for service, messages in (("events.amazonaws.com", 0), ("cloudwatch.amazonaws.com", 1)):
        statement = publish | {"Principal": {"Service": service}}
        sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy(statement))
        for state in ("OK", "ALARM"):
            cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="test")
        assert len(target.messages()) == messages
    assert refusals(aws, "sns:Publish", topic)


def test_rule_writes_to_a_log_group_whose_policy_names_it(emulator: Emulator) -> None:
    aws, name = emulator.aws, bus(emulator.aws)
    logs, group, dead = aws.client("logs"), f"/aws/events/{unique('log')}", queue(emulator.aws)
    logs.create_log_group(logGroupName=group)
    arn = f"arn:aws:logs:{aws.region}:{ACCOUNT}:log-group:{group}"
    rule(aws, name, arn, DeadLetterConfig={"Arn": dead.arn})
    send(aws, name, {"n": 1})
    (message,) = dead.wait()
    assert "logs:CreateLogStream" in message["MessageAttributes"]["ERROR_MESSAGE"]["StringValue"]
    write = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": f"{arn}:*",
    }
    logs.put_resource_policy(policyName=unique("policy"), policyDocument=policy(write))
    send(aws, name, {"n": 2})

    def written() -> list[Any]:
        found = logs.filter_log_events(logGroupName=group)["events"]
        return [json.loads(each["message"])["detail"] for each in found]

    wait_until(lambda: written() == [{"n": 2}], "the second event is in the log")


def test_archive_without_its_key_stores_nothing(emulator: Emulator) -> None:
    aws, name = emulator.aws, bus(emulator.aws)
    events, kms, archive = aws.client("events"), aws.client("kms"), unique("archive")
    source = events.describe_event_bus(Name=name)["Arn"]
    root = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    own = {"Effect": "Allow", "Principal": root, "Action": "kms:*", "Resource": "*"}
    service = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Resource": "*"}
    describe = service | {"Action": "kms:DescribeKey"}
    key = kms.create_key(Policy=policy(own))["KeyMetadata"]["Arn"]
    found = error(
        lambda: events.create_archive(ArchiveName=archive, EventSourceArn=source, KmsKeyIdentifier=key)
    )
    assert "kms:DescribeKey" in found[2]
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=policy(own, describe))
    events.create_archive(ArchiveName=archive, EventSourceArn=source, KmsKeyIdentifier=key)
    send(aws, name, {"n": 1})
    assert events.describe_archive(ArchiveName=archive)["EventCount"] == 0
    use = service | {"Action": ["kms:GenerateDataKey", "kms:Decrypt"]}
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=policy(own, describe, use))
    send(aws, name, {"n": 2})
    assert events.describe_archive(ArchiveName=archive)["EventCount"] == 1


def boundary(aws: Aws, *statements: dict[str, Any]) -> str:
    arn: str = aws.client("iam").create_policy(
        PolicyName=unique("boundary"), PolicyDocument=policy(*statements)
    )["Policy"]["Arn"]
    return arn


def test_refusal_by_a_boundary_names_the_boundary(emulator: Emulator) -> None:
    aws, target = emulator.aws, queue(emulator.aws)
    name = unique("bounded")
    arn = role(aws, name, allow("sqs:SendMessage", on=target.arn))
    limit = boundary(aws, allow("sqs:ReceiveMessage"))
    aws.client("iam").put_role_permissions_boundary(RoleName=name, PermissionsBoundary=limit)
    sender = session(aws, arn).client("sqs")
    _, _, message = error(lambda: sender.send_message(QueueUrl=target.url, MessageBody="x"))
    assert message.endswith("because no permissions boundary allows the sqs:SendMessage action")
    (advice,) = refusals(aws, "sqs:SendMessage", target.arn)
    assert advice == f"needs sqs:SendMessage on {target.arn} in policy {limit.rpartition('/')[2]}"


def test_refusal_of_a_role_without_policies_names_the_role(emulator: Emulator) -> None:
    aws, name = emulator.aws, unique("empty")
    sender = session(aws, role(aws, name)).client("dynamodb")
    _, _, message = error(lambda: sender.describe_table(TableName="absent"))
    assert "on resource: arn:aws:dynamodb:" in message
    (advice,) = refusals(
        aws, "dynamodb:DescribeTable", f"arn:aws:dynamodb:{aws.region}:{ACCOUNT}:table/absent"
    )
    assert advice.endswith(f"in role {name}")


def test_explicit_denial_is_called_one_and_names_its_statement(emulator: Emulator) -> None:
    aws, target = emulator.aws, queue(emulator.aws)
    name = unique("denied")
    deny = {"Sid": "No", "Effect": "Deny", "Action": "sqs:SendMessage", "Resource": "*"}
    sender = session(aws, role(aws, name, allow("sqs:*"), deny)).client("sqs")
    _, _, message = error(lambda: sender.send_message(QueueUrl=target.url, MessageBody="x"))
    assert message.endswith("with an explicit deny in an identity-based policy")
    assert refusals(aws, "sqs:SendMessage", target.arn) == [f"denied by role {name}, statement No"]


def test_refused_key_names_only_the_side_that_lacks_the_right(emulator: Emulator) -> None:
    aws, name = emulator.aws, unique("keyless")
    target, key = encrypted_queue(aws)
    sender = session(aws, role(aws, name, allow("sqs:*"))).client("sqs")
    _, _, message = error(lambda: sender.send_message(QueueUrl=target.url, MessageBody="x"))
    assert f"kms:GenerateDataKey on resource: {key} because no identity-based policy" in message
    assert refusals(aws, "kms:GenerateDataKey", key) == [f"needs kms:GenerateDataKey on {key} in role {name}"]


def test_session_policy_narrows_a_role(emulator: Emulator) -> None:
    aws = emulator.aws
    arn = role(aws, unique("wide"), allow("*"))
    given = aws.client("sts").assume_role(
        RoleArn=arn, RoleSessionName="narrow", Policy=policy(allow("s3:ListAllMyBuckets"))
    )["Credentials"]
    keys = Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    narrow = Aws(aws.url, aws.region, keys)
    narrow.client("s3").list_buckets()
    assert error(lambda: narrow.client("sqs").list_queues())[2].endswith(
        "because no session policy allows the sqs:ListQueues action"
    )


def test_query_is_bound_to_the_partition_keys_of_a_policy(emulator: Emulator) -> None:
    aws, table = emulator.aws, unique("table")
    arn = aws.client("dynamodb").create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )["TableDescription"]["TableArn"]
    own = {"Condition": {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["mine"]}}}
    reader = session(aws, role(aws, unique("reader"), allow("dynamodb:Query", on=arn, **own))).client(
        "dynamodb"
    )

    def ask(key: str) -> Any:
        return reader.query(
            TableName=table,
            KeyConditionExpression="#id = :id",
            ExpressionAttributeNames={"#id": "id"},
            ExpressionAttributeValues={":id": {"S": key}},
        )

    assert ask("mine")["Count"] == 0
    assert error(lambda: ask("other"))[0] == "AccessDeniedException"


def test_each_mapping_of_a_queue_reads_it_in_its_own_role(emulator: Emulator) -> None:
    aws, source = emulator.aws, queue(emulator.aws)
    rights = allow("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", on=source.arn)
    functions, names = aws.client("lambda"), [unique("reader"), unique("reader")]
    for name in names:
        arn = function(aws, RETURNS, Role=role(aws, name, rights))
        functions.create_event_source_mapping(EventSourceArn=source.arn, FunctionName=arn)
    for name in names:
        aws.client("iam").delete_role_policy(RoleName=name, PolicyName="it")
    callers = {f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}" for name in names}

    def refused() -> set[str]:
        found = [each for each in refused_calls(aws) if each.resource == source.arn]
        return {each.caller for each in found}

    wait_until(lambda: refused() == callers, "both roles are refused")


@pytest.mark.parametrize("service", ["sqs", "sns"])
def test_destination_of_a_function_needs_the_right_to_send(emulator: Emulator, service: str) -> None:
    aws = emulator.aws
    target = (
        queue(aws).arn if service == "sqs" else aws.client("sns").create_topic(Name=unique("t"))["TopicArn"]
    )
    arn = role(aws, unique("mute"))
    found = error(lambda: function(aws, RETURNS, Role=arn, DeadLetterConfig={"TargetArn": target}))
    assert f"on {service.upper()}" in found[2]
    made = function(aws, RETURNS, Role=arn)
    found = error(
        lambda: aws.client("lambda").put_function_event_invoke_config(
            FunctionName=made, DestinationConfig={"OnFailure": {"Destination": target}}
        )
    )
    assert f"on {service.upper()}" in found[2]


def test_dead_letter_queue_of_a_target_needs_its_key(emulator: Emulator) -> None:
    aws, name = emulator.aws, bus(emulator.aws)
    dead, key = encrypted_queue(aws)
    gone = f"arn:aws:sqs:{aws.region}:{ACCOUNT}:gone"
    rule(aws, name, gone, DeadLetterConfig={"Arn": dead.arn})
    send(aws, name, {"n": 1})
    wait_until(lambda: bool(refusals(aws, "kms:GenerateDataKey", key)), "the key is refused")
    assert dead.messages() == []


def test_administrator_needs_no_more(emulator: Emulator) -> None:
    started = time.time()
    arn = function(emulator.aws, RETURNS, Role=ADMINISTRATOR)
    assert invoke(emulator.aws, arn, {"at": int(started)}) == {"at": int(started)}
