"""Condition keys of a request that MiniStack leaves out.

Sources: Service Authorization Reference, "Condition keys" of AWS IAM, AWS Lambda, AWS KMS and DynamoDB.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final

from ministack.services import dynamodb, iam, tagging

from ops.emulator.named_resources import Parameters, mapped_function

Data = dict[str, Any]
# One comparison of a key condition, for example `#id = :one`.
_EQUALITY: Final = re.compile(r"([#\w.-]+)\s*=\s*(:\w+)")


def own_keys(action: str, resource: str, parameters: Parameters) -> Data:
    """Return the keys of the action's own service."""
    service = action.partition(":")[0]
    if service == "iam":
        # Of the request that sets it, else of the role that is changed.
        role = iam._roles.get(parameters.get("RoleName", "")) or {}
        boundary = parameters.get("PermissionsBoundary") or role.get("PermissionsBoundary")
        return {"iam:PermissionsBoundary": boundary} if boundary else {}
    if service == "lambda" and "EventSourceMapping" in action:
        function = mapped_function(parameters, resource)
        return {"lambda:FunctionArn": function} if function else {}
    if service == "kms":
        named = str(parameters.get("KeyId", ""))
        alias = named.rpartition(":")[2]
        return {"kms:RequestAlias": alias} if alias.startswith("alias/") else {}
    return {}


def tags_of_key(arn: str) -> Data:
    """Return the tags of a KMS key as aws:ResourceTag/…; nothing for another resource."""
    tags = (tagging.resource_tags(arn) or {}) if ":kms:" in arn else {}
    return {f"aws:ResourceTag/{name}": value for name, value in tags.items()}


def with_leading_keys(context: Callable[[bytes], Data]) -> Callable[[bytes], Data]:
    """Add dynamodb:LeadingKeys: the partition keys of all items that the request names."""

    def dynamodb_service_context(body: bytes) -> Data:
        found = context(body)
        try:
            request = json.loads(body or b"{}")
        except ValueError:
            return found
        keys = [str(value) for table, item in _items(request) for value in _partition_key(table, item)]
        return found | ({"dynamodb:LeadingKeys": keys} if keys else {})

    return dynamodb_service_context


def _items(request: Any) -> list[tuple[str, Data]]:
    """Return table and key, or whole item, of everything that a request names."""
    found = [(request.get("TableName", ""), key) for key in _queried(request)]
    for member in ("Key", "Item"):
        if isinstance(request.get(member), dict):
            found.append((request.get("TableName", ""), request[member]))
    for entry in request.get("TransactItems") or []:
        for operation in entry.values():
            found += _items(operation)
    for table, wanted in (request.get("RequestItems") or {}).items():
        if isinstance(wanted, dict):
            found += [(table, key) for key in wanted.get("Keys") or []]
        else:
            for write in wanted:
                for operation in write.values():
                    found += _items({"TableName": table, **operation})
    return found


def _queried(request: Any) -> list[Data]:
    """Return the attributes that a query compares with one value each, the partition key among them."""
    names = request.get("ExpressionAttributeNames") or {}
    values = request.get("ExpressionAttributeValues") or {}
    found = _EQUALITY.findall(str(request.get("KeyConditionExpression") or ""))
    return [{names.get(name, name): values[value]} for name, value in found if value in values]


def _partition_key(table: str, item: Data) -> list[Any]:
    described = dynamodb._tables.get(table.rsplit("/", 1)[-1])
    value = item.get(described["pk_name"]) if described else None
    return list(value.values()) if isinstance(value, dict) else []
