"""One scenario per fix, which passes with the fix and fails without it."""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from xml.etree import ElementTree

from botocore.exceptions import ClientError

from ops.local.clients import Aws
from tests.emulator.process import wait_until
from tests.emulator.resources import bus, function, invoke, queue, rule, send, unique
from tests.emulator.roles import ACCOUNT, ADMINISTRATOR, EVERYTHING, policy, role, session, trust

HOUR_SECONDS = 3600
# MiniStack checks for due schedules every 10 s.
SCHEDULE_SECONDS = 12.0
# MiniStack looks once a minute.
EXPIRY_SECONDS = 65.0
RECORDS_ITS_PROCESS = """
import os, pathlib, time
def handler(event, context):
    time.sleep(0.5)
    pathlib.Path(event["detail"]["folder"], context.aws_request_id).write_text(str(os.getpid()))
"""
FAILS = """
def handler(event, context):
    raise ValueError("refused")
"""
RETURNS_WHAT_IT_SEES = """
import importlib.util, os
count = 0
def handler(event, context):
    global count
    count += 1
    if event.get("fail"):
        raise LookupError("asked for")
    return {
        "packages": [name for name in ("boto3", "pydantic", "ministack") if importlib.util.find_spec(name)],
        "environment": sorted(os.environ),
        "count": count,
    }
"""
PRINTS_A_METRIC = """
import json
def handler(event, context):
    metrics = [{"Namespace": "Tests", "Dimensions": [["service"]], "Metrics": [{"Name": "Refused"}]}]
    print(json.dumps({"_aws": {"CloudWatchMetrics": metrics}, "service": event["service"], "Refused": 1}))
"""


def rules_on_a_bus_with_slashes_have_tags(aws: Aws) -> bool:
    events = aws.client("events")
    arn = rule(aws, bus(aws), queue(aws).arn)
    try:
        events.tag_resource(ResourceARN=arn, Tags=[{"Key": "k", "Value": "v"}])
        tags = events.list_tags_for_resource(ResourceARN=arn)["Tags"]
        events.untag_resource(ResourceARN=arn, TagKeys=["k"])
    except ClientError:
        return False
    return bool(tags == [{"Key": "k", "Value": "v"}])


def partner_events_reach_the_bus_of_their_source(aws: Aws) -> bool:
    events = aws.client("events")
    source = f"aws.partner/tests.example/{unique('source')}"
    events.create_partner_event_source(Name=source, Account=ACCOUNT)

    def state() -> str:
        found = events.list_event_sources(NamePrefix=source)["EventSources"]
        return str(found[0]["State"]) if found else "none"

    states = [state()]
    events.create_event_bus(Name=source, EventSourceName=source)
    states.append(state())
    taker = queue(aws)
    rule(aws, source, taker.arn)
    entry = {"Source": source, "DetailType": "made", "Detail": '{"n": 1}', "Resources": ["r"]}
    put = events.put_partner_events(Entries=[entry])
    delivered = [json.loads(message["Body"]) for message in taker.messages()]
    events.delete_event_bus(Name=source)
    states.append(state())
    return states == ["PENDING", "ACTIVE", "PENDING"] and [
        (one["id"], one["source"], one["detail-type"], one["detail"], one["resources"]) for one in delivered
    ] == [(put["Entries"][0]["EventId"], source, "made", {"n": 1}, ["r"])]


def many_events_share_a_few_processes(aws: Aws) -> bool:
    from pathlib import Path
    from tempfile import TemporaryDirectory

    name = bus(aws)
    rule(aws, name, function(aws, RECORDS_ITS_PROCESS))
    with TemporaryDirectory() as folder:
        send(aws, name, *({"folder": folder, "n": number} for number in range(7)))
        wait_until(lambda: len(list(Path(folder).iterdir())) == 7, "7 events were expected to arrive")
        return len({path.read_text() for path in Path(folder).iterdir()}) <= 4


