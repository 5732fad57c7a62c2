"""Schemas of the resources of the Cloud Control API, which provider 5.100 lacks arguments for.

Cloud Control has every property of CloudFormation. The provider would read a type's schema from the
CloudFormation registry, for which a plan would need a permission; these are its parts that are used.
"""

from collections.abc import Mapping
from typing import Any, Final

# Whole events are messages of up to 1 MiB; see docs/decisions/0001-event-sizes.md.
QUEUE: Final[Mapping[str, Any]] = {
    "typeName": "AWS::SQS::Queue",
    "description": "A queue of Amazon SQS",
    "additionalProperties": False,
    "properties": {
        "Arn": {"type": "string"},
        "ContentBasedDeduplication": {"type": "boolean"},
        "DeduplicationScope": {"type": "string"},
        "FifoQueue": {"type": "boolean"},
        "FifoThroughputLimit": {"type": "string"},
        "KmsDataKeyReusePeriodSeconds": {"type": "integer"},
        "KmsMasterKeyId": {"type": "string"},
        "MaximumMessageSize": {"type": "integer"},
        "MessageRetentionPeriod": {"type": "integer"},
        "QueueName": {"type": "string"},
        "QueueUrl": {"type": "string"},
        "RedriveAllowPolicy": {"type": "object"},
        "RedrivePolicy": {"type": "object"},
        "SqsManagedSseEnabled": {"type": "boolean"},
        "Tags": {"type": "array", "items": {"type": "object"}},
        "VisibilityTimeout": {"type": "integer"},
    },
    "createOnlyProperties": ["/properties/QueueName", "/properties/FifoQueue"],
    "readOnlyProperties": ["/properties/Arn", "/properties/QueueUrl"],
    "primaryIdentifier": ["/properties/QueueUrl"],
}

ARCHIVE: Final[Mapping[str, Any]] = {
    "typeName": "AWS::Events::Archive",
    "description": "An archive of the events of an event bus",
    "additionalProperties": False,
    "properties": {
        "ArchiveName": {"type": "string", "minLength": 1, "maxLength": 48},
        "Arn": {"type": "string"},
        "Description": {"type": "string"},
        "EventPattern": {"type": "object"},
        "KmsKeyIdentifier": {"type": "string", "maxLength": 2048},
        "RetentionDays": {"type": "integer"},
        "SourceArn": {"type": "string"},
    },
    "required": ["SourceArn"],
    "createOnlyProperties": ["/properties/ArchiveName", "/properties/SourceArn"],
    "readOnlyProperties": ["/properties/Arn"],
    "primaryIdentifier": ["/properties/ArchiveName"],
}
