"""The idempotency table: conditional writes of one item, or of several items in one transaction.

An item's kind is the first word of its key. The modules that write the items describe them: `idempotency` the
event's record, `effects` an effect, `ordering` the states of an object.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast

from functions.pipeline.attribute_values import from_attribute_value, to_attribute_value
from functions.shared import aws, names
from functions.shared.errors import TransientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

RESOURCE: Final = "the idempotency table"
HASH: Final = "sha256"
# Error codes of the Amazon DynamoDB API reference, TransactWriteItems and UpdateItem.
_CONDITION_FAILED: Final = "ConditionalCheckFailedException"
_TRANSACTION_CANCELED: Final = "TransactionCanceledException"
_REASON_CONDITION_FAILED: Final = "ConditionalCheckFailed"
_REASONS_OF_CONDITIONS: Final = frozenset({"None", _REASON_CONDITION_FAILED})

Item = Mapping[str, Any]


class ConditionFailedError(Exception):
    """An item does not meet its write's condition; nothing was written.

    Attributes
    ----------
    items
        For each write, in order: the current item ({} if there is none), or None if its condition is met.
    """

    def __init__(self, *items: Item | None) -> None:
        super().__init__("an item does not meet its condition")
        self.items = items

    @property
    def item(self) -> Item:
        """The first item that does not meet its condition."""
        return next(item for item in self.items if item is not None)


@dataclass(frozen=True, slots=True)
class Write:
    """One update of one item; creates an item that does not exist.

    Parameters
    ----------
    key
        The item's key; see `item_key`.
    update
        The update expression; None deletes the item.
    condition
        The condition expression; None writes unconditionally.
    values
        The values of both expressions, by name without the colon.
    attributes
        The attribute names of both expressions that need a placeholder, by name without the number sign.
    """

    key: str
    update: str | None
    condition: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)

    def call(self, table: str) -> dict[str, Any]:
        """Return the arguments of UpdateItem or DeleteItem; a transaction takes the same ones."""
        expressions = f"{self.update} {self.condition}"
        call: dict[str, Any] = {
            "TableName": table,
            "Key": _marshalled({names.IDEMPOTENCY_KEY_ATTRIBUTE: self.key}),
        }
        if self.update is not None:
            call["UpdateExpression"] = self.update
        if self.condition is not None:
            call |= {"ConditionExpression": self.condition, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
        # DynamoDB rejects a value or a name that no expression uses.
        values = {f":{name}": value for name, value in self.values.items() if f":{name}" in expressions}
        attributes = {
            f"#{name}": value for name, value in self.attributes.items() if f"#{name}" in expressions
        }
        if values:
            call["ExpressionAttributeValues"] = _marshalled(values)
        if attributes:
            call["ExpressionAttributeNames"] = attributes
        return call


@dataclass(frozen=True, slots=True)
class Table:
    """The table `name`; items expire `expiry_seconds` after their last write."""

    name: str
    expiry_seconds: int

    def write(self, *writes: Write) -> None:
        """Make all of the writes or none of them.

        Raises
        ------
        ConditionFailedError
            An item does not meet its write's condition.
        TransientError, ConfigurationError
            The table did not answer, or refused.
        """
        if len(writes) == 1:
            self._write_one(writes[0])
            return
        try:
            client().transact_write_items(
                TransactItems=[
                    {"Delete" if write.update is None else "Update": write.call(self.name)}  # type: ignore[misc]  # a TypedDict accepts no computed key
                    for write in writes
                ]
            )
        except aws.AwsError as error:
            raise _failure(error) from error

    def update(self, key: str, expression: str, condition: str | None = None, /, **values: Any) -> Item:
        """Update one item, or create it, and return it as it was before.

        Raises
        ------
        ConditionFailedError
            The item does not meet the condition.
        TransientError, ConfigurationError
            The table did not answer, or refused.
        """
        return self._write_one(Write(key, expression, condition, values))

    def delete(self, key: str, condition: str, /, **values: Any) -> None:
        """Delete an item if it meets the condition.

        Raises
        ------
        TransientError, ConfigurationError
            The table did not answer, or refused.
        """
        try:
            self._write_one(Write(key, None, condition, values))
        except ConditionFailedError:
            return

    def expiration(self) -> int:
        """When an item that is written now expires, in Unix seconds."""
        return int(time.time()) + self.expiry_seconds

    def _write_one(self, write: Write) -> Item:
        call = write.call(self.name)
        try:
            if write.update is None:
                client().delete_item(**call)
                return {}
            answer = client().update_item(**call, ReturnValues="ALL_OLD")
        except aws.AwsError as error:
            raise _failure(error) from error
        return _plain(answer.get("Attributes", {}))


def item_key(kind: str, *parts: str | None) -> str:
    """Return the key of an item: its kind, and the hash of what identifies it."""
    return f"{kind}#{digest(list(parts))}"


def digest(value: Any) -> str:
    """Hash a JSON value as Powertools hashes an idempotency key."""
    return hashlib.new(HASH, json.dumps(value).encode()).hexdigest()


@cache
def client() -> DynamoDBClient:
    """Return the DynamoDB client of the function."""
    try:
        return cast("DynamoDBClient", aws.client("dynamodb"))
    except aws.AwsError as error:
        raise aws.fault(RESOURCE, error) from error


def _failure(error: Exception) -> Exception:
    # Errors of a call without an answer hold None.
    response: Mapping[str, Any] = getattr(error, "response", None) or {}
    code = response.get("Error", {}).get("Code")
    if code == _CONDITION_FAILED:
        return ConditionFailedError(_plain(response.get("Item", {})))
    if code == _TRANSACTION_CANCELED:
        return _cancelled(response.get("CancellationReasons", ()))
    return aws.fault(RESOURCE, error)


def _cancelled(reasons: Sequence[Mapping[str, Any]]) -> Exception:
    """Distinguish items that do not meet their conditions from a table that could not write now."""
    codes = [str(reason.get("Code", "None")) for reason in reasons]
    if _REASON_CONDITION_FAILED in codes and _REASONS_OF_CONDITIONS.issuperset(codes):
        return ConditionFailedError(
            *(
                _plain(reason.get("Item", {})) if code == _REASON_CONDITION_FAILED else None
                for code, reason in zip(codes, reasons, strict=True)
            )
        )
    busy = next((code for code in codes if code not in _REASONS_OF_CONDITIONS), _TRANSACTION_CANCELED)
    return TransientError(f"{RESOURCE} answered {busy}")


def _marshalled(values: Item) -> dict[str, Any]:
    return {name: to_attribute_value(value) for name, value in values.items()}


def _plain(item: Item) -> Item:
    return {name: from_attribute_value(value) for name, value in item.items()}