def an_undeliverable_event_goes_to_the_targets_queue(aws: Aws) -> bool:
    name, parked = bus(aws), queue(aws)
    missing = f"arn:aws:lambda:{aws.region}:{ACCOUNT}:function:missing"
    arn = rule(aws, name, missing, DeadLetterConfig={"Arn": parked.arn})
    send(aws, name, {"n": 1})
    return [
        (
            json.loads(message["Body"])["detail"],
            {key: value["StringValue"] for key, value in message["MessageAttributes"].items()},
        )
        for message in parked.messages()
    ] == [
        (
            {"n": 1},
            {
                "RULE_ARN": arn,
                "TARGET_ARN": missing,
                "ERROR_CODE": "NO_RESOURCE",
                "ERROR_MESSAGE": f"Function not found: {missing}",
                "RETRY_ATTEMPTS": "0",
            },
        )
    ]


def a_replay_reaches_only_the_rules_that_it_names(aws: Aws) -> bool:
    events = aws.client("events")
    name, named, other = bus(aws), queue(aws), queue(aws)
    named_rule = rule(aws, name, named.arn)
    rule(aws, name, other.arn)
    bus_arn = events.describe_event_bus(Name=name)["Arn"]
    archive = events.create_archive(ArchiveName=unique("archive"), EventSourceArn=bus_arn)["ArchiveArn"]
    send(aws, name, {"n": 1})
    replay = unique("replay")
    now = time.time()
    events.start_replay(
        ReplayName=replay,
        EventSourceArn=archive,
        EventStartTime=now - HOUR_SECONDS,
        EventEndTime=now + HOUR_SECONDS,
        Destination={"Arn": bus_arn, "FilterArns": [named_rule]},
    )
    wait_until(
        lambda: bool(events.describe_replay(ReplayName=replay)["State"] == "COMPLETED"),
        "the replay to complete",
    )
    of_named = [json.loads(message["Body"]).get("replay-name") for message in named.messages()]
    of_other = [json.loads(message["Body"]).get("replay-name") for message in other.messages()]
    return of_named == [None, replay] and of_other == [None]


def a_functions_dead_letter_queue_gets_the_event(aws: Aws) -> bool:
    parked = queue(aws)
    arn = function(aws, FAILS, DeadLetterConfig={"TargetArn": parked.arn})
    functions = aws.client("lambda")
    functions.put_function_event_invoke_config(FunctionName=arn, MaximumRetryAttempts=0)
    functions.invoke(FunctionName=arn, InvocationType="Event", Payload='{"n": 1}')
    (message,) = parked.wait()
    attributes = message.get("MessageAttributes", {})
    error = str(attributes.get("ErrorMessage", {}).get("StringValue"))
    event: dict[str, int] = json.loads(message["Body"])
    return event == {"n": 1} and error == "refused"


def events_for_a_fifo_queue_are_deduplicated(aws: Aws) -> bool:
    name, taker = bus(aws), queue(aws, fifo=True)
    rule(aws, name, taker.arn, SqsParameters={"MessageGroupId": "lane"}, Input='{"same": true}')
    send(aws, name, {"n": 1}, {"n": 2})
    return [message["Attributes"]["MessageGroupId"] for message in taker.messages()] == ["lane"]


def a_function_sees_only_its_own_environment_and_survives_its_errors(aws: Aws) -> bool:
    arn = function(aws, RETURNS_WHAT_IT_SEES)
    failure = invoke(aws, arn, {"fail": True})
    seen = invoke(aws, arn, {})
    return (
        failure["errorType"] == "LookupError"
        and seen["packages"] == ["boto3"]
        and "STATE_DIR" not in seen["environment"]
        and seen["count"] == 2
    )


def an_alarm_written_by_terraform_reads_back_complete(aws: Aws) -> bool:
    name = unique("alarm")
    written = {
        "AlarmName": name,
        "AlarmDescription": "Says <so> & so",
        "ActionsEnabled": "false",
        "AlarmActions.member.1": f"arn:aws:sns:{aws.region}:{ACCOUNT}:topic",
        "InsufficientDataActions.member.1": f"arn:aws:sns:{aws.region}:{ACCOUNT}:topic",
        "Dimensions.member.1.Name": "QueueName",
        "Dimensions.member.1.Value": "q",
        "Namespace": "AWS/SQS",
        "MetricName": "Age",
        "ExtendedStatistic": "p99",
        "Period": "300",
        "EvaluationPeriods": "2",
        "Threshold": "1.5",
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }
    _query(aws, "PutMetricAlarm", written)
    xml = _query(aws, "DescribeAlarms", {"AlarmNames.member.1": name})
    (alarm,) = xml.iterfind(".//{*}MetricAlarms/{*}member")
    read = {
        key: alarm.findtext(path)
        for key, path in (
            (key, "/".join(f"{{*}}{part}" for part in key.replace("member.1", "member").split(".")))
            for key in written
        )
    }
    return read == written and alarm.find("{*}Statistic") is None


