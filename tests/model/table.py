"""A DynamoDB table: the items after a call of the client, and the answer.

Items are immutable: a sorted tuple of key and item, each item as JSON text. An answer is what stands in a
history: `{"ok": response}`, or `{"error": response}` for a ClientError of that response.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from tests.model.expressions import Expression, ValidationError

KEY: Final = "id"
READS: Final = ("get_item", "batch_get_item", "transact_get_items")
_CONDITION_FAILED: Final = "ConditionalCheckFailedException"

Items = tuple[tuple[str, str], ...]
Item = dict[str, Any]
Answer = dict[str, Any]

THROTTLED: Final[Answer] = {
    "error": {"Error": {"Code": "ThrottlingException"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
}
CONFLICT: Final[Answer] = {
    "error": {
        "Error": {"Code": "TransactionCanceledException"},
        "CancellationReasons": [{"Code": "TransactionConflict"}],
    }
}
# The client stopped waiting for the answer.
UNANSWERED: Final[Answer] = {"unanswered": True}


class _ConditionFailedError(Exception):
    def __init__(self, item: Item | None) -> None:
        super().__init__()
        self.item = item


@lru_cache(maxsize=1 << 16)
def execute(items: Items, asked: str) -> tuple[Items, Answer]:
    """Execute a call; return the items after it and the answer.

    `asked` is the JSON text of the operation and its arguments.
    """
    operation, call = json.loads(asked)
    table = {key: json.loads(item) for key, item in items}
    try:
        answer = _CALLS[operation](table, call)
    except _ConditionFailedError as failed:
        answer = {
            "error": {"Error": {"Code": _CONDITION_FAILED}, "ResponseMetadata": {"HTTPStatusCode": 400}}
        }
        if call.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and failed.item is not None:
            answer["error"]["Item"] = failed.item
        return items, answer
    except ValidationError as error:
        return items, {"error": {"Error": {"Code": "ValidationException", "Message": str(error)}}}
    return _frozen(table), answer


def is_read(asked: str) -> bool:
    """Whether a call writes nothing."""
    return _operation(asked) in READS


def has_token(asked: str) -> bool:
    """Whether DynamoDB recognises a repeated call, by the token that only a transaction has."""
    return _operation(asked) == "transact_write_items"


@lru_cache(maxsize=4096)
def _operation(asked: str) -> str:
    return str(json.loads(asked)[0])


def _frozen(table: Mapping[str, Item]) -> Items:
    return tuple(sorted((key, json.dumps(item, sort_keys=True)) for key, item in table.items()))


def _get(table: dict[str, Item], call: Mapping[str, Any]) -> Answer:
    if call.get("ConsistentRead") is not True:
        raise ValidationError("the model has consistent reads only; an eventual one may be stale")
    key = _key(call)
    return {"ok": {"Item": table[key]} if key in table else {}}


def _batch_get(table: dict[str, Item], call: Mapping[str, Any]) -> Answer:
    responses = {}
    for name, asked in call["RequestItems"].items():
        if asked.get("ConsistentRead") is not True:
            raise ValidationError("the model has consistent reads only; an eventual one may be stale")
        keys = [key[KEY]["S"] for key in asked["Keys"]]
        responses[name] = [table[key] for key in keys if key in table]
    return {"ok": {"Responses": responses, "UnprocessedKeys": {}}}


def _transact_get(table: dict[str, Item], call: Mapping[str, Any]) -> Answer:
    found = [table.get(_key(asked["Get"])) for asked in call["TransactItems"]]
    return {"ok": {"Responses": [{} if item is None else {"Item": item} for item in found]}}


def _put(table: dict[str, Item], call: Mapping[str, Any]) -> Answer:
    _write(table, "Put", call)
    return {"ok": {}}


def _update(table: dict[str, Item], call: Mapping[str, Any]) -> Answer:
    before = table.get(_key(call))
    _write(table, "Update", call)
    wanted = call.get("ReturnValues", "NONE")
    shown = {"ALL_OLD": before, "ALL_NEW": table[_key(call)], "NONE": None}[wanted]
    return {"ok": {"Attributes": shown} if shown is not None else {}}


def _delete(table: dict[str, Item], call: Mapping[str, Any]) -> Answer:
    _write(table, "Delete", call)
    return {"ok": {}}


def _transact(table: dict[str, Item], call: Mapping[str, Any]) -> Answer:
    writes = [next(iter(entry.items())) for entry in call["TransactItems"]]
    keys = [_key(write) for _, write in writes]
    if len(set(keys)) != len(keys):
        raise ValidationError("a transaction can't write one item twice")
    reasons: list[dict[str, Any]] = []
    for _, write in writes:
        try:
            _check(table, write)
        except _ConditionFailedError as failed:
            reason: dict[str, Any] = {"Code": "ConditionalCheckFailed"}
            if write.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and failed.item is not None:
                reason["Item"] = failed.item
            reasons.append(reason)
        else:
            reasons.append({"Code": "None"})
    if any(reason["Code"] != "None" for reason in reasons):
        return {"error": {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}}
    for kind, write in writes:
        _write(table, kind, write)
    return {"ok": {}}


_CALLS: Final = {
    "get_item": _get,
    "batch_get_item": _batch_get,
    "transact_get_items": _transact_get,
    "put_item": _put,
    "update_item": _update,
    "delete_item": _delete,
    "transact_write_items": _transact,
}


def _check(table: Mapping[str, Item], call: Mapping[str, Any]) -> set[str]:
    """Raise if the item does not meet the condition; return the names and values that it used."""
    used: set[str] = set()
    before = table.get(_key(call))
    if "ConditionExpression" in call and not _expression(call, "ConditionExpression", used).holds(
        before or {}
    ):
        raise _ConditionFailedError(before)
    return used


def _write(table: dict[str, Item], kind: str, call: Mapping[str, Any]) -> None:
    key = _key(call)
    # A document path is looked up only if the condition is met.
    used = _check(table, call)
    if kind == "Put":
        table[key] = dict(call["Item"])
    elif kind == "Update":
        before = table.get(key, {KEY: {"S": key}})
        table[key] = _expression(call, "UpdateExpression", used).updated(before)
    elif kind == "Delete":
        table.pop(key, None)
    elif kind != "ConditionCheck":
        raise ValidationError(f"{kind} is not known here")
    given = {*call.get("ExpressionAttributeNames", {}), *call.get("ExpressionAttributeValues", {})}
    if used != given:
        raise ValidationError(f"no expression uses {', '.join(sorted(given - used))}")


def _expression(call: Mapping[str, Any], argument: str, used: set[str]) -> Expression:
    names, values = call.get("ExpressionAttributeNames", {}), call.get("ExpressionAttributeValues", {})
    return Expression(call[argument], names, values, used)


def _key(call: Mapping[str, Any]) -> str:
    key = call["Key"] if "Key" in call else call["Item"]
    return str(key[KEY]["S"])


@lru_cache(maxsize=4096)
def describe(asked: str) -> str:
    """Describe in a few words what a call of the client writes or reads."""
    operation, arguments = json.loads(asked)
    if operation == "transact_write_items":
        writes = (next(iter(entry.items())) for entry in arguments["TransactItems"])
        return "; ".join(_describe(kind, write) for kind, write in writes)
    if operation in READS:
        return f"read {operation}"
    return _describe(operation.partition("_")[0].capitalize(), arguments)


def _describe(kind: str, call: Mapping[str, Any]) -> str:
    item = _key(call).partition("#")[0]
    if kind == "Put":
        return f"{item}: put"
    if kind == "Delete":
        return f"{item}: delete"
    text: str = call.get("UpdateExpression", "check")
    for name, value in call.get("ExpressionAttributeNames", {}).items():
        text = text.replace(name, value)
    for name, value in sorted(call.get("ExpressionAttributeValues", {}).items(), reverse=True):
        ((_, content),) = value.items()
        if name not in (":expiration", ":data", ":response_data"):
            text = text.replace(name, json.dumps(content) if isinstance(content, dict) else str(content))
    return f"{item}: {text}"
