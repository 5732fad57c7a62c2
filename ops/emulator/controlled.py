"""The types that Cloud Control manages here as real resources: EventBridge archives and SQS queues.

Sources: CloudFormation resource reference, AWS::Events::Archive (identified by ArchiveName) and
AWS::SQS::Queue (identified by QueueUrl).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, Protocol

from ministack.services import eventbridge, sqs

Data = dict[str, Any]

# A property of an archive: its name in Cloud Control, and in EventBridge.
_OF_ARCHIVE: Final[Mapping[str, str]] = {
    "SourceArn": "EventSourceArn",
    "Description": "Description",
    "EventPattern": "EventPattern",
    "RetentionDays": "RetentionDays",
    "KmsKeyIdentifier": "KmsKeyIdentifier",
}
_NUMBERS: Final = (
    "DelaySeconds",
    "KmsDataKeyReusePeriodSeconds",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "ReceiveMessageWaitTimeSeconds",
    "VisibilityTimeout",
)
_SWITCHES: Final = ("ContentBasedDeduplication", "FifoQueue", "SqsManagedSseEnabled")
_DOCUMENTS: Final = ("RedriveAllowPolicy", "RedrivePolicy")
_TEXTS: Final = ("DeduplicationScope", "FifoThroughputLimit", "KmsMasterKeyId")
# The value of a property that is removed (Amazon SQS API reference, CreateQueue).
_DEFAULTS: Final[Mapping[str, str]] = {
    "DelaySeconds": "0",
    "KmsDataKeyReusePeriodSeconds": "300",
    "MaximumMessageSize": "1048576",
    "MessageRetentionPeriod": "345600",
    "ReceiveMessageWaitTimeSeconds": "0",
    "VisibilityTimeout": "30",
    "ContentBasedDeduplication": "false",
    "SqsManagedSseEnabled": "true",
}


class HandlerError(Exception):
    """A request fails; the code is one of Cloud Control's HandlerErrorCode values."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ControlledType(Protocol):
    """One type of resource. Each operation raises HandlerError if the service refuses it."""

    @property
    def create_only(self) -> tuple[str, ...]:
        """Properties that can't be changed."""

    def create(self, properties: Data) -> str:
        """Create the resource and return its identifier."""

    def read(self, identifier: str) -> Data | None:
        """Return the current properties of the resource, or None if it doesn't exist."""

    def update(self, identifier: str, before: Data, after: Data) -> None:
        """Update the properties that differ."""

    def delete(self, identifier: str) -> None:
        """Delete the resource, which exists."""

    def identifiers(self) -> list[str]:
        """Return the identifiers of the existing resources."""


class ControlledArchive:
    """AWS::Events::Archive."""

    create_only = ("ArchiveName", "SourceArn")

    def create(self, properties: Data) -> str:
        """Create an archive; see ControlledType."""
        name: str = properties["ArchiveName"]
        _accepted(eventbridge._create_archive(_archive(properties)))
        return name

    def read(self, identifier: str) -> Data | None:
        """Read an archive; see ControlledType."""
        archive = eventbridge._archives.get(identifier)
        if archive is None:
            return None
        properties: Data = {"ArchiveName": identifier, "Arn": archive["ArchiveArn"]}
        for theirs, ours in _OF_ARCHIVE.items():
            if archive.get(ours):
                properties[theirs] = json.loads(archive[ours]) if theirs == "EventPattern" else archive[ours]
        return properties

    def update(self, identifier: str, before: Data, after: Data) -> None:
        """Update an archive; see ControlledType."""
        del before
        _accepted(eventbridge._update_archive(_archive(after)))
        if "KmsKeyIdentifier" not in after:
            # EventBridge API reference, UpdateArchive: without one it uses a key that AWS owns.
            eventbridge._archives[identifier].pop("KmsKeyIdentifier", None)

    def delete(self, identifier: str) -> None:
        """Delete an archive; see ControlledType."""
        _accepted(eventbridge._delete_archive({"ArchiveName": identifier}))

    def identifiers(self) -> list[str]:
        """List the archives; see ControlledType."""
        return list(eventbridge._archives)