def an_alarm_follows_its_own_metric(aws: Aws) -> bool:
    name = bus(aws)
    arn = rule(aws, name, f"arn:aws:lambda:{aws.region}:{ACCOUNT}:function:missing")
    prefix = unique("firing")
    ours = {"EventBusName": name, "RuleName": arn.rpartition("/")[2]}
    service = unique("service")
    _alarm(aws, f"{prefix}-rule", "AWS/Events", "FailedInvocations", ours)
    _alarm(aws, f"{prefix}-matched", "AWS/Events", "MatchedEvents", ours)
    _alarm(aws, f"{prefix}-other", "AWS/Events", "FailedInvocations", ours | {"RuleName": "other"})
    _alarm(aws, f"{prefix}-log", "Tests", "Refused", {"service": service})
    parked = queue(aws)
    queue_name = {"QueueName": parked.arn.rpartition(":")[2]}
    _alarm(aws, f"{prefix}-queue", "AWS/SQS", "ApproximateNumberOfMessagesVisible", queue_name)
    parked.sqs.send_message(QueueUrl=parked.url, MessageBody="waits")
    send(aws, name, {"n": 1})
    aws.client("lambda").invoke(
        FunctionName=function(aws, PRINTS_A_METRIC), Payload=json.dumps({"service": service})
    )
    alarms = aws.client("cloudwatch").describe_alarms(AlarmNamePrefix=prefix, StateValue="ALARM")[
        "MetricAlarms"
    ]
    firing = {alarm["AlarmName"].removeprefix(prefix) for alarm in alarms}
    return firing == {"-rule", "-matched", "-log", "-queue"}


def filtering_logs_gives_every_page(aws: Aws) -> bool:
    logs = aws.client("logs")
    group = unique("group")
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    now = int(time.time() * 1000)
    lines = [{"timestamp": now + number, "message": f"line {number}"} for number in range(10)]
    logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=lines)
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=group, filterPattern="line", PaginationConfig={"PageSize": 4}
    )
    return [event["message"] for page in pages for event in page["events"]] == [
        line["message"] for line in lines
    ]


def resources_of_cloud_control_work(aws: Aws) -> bool:
    return _an_archive_archives(aws) and _a_queue_takes_messages(aws)


def _a_queue_takes_messages(aws: Aws) -> bool:
    sqs, control = aws.client("sqs"), aws.client("cloudcontrol")
    state = json.dumps({"QueueName": unique("queue"), "MaximumMessageSize": 2048})
    made = control.create_resource(TypeName="AWS::SQS::Queue", DesiredState=state)["ProgressEvent"]
    try:
        sqs.send_message(QueueUrl=made["Identifier"], MessageBody="x" * 2048)
    except ClientError:
        return False
    return True


def size_limits_of_aws_apply(aws: Aws) -> bool:
    """Return whether a message is refused that exceeds its queue's limit only with its attributes."""
    small = queue(aws, MaximumMessageSize="2048")
    attributes = {"reason": {"DataType": "String", "StringValue": "y" * 100}}
    try:
        small.sqs.send_message(QueueUrl=small.url, MessageBody="x" * 2000, MessageAttributes=attributes)
    except ClientError as error:
        return bool(error.response["Error"]["Code"] == "InvalidParameterValue")
    return False


def queues_refuse_what_aws_refuses(aws: Aws) -> bool:
    taker = queue(aws)
    try:
        taker.sqs.send_message(QueueUrl=taker.url, MessageBody="x", DelaySeconds=901)
    except ClientError as error:
        return bool(error.response["Error"]["Code"] == "InvalidParameterValue")
    return False


def a_time_out_beyond_that_of_lambda_is_refused(aws: Aws) -> bool:
    try:
        function(aws, FAILS, Timeout=901)
    except ClientError as error:
        return bool(error.response["Error"]["Code"] == "ValidationException")
    return False


def reserved_concurrency_has_a_quota(aws: Aws) -> bool:
    arn = function(aws, FAILS)
    try:
        aws.client("lambda").put_function_concurrency(FunctionName=arn, ReservedConcurrentExecutions=1_000)
    except ClientError as error:
        return bool(error.response["Error"]["Code"] == "InvalidParameterValueException")
    return False


