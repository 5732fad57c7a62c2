"""Values as DynamoDB writes them: each with its type (Amazon DynamoDB API reference, "AttributeValue").

Of DynamoDB's types, those that the idempotency table holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any


def to_attribute_value(value: Any) -> dict[str, Any]:
    """Write a value with its type.

    Raises
    ------
    TypeError
        The table holds no values of its type.
    """
    match value:
        case str():
            return {"S": value}
        case bool():
            return {"BOOL": value}
        case int() | Decimal():
            return {"N": str(value)}
        case None:
            return {"NULL": True}
        case list() | tuple():
            return {"L": [to_attribute_value(each) for each in value]}
        case dict():
            return {"M": {name: to_attribute_value(each) for name, each in value.items()}}
    raise TypeError(f"the idempotency table holds no {type(value).__name__}")


def from_attribute_value(typed: Mapping[str, Any]) -> Any:
    """Read a value; a number is a Decimal.

    Raises
    ------
    TypeError
        The table holds no values of its type.
    """
    ((kind, value),) = typed.items()
    match kind:
        case "S" | "BOOL":
            return value
        case "N":
            return Decimal(value)
        case "NULL":
            return None
        case "L":
            return [from_attribute_value(each) for each in value]
        case "M":
            return {name: from_attribute_value(each) for name, each in value.items()}
    raise TypeError(f"the idempotency table holds no value of type {kind}")
