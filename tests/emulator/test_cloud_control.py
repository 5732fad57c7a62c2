"""Cloud Control creates, reads, updates and deletes real queues and archives."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ops.emulator.json_patch import patched
from ops.local.clients import Aws
from tests.emulator.process import Emulator
from tests.emulator.resources import bus, unique
from tests.emulator.roles import ACCOUNT

QUEUE = "AWS::SQS::Queue"
ARCHIVE = "AWS::Events::Archive"


@pytest.fixture
def aws(emulator: Emulator) -> Aws:
    return emulator.aws


def make(aws: Aws, kind: str, **properties: Any) -> dict[str, Any]:
    """Create a resource and return the status of the request."""
    answer = aws.client("cloudcontrol").create_resource(TypeName=kind, DesiredState=json.dumps(properties))
    event: dict[str, Any] = answer["ProgressEvent"]
    return event


def change(aws: Aws, kind: str, identifier: str, *operations: dict[str, Any]) -> dict[str, Any]:
    answer = aws.client("cloudcontrol").update_resource(
        TypeName=kind, Identifier=identifier, PatchDocument=json.dumps(operations)
    )
    event: dict[str, Any] = answer["ProgressEvent"]
    return event


def read(aws: Aws, kind: str, identifier: str) -> dict[str, Any]:
    answer = aws.client("cloudcontrol").get_resource(TypeName=kind, Identifier=identifier)
    properties: dict[str, Any] = json.loads(answer["ResourceDescription"]["Properties"])
    return properties


def test_a_created_queue_reads_back_with_its_settings(aws: Aws) -> None:
    name = unique("queue") + ".fifo"
    wanted = {
        "QueueName": name,
        "FifoQueue": True,
        "ContentBasedDeduplication": True,
        "MaximumMessageSize": 1048576,
        "MessageRetentionPeriod": 1209600,
        "VisibilityTimeout": 360,
        "RedriveAllowPolicy": {"redrivePermission": "denyAll"},
        "SqsManagedSseEnabled": True,
        "Tags": [{"Key": "Project", "Value": "huntaze"}, {"Key": "ManagedBy", "Value": "terraform"}],
    }
    made = make(aws, QUEUE, **wanted)
    assert made["OperationStatus"] == "SUCCESS"
    sqs = aws.client("sqs")
    assert made["Identifier"] == sqs.get_queue_url(QueueName=name)["QueueUrl"]
    back = read(aws, QUEUE, made["Identifier"])
    assert back.pop("Arn") == f"arn:aws:sqs:{aws.region}:{ACCOUNT}:{name}"
    assert back.pop("QueueUrl") == made["Identifier"]
    assert {name: back[name] for name in wanted} == wanted
    attributes = sqs.get_queue_attributes(QueueUrl=made["Identifier"], AttributeNames=["All"])["Attributes"]
    assert (attributes["MaximumMessageSize"], attributes["VisibilityTimeout"]) == ("1048576", "360")
    assert sqs.list_queue_tags(QueueUrl=made["Identifier"])["Tags"] == {
        "Project": "huntaze",
        "ManagedBy": "terraform",
    }


def test_a_queue_is_updated_in_place(aws: Aws) -> None:
    tags = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    limited = {"MaximumMessageSize": 262144, "KmsMasterKeyId": "alias/key", "Tags": tags}
    url = make(aws, QUEUE, QueueName=unique("queue"), **limited)["Identifier"]
    aws.client("sqs").send_message(QueueUrl=url, MessageBody="stays")
    ended = change(
        aws,
        QUEUE,
        url,
        {"op": "replace", "path": "/MaximumMessageSize", "value": 1048576},
        {"op": "add", "path": "/VisibilityTimeout", "value": 60},
        {"op": "remove", "path": "/KmsMasterKeyId"},
        {"op": "replace", "path": "/Tags/0/Value", "value": "3"},
        {"op": "remove", "path": "/Tags/1"},
    )
    assert ended["OperationStatus"] == "SUCCESS"
    back = read(aws, QUEUE, url)
    assert (back["MaximumMessageSize"], back["VisibilityTimeout"]) == (1048576, 60)
    assert "KmsMasterKeyId" not in back
    assert back["Tags"] == [{"Key": "a", "Value": "3"}]
    assert len(aws.client("sqs").receive_message(QueueUrl=url)["Messages"]) == 1


def test_changes_made_with_sqs_are_read(aws: Aws) -> None:
    url = make(aws, QUEUE, QueueName=unique("queue"))["Identifier"]
    aws.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "90"})
    assert read(aws, QUEUE, url)["VisibilityTimeout"] == 90


def test_an_existing_queue_is_not_created_again(aws: Aws) -> None:
    name = unique("queue")
    make(aws, QUEUE, QueueName=name)
    again = make(aws, QUEUE, QueueName=name)
    assert (again["OperationStatus"], again["ErrorCode"]) == ("FAILED", "AlreadyExists")


def test_a_request_repeated_with_its_token_is_done_once(aws: Aws) -> None:
    control, name = aws.client("cloudcontrol"), unique("queue")
    request = {"TypeName": QUEUE, "ClientToken": name, "DesiredState": json.dumps({"QueueName": name})}
    first, again = (control.create_resource(**request)["ProgressEvent"] for _ in range(2))
    assert first == again
    assert again["OperationStatus"] == "SUCCESS"


def test_a_refusal_of_sqs_fails_with_its_reason(aws: Aws) -> None:
    refused = make(aws, QUEUE, QueueName=unique("queue"), MaximumMessageSize=1)
    assert (refused["OperationStatus"], refused["ErrorCode"]) == ("FAILED", "InvalidRequest")
    assert "MaximumMessageSize" in refused["StatusMessage"]


def test_the_name_of_a_queue_cannot_change(aws: Aws) -> None:
    url = make(aws, QUEUE, QueueName=unique("queue"))["Identifier"]
    refused = change(aws, QUEUE, url, {"op": "replace", "path": "/QueueName", "value": "other"})
    assert (refused["OperationStatus"], refused["ErrorCode"]) == ("FAILED", "NotUpdatable")


@pytest.mark.parametrize(
    "operation", [{"op": "replace", "path": "/Tags/7/Value", "value": "3"}, {"op": "move", "path": "/Tags"}]
)
def test_a_patch_with_an_unknown_path_is_refused(aws: Aws, operation: dict[str, Any]) -> None:
    url = make(aws, QUEUE, QueueName=unique("queue"), Tags=[{"Key": "a", "Value": "1"}])["Identifier"]
    assert change(aws, QUEUE, url, operation)["ErrorCode"] == "InvalidRequest"


def test_a_deleted_queue_is_gone(aws: Aws) -> None:
    control, name = aws.client("cloudcontrol"), unique("queue")
    url = make(aws, QUEUE, QueueName=name)["Identifier"]
    assert url in [
        one["Identifier"] for one in control.list_resources(TypeName=QUEUE)["ResourceDescriptions"]
    ]
    ended = [control.delete_resource(TypeName=QUEUE, Identifier=url)["ProgressEvent"] for _ in range(2)]
    assert ended[0]["OperationStatus"] == "SUCCESS"
    assert ended[1]["ErrorCode"] == "NotFound"
    with pytest.raises(ClientError, match="NonExistentQueue"):
        aws.client("sqs").get_queue_url(QueueName=name)
    with pytest.raises(ClientError, match="was not found"):
        read(aws, QUEUE, url)
    with pytest.raises(ClientError, match="was not found"):
        change(aws, QUEUE, url)


def test_an_archive_is_updated_and_read(aws: Aws) -> None:
    events, name = aws.client("events"), unique("archive")
    source = events.describe_event_bus(Name=bus(aws))["Arn"]
    wanted = {
        "ArchiveName": name,
        "SourceArn": source,
        "RetentionDays": 3,
        "EventPattern": {"source": ["tests"]},
    }
    assert make(aws, ARCHIVE, **wanted)["Identifier"] == name
    assert make(aws, ARCHIVE, **wanted)["ErrorCode"] == "AlreadyExists"
    change(aws, ARCHIVE, name, {"op": "replace", "path": "/RetentionDays", "value": 9})
    assert events.describe_archive(ArchiveName=name)["RetentionDays"] == 9
    back = read(aws, ARCHIVE, name)
    assert back.pop("Arn") == events.describe_archive(ArchiveName=name)["ArchiveArn"]
    assert back == wanted | {"RetentionDays": 9}


def test_another_type_is_only_stored(aws: Aws) -> None:
    name = unique("other")
    make(aws, "Tests::Other::Thing", Name=name)
    assert read(aws, "Tests::Other::Thing", name) == {"Name": name}


def test_a_patch_does_not_change_its_input() -> None:
    document = {"a~/b": [1, 3]}
    added = [{"op": "add", "path": "/a~0~1b/1", "value": 2}, {"op": "add", "path": "/a~0~1b/-", "value": 4}]
    assert patched(document, added) == {"a~/b": [1, 2, 3, 4]}
    assert document == {"a~/b": [1, 3]}