def an_expired_item_is_deleted_late(aws: Aws) -> bool:
    """Return whether an item that expired is there after MiniStack would have looked for it."""
    dynamodb, name = aws.client("dynamodb"), unique("table")
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    specification = {"Enabled": True, "AttributeName": "expires"}
    dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=specification)
    dynamodb.put_item(TableName=name, Item={"id": {"S": "old"}, "expires": {"N": str(int(time.time()))}})
    deadline = time.monotonic() + EXPIRY_SECONDS
    while time.monotonic() < deadline:
        if not dynamodb.scan(TableName=name)["Items"]:
            return False
        time.sleep(1.0)
    return True


def _an_archive_archives(aws: Aws) -> bool:
    events, control = aws.client("events"), aws.client("cloudcontrol")
    name, archive = bus(aws), unique("archive")
    bus_arn = events.describe_event_bus(Name=name)["Arn"]
    state = json.dumps({"ArchiveName": archive, "SourceArn": bus_arn, "RetentionDays": 3})
    control.create_resource(TypeName="AWS::Events::Archive", DesiredState=state)
    send(aws, name, {"n": 1})
    try:
        described = events.describe_archive(ArchiveName=archive)
        control.delete_resource(TypeName="AWS::Events::Archive", Identifier=archive)
    except ClientError:
        return False
    left = [one["ArchiveName"] for one in events.list_archives()["Archives"]]
    return (described["EventCount"], described["RetentionDays"]) == (1, 3) and archive not in left


def a_query_can_be_saved(aws: Aws) -> bool:
    logs = aws.client("logs")
    name = unique("query")
    try:
        identifier = logs.put_query_definition(name=name, queryString="fields @message")["queryDefinitionId"]
        found = logs.describe_query_definitions(queryDefinitionNamePrefix=name)["queryDefinitions"]
        logs.delete_query_definition(queryDefinitionId=identifier)
    except ClientError:
        return False
    left = logs.describe_query_definitions(queryDefinitionNamePrefix=name)["queryDefinitions"]
    return [one["queryString"] for one in found] == ["fields @message"] and left == []


def a_query_finds_the_fields_of_json_lines(aws: Aws) -> bool:
    logs = aws.client("logs")
    group = unique("group")
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    now = time.time()
    lines = [
        {"timestamp": int(now * 1000), "message": json.dumps({"id": id_, "a": {"b": 1}})} for id_ in "xy"
    ]
    logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=lines)
    started = logs.start_query(
        logGroupName=group,
        startTime=int(now) - 60,
        endTime=int(now) + 60,
        queryString='fields a.b | filter id = "y"',
    )
    rows = logs.get_query_results(queryId=started["queryId"])["results"]
    return [cell for row in rows for cell in row if cell["field"] != "@ptr"] == [
        {"field": "a.b", "value": "1"}
    ]


def a_schedule_invokes_its_function_with_its_input(aws: Aws) -> bool:
    parked = queue(aws)
    arn = function(aws, FAILS, DeadLetterConfig={"TargetArn": parked.arn})
    aws.client("lambda").put_function_event_invoke_config(FunctionName=arn, MaximumRetryAttempts=0)
    aws.client("scheduler").create_schedule(
        Name=unique("schedule"),
        ScheduleExpression="at(2026-01-01T00:00:00)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": arn, "RoleArn": ADMINISTRATOR, "Input": '{"n": 1}'},
    )
    deadline = time.monotonic() + SCHEDULE_SECONDS
    while time.monotonic() < deadline:
        if messages := parked.messages():
            return [json.loads(message["Body"]) for message in messages] == [{"n": 1}]
        time.sleep(0.2)
    return False


def a_role_writes_only_the_items_that_its_policy_names(aws: Aws) -> bool:
    name = unique("table")
    table = {"AttributeName": "id", "KeyType": "HASH"}
    arn = aws.client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[table],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )["TableDescription"]["TableArn"]
    own = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["own"]}}
    writer = {"Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": arn, "Condition": own}
    items = session(aws, role(aws, unique("writer"), writer)).client("dynamodb")
    items.put_item(TableName=name, Item={"id": {"S": "own"}})
    try:
        items.put_item(TableName=name, Item={"id": {"S": "other"}})
    except ClientError as refused:
        return refused.response["Error"]["Code"] == "AccessDeniedException"
    return False


