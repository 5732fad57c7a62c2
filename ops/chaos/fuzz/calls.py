"""Whether a call of the Huntaze API has the contract's path, keys and JSON types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ops.reference.huntaze import Recorded
from ops.reference.huntaze.contract import (
    AMOUNT,
    BOOLEAN,
    CONTRACT,
    FAILURE_REASON,
    INTEGER,
    METADATA,
    TIME,
    JsonType,
)

INTEGERS: Final = (AMOUNT, INTEGER, TIME)


def wrong_types(call: Recorded) -> list[str]:
    """Return what is wrong with a call; an object's id may be any string."""
    event_type = call.header("X-Stripe-Event-Type") or ""
    expected = CONTRACT.get(call.path, {}).get(event_type)
    if expected is None:
        return [f"{event_type!r} is not a type of {call.path}"]
    if not isinstance(call.body, dict):
        return ["the body is not a JSON object"]
    return [*_wrong_headers(call), *_wrong_values(expected, call.body)]


def _wrong_headers(call: Recorded) -> Iterator[str]:
    if not (call.header("X-Stripe-Event-Created") or "").isdecimal():
        yield "X-Stripe-Event-Created is not a number"
    yield from (
        f"{name} is empty" for name in ("Idempotency-Key", "X-Stripe-Api-Version") if not call.header(name)
    )


def _wrong_values(expected: Mapping[str, JsonType], body: Mapping[str, Any]) -> Iterator[str]:
    if body.keys() != expected.keys():
        yield f"the keys are {', '.join(body)} instead of {', '.join(expected)}"
        return
    own_id = next(iter(expected))
    for name, kind in expected.items():
        value = body[name]
        if value is None and name != own_id:
            continue
        if not _is_right(kind, value):
            yield f"{name} is {type(value).__name__}"


def _is_right(kind: JsonType, value: Any) -> bool:
    if kind in INTEGERS:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind in (BOOLEAN, METADATA, FAILURE_REASON):
        return kind.accepts(value)
    return isinstance(value, str)
