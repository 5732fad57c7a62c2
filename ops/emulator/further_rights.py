"""The rights that a request needs beside its own action, with the caller's credentials.

Sources: IAM user guide, "Grant a user permissions to pass a role to an AWS service"; the API reference of
each operation that takes tags; the `handlers` of the schemas of AWS::SQS::Queue and AWS::Events::Archive;
Amazon DynamoDB, "Managing encrypted tables"; Secrets Manager, CreateSecret and UpdateSecret; Lambda developer
guide, "Securing Lambda environment variables" and "Giving Lambda functions access to resources in an Amazon
VPC".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ministack.services import lambda_svc

from ops.emulator import key_use
from ops.emulator.named_resources import Parameters, arn
from ops.emulator.principals import EVENTS, LAMBDA, SCHEDULER


@dataclass(frozen=True)
class Right:
    """An action on a resource, with its condition keys."""

    action: str
    resource: str
    keys: Mapping[str, Any] = field(default_factory=dict)


def further_rights(action: str, resource: str, parameters: Parameters) -> list[Right]:
    """Return what a request needs beside `action` on `resource`."""
    if action.startswith("cloudformation:"):
        return list(_of_handler(action.partition(":")[2], parameters))
    return [
        *_to_tag(action, resource, parameters),
        *_to_pass_roles(action, resource, parameters),
        *_to_use_a_key(action, resource, parameters),
        *_to_join_a_network(action, parameters),
    ]


# Tags of something new.

_TAGGING: Final = {
    "cloudwatch:PutCompositeAlarm": "cloudwatch:TagResource",
    "cloudwatch:PutMetricAlarm": "cloudwatch:TagResource",
    "dynamodb:CreateTable": "dynamodb:TagResource",
    "events:CreateEventBus": "events:TagResource",
    "events:PutRule": "events:TagResource",
    "glue:CreateDatabase": "glue:TagResource",
    "iam:CreateRole": "iam:TagRole",
    "kms:CreateKey": "kms:TagResource",
    "lambda:CreateEventSourceMapping": "lambda:TagResource",
    "lambda:CreateFunction": "lambda:TagResource",
    "logs:CreateLogGroup": "logs:TagResource",
    "secretsmanager:CreateSecret": "secretsmanager:TagResource",
    "sns:CreateTopic": "sns:TagResource",
    "sqs:CreateQueue": "sqs:TagQueue",
}
# What is created has no name yet.
_NAMELESS: Final = {"kms:CreateKey": "key/*", "lambda:CreateEventSourceMapping": "event-source-mapping:*"}


def _to_tag(action: str, resource: str, parameters: Parameters) -> Iterator[Right]:
    tagging = _TAGGING.get(action)
    tagged = any(name.lower() == "tags" or name.startswith("Tags.") for name in parameters)
    if tagging and tagged:
        service = action.partition(":")[0]
        new = _NAMELESS.get(action)
        tags = request_tags(parameters)
        keys: dict[str, Any] = {f"aws:RequestTag/{name}": value for name, value in tags.items()}
        keys["aws:TagKeys"] = list(tags)
        yield Right(tagging, arn(service, new) if new else resource.removesuffix(":*"), keys)


def request_tags(parameters: Parameters) -> dict[str, str]:
    """Return the tags in a request, of JSON or of a query."""
    found = parameters.get("Tags", parameters.get("tags", []))
    if isinstance(found, dict):
        return {str(name): str(value) for name, value in found.items()}
    pairs = {each.get("Key", each.get("TagKey")): each.get("Value", each.get("TagValue")) for each in found}
    number = 1
    for form in ("Tags.member", "Tags.Tag"):
        while name := parameters.get(f"{form}.{number}.Key"):
            pairs[name] = parameters.get(f"{form}.{number}.Value", "")
            number += 1
    return {str(name): str(value) for name, value in pairs.items()}


# Roles that are given to a service.

_TAKES_ROLE: Final = {
    "lambda:CreateFunction": LAMBDA,
    "lambda:UpdateFunctionConfiguration": LAMBDA,
    "scheduler:CreateSchedule": SCHEDULER,
    "scheduler:UpdateSchedule": SCHEDULER,
    "events:PutRule": EVENTS,
    "events:PutTargets": EVENTS,
}


def _to_pass_roles(action: str, resource: str, parameters: Parameters) -> Iterator[Right]:
    service = _TAKES_ROLE.get(action)
    if service is None:
        return
    holders = [parameters, parameters.get("Target") or {}, *(parameters.get("Targets") or [])]
    for role in {each.get("Role") or each.get("RoleArn") for each in holders} - {None}:
        keys = {"iam:PassedToService": service, "iam:AssociatedResourceArn": resource}
        yield Right("iam:PassRole", role, keys)


# Keys of what is created, changed or read.

# DynamoDB uses a key with a grant that it makes with the caller's rights.
_ENCRYPT_TABLE: Final = (
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)
_ENCRYPT_VARIABLES: Final = ("kms:CreateGrant", "kms:Encrypt", "kms:Decrypt")
_KEY_ACTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "dynamodb:CreateTable": _ENCRYPT_TABLE,
    "dynamodb:UpdateTable": _ENCRYPT_TABLE,
    "lambda:CreateFunction": _ENCRYPT_VARIABLES,
    "lambda:UpdateFunctionConfiguration": _ENCRYPT_VARIABLES,
    "lambda:GetFunction": key_use.READ,
    "lambda:GetFunctionConfiguration": key_use.READ,
    "secretsmanager:CreateSecret": key_use.WRITE,
    "secretsmanager:UpdateSecret": ("kms:Encrypt", *key_use.WRITE),
}


def _to_use_a_key(action: str, resource: str, parameters: Parameters) -> Iterator[Right]:
    service = action.partition(":")[0]
    actions = _KEY_ACTIONS.get(action, ())
    named = _named_key(action, resource, parameters) if actions else None
    key = key_use.key_arn(named)
    if key is None:
        return
    context = {"aws:lambda:FunctionArn": resource} if service == "lambda" else {}
    for each in actions:
        yield Right(each, key, key_use.Use(key, context).keys(service))


def _named_key(action: str, resource: str, parameters: Parameters) -> str | None:
    if action.startswith("dynamodb:"):
        return (parameters.get("SSESpecification") or {}).get("KMSMasterKeyId")
    if action.startswith("secretsmanager:"):
        return parameters.get("KmsKeyId")
    if action.startswith("lambda:Get"):
        function = lambda_svc._functions.get(resource.rpartition(":function:")[2]) or {}
        key: str | None = (function.get("config") or {}).get("KMSKeyArn")
        return key
    return parameters.get("KMSKeyArn")


def _to_join_a_network(action: str, parameters: Parameters) -> Iterator[Right]:
    if action not in ("lambda:CreateFunction", "lambda:UpdateFunctionConfiguration"):
        return
    if (parameters.get("VpcConfig") or {}).get("SubnetIds"):
        for each in ("ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"):
            yield Right(each, "*")


# The handlers of Cloud Control.

_HANDLERS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "AWS::SQS::Queue": {
        "CreateResource": (
            "sqs:CreateQueue",
            "sqs:GetQueueAttributes",
            "sqs:GetQueueUrl",
            "sqs:ListQueueTags",
            "sqs:TagQueue",
        ),
        "GetResource": ("sqs:GetQueueAttributes", "sqs:ListQueueTags"),
        "UpdateResource": (
            "sqs:GetQueueAttributes",
            "sqs:ListQueueTags",
            "sqs:SetQueueAttributes",
            "sqs:TagQueue",
            "sqs:UntagQueue",
        ),
        "DeleteResource": ("sqs:DeleteQueue", "sqs:GetQueueAttributes"),
    },
    "AWS::Events::Archive": {
        "CreateResource": ("events:CreateArchive", "events:DescribeArchive"),
        "GetResource": ("events:DescribeArchive",),
        "UpdateResource": ("events:DescribeArchive", "events:UpdateArchive"),
        "DeleteResource": ("events:DeleteArchive", "events:DescribeArchive"),
    },
}


def _of_handler(operation: str, parameters: Parameters) -> Iterator[Right]:
    actions = _HANDLERS.get(parameters.get("TypeName", ""), {}).get(operation, ())
    properties = json.loads(parameters.get("DesiredState") or "{}")
    name = properties.get("QueueName") or properties.get("ArchiveName") or parameters.get("Identifier", "")
    for action in actions:
        service = action.partition(":")[0]
        kind = "archive/" if service == "events" else ""
        yield Right(action, arn(service, kind + name.rsplit("/", 1)[-1]))
        if action == "events:CreateArchive":
            yield Right(action, properties.get("SourceArn", "*"))