class ControlledQueue:
    """AWS::SQS::Queue."""

    create_only = ("QueueName", "FifoQueue")

    def create(self, properties: Data) -> str:
        """Create a queue; see ControlledType."""
        name = properties["QueueName"]
        if sqs._queue_name_to_url.get(name):
            raise HandlerError("AlreadyExists", f"the queue {name} already exists")
        try:
            made = sqs._act_create_queue(
                {"QueueName": name, "Attributes": _attributes(properties), "tags": _tags(properties)}, ""
            )
        except sqs._Err as error:
            raise HandlerError("InvalidRequest", error.message) from error
        url: str = sqs._externalize_url(made["QueueUrl"])
        return url

    def read(self, identifier: str) -> Data | None:
        """Read a queue; see ControlledType."""
        queue = _queue(identifier)
        if queue is None:
            return None
        attributes = queue["attributes"]
        properties: Data = {
            "QueueName": queue["name"],
            "QueueUrl": sqs._externalize_url(queue["url"]),
            "Arn": attributes["QueueArn"],
        }
        for names, of in ((_NUMBERS, int), (_SWITCHES, _is_true), (_DOCUMENTS, json.loads), (_TEXTS, str)):
            properties |= {name: of(attributes[name]) for name in names if attributes.get(name)}
        if queue["tags"]:
            properties["Tags"] = [{"Key": key, "Value": value} for key, value in queue["tags"].items()]
        return properties

    def update(self, identifier: str, before: Data, after: Data) -> None:
        """Update a queue; see ControlledType."""
        was, will_be = _attributes(before), _attributes(after)
        changed = {name: value for name, value in will_be.items() if was.get(name) != value}
        removed = {name: _DEFAULTS.get(name, "") for name in was if name not in will_be}
        queue = _queue(identifier)
        assert queue is not None  # it was just read
        try:
            sqs._act_set_queue_attributes({"QueueUrl": queue["url"], "Attributes": changed | removed}, "")
        except sqs._Err as error:
            raise HandlerError("InvalidRequest", error.message) from error
        queue["tags"].clear()
        queue["tags"].update(_tags(after))

    def delete(self, identifier: str) -> None:
        """Delete a queue; see ControlledType."""
        sqs._act_delete_queue({"QueueUrl": identifier}, identifier)

    def identifiers(self) -> list[str]:
        """List the queues; see ControlledType."""
        return [sqs._externalize_url(url) for url in sqs._queues]


TYPES: Final[Mapping[str, ControlledType]] = {
    "AWS::Events::Archive": ControlledArchive(),
    "AWS::SQS::Queue": ControlledQueue(),
}


def _archive(properties: Data) -> Data:
    archive: Data = {"ArchiveName": properties["ArchiveName"]}
    for theirs, ours in _OF_ARCHIVE.items():
        value = properties.get(theirs)
        if value is not None:
            archive[ours] = json.dumps(value) if isinstance(value, dict) else value
    return archive


def _accepted(answer: tuple[int, dict[str, str], bytes]) -> None:
    if answer[0] != 200:
        error = json.loads(answer[2])
        exists = "AlreadyExists" in error.get("__type", "")
        raise HandlerError("AlreadyExists" if exists else "InvalidRequest", error.get("message", ""))


def _queue(identifier: str) -> Data | None:
    try:
        queue: Data = sqs._get_q(identifier)
    except sqs._Err:
        return None
    return queue


def _is_true(value: str) -> bool:
    return value == "true"


def _attributes(properties: Data) -> dict[str, str]:
    """Return a queue's properties as SQS attributes."""
    attributes = {}
    for name in (*_NUMBERS, *_SWITCHES, *_DOCUMENTS, *_TEXTS):
        value = properties.get(name)
        if isinstance(value, bool):
            attributes[name] = str(value).lower()
        elif isinstance(value, dict):
            attributes[name] = json.dumps(value)
        elif value is not None:
            attributes[name] = str(value)
    return attributes


def _tags(properties: Data) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in properties.get("Tags") or []}
