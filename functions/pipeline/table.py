"""The idempotency table's own items: conditional writes of a few attributes under one key.

Powertools keeps its records in the same table; an item's kind is the first word of its key.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from functions.pipeline import aws, names

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

RESOURCE: Final = "the idempotency table"
HASH: Final = "sha256"
_CONDITION_FAILED: Final = "ConditionalCheckFailedException"

Item = Mapping[str, Any]


class ConditionFailedError(Exception):
    """The item is not as the write's condition says; ``item`` is how it is."""

    def __init__(self, item: Item) -> None:
        super().__init__("the item is not as the condition says")
        self.item = item


@dataclass(frozen=True, slots=True)
class Table:
    """The table ``name``; items live for ``expiry_seconds`` after their last write."""

    name: str
    expiry_seconds: int

    def update(self, key: str, expression: str, condition: str | None = None, /, **values: Any) -> Item:
        """Update one item, made if it is not there, and return it as it was before.

        ``values`` are those of the expression and the condition, by name without the colon; one that
        neither uses is left out.

        Raises
        ------
        ConditionFailedError
            The item does not meet the condition; nothing was written.
        TransientError, ConfigurationError
            The table did not answer, or refused.
        """
        used = {name: value for name, value in values.items() if f":{name}" in f"{expression} {condition}"}
        call: dict[str, Any] = {
            "TableName": self.name,
            "Key": _marshalled({names.IDEMPOTENCY_KEY_ATTRIBUTE: key}),
            "UpdateExpression": expression,
            "ExpressionAttributeValues": _marshalled({f":{name}": value for name, value in used.items()}),
            "ReturnValues": "ALL_OLD",
        }
        if condition:
            call |= {"ConditionExpression": condition, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
        try:
            answer = client().update_item(**call)
        except aws.AwsError as error:
            raise _failure(error) from error
        return _plain(answer.get("Attributes", {}))

    def delete(self, key: str, condition: str, /, **values: Any) -> None:
        """Delete an item that meets the condition; one that does not is left. Raises as :meth:`update`."""
        try:
            client().delete_item(
                TableName=self.name,
                Key=_marshalled({names.IDEMPOTENCY_KEY_ATTRIBUTE: key}),
                ConditionExpression=condition,
                ExpressionAttributeValues=_marshalled({f":{name}": value for name, value in values.items()}),
            )
        except aws.AwsError as error:
            failure = _failure(error)
            if not isinstance(failure, ConditionFailedError):
                raise failure from error

    def expiration(self) -> int:
        """When an item that is written now may be forgotten, in Unix seconds."""
        return int(time.time()) + self.expiry_seconds


def item_key(kind: str, *parts: str | None) -> str:
    """Name an item: its kind, and the hash of what it is about."""
    return f"{kind}#{digest(list(parts))}"


def digest(value: Any) -> str:
    """Hash a JSON value as Powertools hashes an idempotency key."""
    return hashlib.new(HASH, json.dumps(value).encode()).hexdigest()


@cache
def client() -> DynamoDBClient:
    """Make the one DynamoDB client of the function; it is Powertools' too."""
    try:
        return aws.session().client("dynamodb", config=aws.CONFIG)
    except aws.AwsError as error:
        raise aws.fault(RESOURCE, error) from error


def _failure(error: Exception) -> Exception:
    response: Mapping[str, Any] = getattr(error, "response", {})
    if response.get("Error", {}).get("Code") == _CONDITION_FAILED:
        return ConditionFailedError(_plain(response.get("Item", {})))
    return aws.fault(RESOURCE, error)


def _marshalled(values: Item) -> dict[str, Any]:
    serialize = TypeSerializer().serialize
    return {name: serialize(value) for name, value in values.items()}


def _plain(item: Item) -> Item:
    deserialize = TypeDeserializer().deserialize
    return {name: deserialize(value) for name, value in item.items()}