def a_destination_needs_a_role_that_may_send_to_it(aws: Aws) -> bool:
    arn = function(aws, FAILS, Role=role(aws, unique("mute")))
    destination = {"OnFailure": {"Destination": queue(aws).arn}}
    try:
        aws.client("lambda").put_function_event_invoke_config(FunctionName=arn, DestinationConfig=destination)
    except ClientError as refused:
        return "does not have permissions to call SendMessage on SQS" in str(refused)
    return False


def a_schedule_needs_a_role_that_scheduler_may_assume(aws: Aws) -> bool:
    stranger = role(aws, unique("stranger"), trusted=trust(Service="ec2.amazonaws.com"))
    try:
        aws.client("scheduler").create_schedule(
            Name=unique("schedule"),
            ScheduleExpression="rate(1 day)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": function(aws, FAILS), "RoleArn": stranger},
        )
    except ClientError as refused:
        return "must allow AWS EventBridge Scheduler to assume the role" in str(refused)
    return False


def the_key_of_a_log_group_can_be_changed(aws: Aws) -> bool:
    logs, group = aws.client("logs"), unique("group")
    opened = policy(EVERYTHING | {"Principal": {"Service": f"logs.{aws.region}.amazonaws.com"}})
    key = aws.client("kms").create_key(Policy=opened)["KeyMetadata"]["Arn"]
    logs.create_log_group(logGroupName=group)

    def used() -> str | None:
        (found,) = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        return str(found["kmsKeyId"]) if "kmsKeyId" in found else None

    seen = []
    try:
        logs.associate_kms_key(logGroupName=group, kmsKeyId=key)
        seen.append(used())
        logs.disassociate_kms_key(logGroupName=group)
        seen.append(used())
    except ClientError:
        return False
    return seen == [key, None]


SCENARIOS: Mapping[str, Callable[[Aws], bool]] = {
    "rule-arns": rules_on_a_bus_with_slashes_have_tags,
    "partner-events": partner_events_reach_the_bus_of_their_source,
    "bounded-lambda": many_events_share_a_few_processes,
    "target-dlq": an_undeliverable_event_goes_to_the_targets_queue,
    "replays": a_replay_reaches_only_the_rules_that_it_names,
    "function-dlq": a_functions_dead_letter_queue_gets_the_event,
    "queues": events_for_a_fifo_queue_are_deduplicated,
    "workers": a_function_sees_only_its_own_environment_and_survives_its_errors,
    "alarms": an_alarm_written_by_terraform_reads_back_complete,
    "metrics": an_alarm_follows_its_own_metric,
    "logs": filtering_logs_gives_every_page,
    "cloud-control": resources_of_cloud_control_work,
    "sizes": size_limits_of_aws_apply,
    "in-flight": queues_refuse_what_aws_refuses,
    "limits": a_time_out_beyond_that_of_lambda_is_refused,
    "concurrency": reserved_concurrency_has_a_quota,
    "expiry": an_expired_item_is_deleted_late,
    "schedules": a_schedule_invokes_its_function_with_its_input,
    "log-keys": the_key_of_a_log_group_can_be_changed,
    "saved-queries": a_query_can_be_saved,
    "permissions": a_role_writes_only_the_items_that_its_policy_names,
    "function-roles": a_destination_needs_a_role_that_may_send_to_it,
    "service-permissions": a_schedule_needs_a_role_that_scheduler_may_assume,
    "insights": a_query_finds_the_fields_of_json_lines,
}


def _alarm(aws: Aws, name: str, namespace: str, metric: str, dimensions: dict[str, str]) -> None:
    aws.client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )


def _query(aws: Aws, action: str, parameters: dict[str, str]) -> ElementTree.Element:
    """Call CloudWatch over the query protocol, as the Terraform provider does."""
    body = urllib.parse.urlencode({"Action": action, "Version": "2010-08-01"} | parameters).encode()
    scope = f"{aws.credentials.access_key_id}/20260101/{aws.region}/monitoring/aws4_request"
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
    }
    request = urllib.request.Request(aws.url, body, headers)  # noqa: S310 - loopback
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - loopback
        return ElementTree.fromstring(answer.read())  # noqa: S314 - our own server's answer
