"""The model's table does what DynamoDB's documentation says, and refuses what DynamoDB refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.model.table import Items, execute

KEY = {"id": {"S": "a"}}
ITEM = {**KEY, "n": {"N": "2"}, "m": {"M": {"x": {"N": "1"}}}}
ITEMS: Items = (("a", json.dumps(ITEM, sort_keys=True)),)


def _update(expression: str, condition: str | None = None, **values: Any) -> tuple[Items, Any]:
    call: dict[str, Any] = {"Key": KEY, "UpdateExpression": expression}
    if condition is not None:
        call["ConditionExpression"] = condition
    call["ExpressionAttributeValues"] = {f":{name}": {"N": str(value)} for name, value in values.items()}
    return execute(ITEMS, json.dumps(["update_item", call]))


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("n = :v", True),
        ("n <> :v", False),
        ("n < :v", False),
        ("n <= :v AND n >= :v", True),
        ("NOT n > :v", True),
        ("missing < :v", False),
        ("NOT missing < :v", True),
        ("attribute_exists(m.x) AND attribute_not_exists(m.y) AND n = :v", True),
        ("attribute_exists(missing.x) OR n = :v", True),
        ("(n < :v OR n = :v) AND size(m) < :v", True),
        ("m.x < :v", True),
    ],
)
def test_conditions(condition: str, holds: bool) -> None:
    items, answer = _update("SET done = :v", condition, v=2)

    assert ("ok" in answer) is holds
    assert (items != ITEMS) is holds


@pytest.mark.parametrize(
    ("expression", "after"),
    [
        ("SET m.y = :v REMOVE n", {**KEY, "m": {"M": {"x": {"N": "1"}, "y": {"N": "5"}}}}),
        ("SET o = n, n = :v", {**ITEM, "n": {"N": "5"}, "o": {"N": "2"}}),
        ("SET n = if_not_exists(n, :v), o = if_not_exists(o, :v)", {**ITEM, "o": {"N": "5"}}),
        ("SET n = n + :v", {**ITEM, "n": {"N": "7"}}),
        ("ADD n :v, o :v", {**ITEM, "n": {"N": "7"}, "o": {"N": "5"}}),
        ("REMOVE m.x, absent SET n = :v", {**KEY, "n": {"N": "5"}, "m": {"M": {}}}),
    ],
)
def test_updates(expression: str, after: Any) -> None:
    items, _ = _update(expression, v=5)

    assert json.loads(dict(items)["a"]) == after
    assert json.loads(dict(ITEMS)["a"]) == ITEM


@pytest.mark.parametrize(
    "expression",
    [
        "SET absent.x = :v",
        "REMOVE absent.x SET n = :v",
        "SET m = :v, m.x = :v",
        "SET n = :v, n = :v",
        "SET n = absent, o = :v",
        "SET n = :other, o = :v",
        "SET #n = :v",
        "REMOVE n",
        "n = :v",
    ],
)
def test_refused_updates(expression: str) -> None:
    items, answer = _update(expression, v=5)

    assert answer["error"]["Error"]["Code"] == "ValidationException"
    assert items == ITEMS


def test_a_transaction_is_written_whole_or_not_and_names_the_failed_condition() -> None:
    def write(key: str, condition: str) -> dict[str, Any]:
        return {
            "Update": {
                "Key": {"id": {"S": key}},
                "UpdateExpression": "SET n = :v",
                "ConditionExpression": condition,
                "ExpressionAttributeValues": {":v": {"N": "9"}},
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    def transact(*writes: dict[str, Any]) -> tuple[Items, Any]:
        return execute(ITEMS, json.dumps(["transact_write_items", {"TransactItems": writes}]))

    items, answer = transact(write("b", "attribute_not_exists(n)"), write("a", "attribute_not_exists(n)"))
    assert items == ITEMS
    assert answer["error"]["CancellationReasons"] == [
        {"Code": "None"},
        {"Code": "ConditionalCheckFailed", "Item": ITEM},
    ]

    items, answer = transact(write("b", "attribute_not_exists(n)"), write("a", "n < :v"))
    assert answer == {"ok": {}}
    assert {key: json.loads(item)["n"] for key, item in items} == {"a": {"N": "9"}, "b": {"N": "9"}}

    _, answer = transact(write("a", "n < :v"), write("a", "n < :v"))
    assert answer["error"]["Error"]["Code"] == "ValidationException"
