"""Resources that provider 5.100 knows too little of, made through AWS's Cloud Control API.

Cloud Control takes every property that CloudFormation does. What it needs to know of a type is its schema in
the CloudFormation registry, given here cut to what is used, so that a plan needs no permission to ask for it.
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
