"""The faults of the phases, as orders to the reference API and to the embedded AWS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ops.chaos.expectations import KINDS

Order = dict[str, Any]


@dataclass(frozen=True)
class Failure:
    """One way to fail: what people call it, and the orders that make it; at least one of them must strike."""

    name: str
    at: Literal["api", "aws"]
    orders: tuple[Order, ...] = field(repr=False)


def api(name: str, *orders: Order) -> Failure:
    """Name a failure of the Huntaze API."""
    return Failure(name, "api", (*_surely_once(orders[0]), *orders))


def aws(name: str, *orders: Order) -> Failure:
    """Name a failure of AWS, or of a function at a call of AWS."""
    return Failure(name, "aws", (*_surely_once(orders[0]), *orders))


def _surely_once(order: Order) -> tuple[Order, ...]:
    """Return an order that strikes the first call, where the given one strikes by chance only."""
    if "probability" not in order:
        return ()
    return ({name: value for name, value in order.items() if name != "probability"} | {"times": 1},)


def seeded(order: Mapping[str, Any], seed: int) -> Order:
    """Return the order with the run's seed, from which its draws follow."""
    return {**order, "seed": seed}


ERRORS = api(
    "API answers 5xx",
    *(
        {"status": status, "probability": 0.12, "body": '{"error":"on order"}'}
        for status in (500, 502, 503, 504)
    ),
)
GARBAGE = api(
    "API answers garbage",
    {"status": 502, "probability": 0.15, "body": "<html>\u0000\ufffd not JSON" * 200},
    # The usual status: an API that calls a refused event applied is no failure to survive.
    {"applies": True, "probability": 0.3, "body": "\u0000{]garbage" * 4000},
)
# By type, so that the API's base URL goes on answering; some calls are applied before they fail.
EACH_CALL_IN_DOUBT: tuple[Order, ...] = tuple(
    order
    for event_type in sorted({name.partition("--")[0] for name in KINDS})
    for order in (
        {"event_type": event_type, "status": 503, "applies": True, "probability": 0.1},
        {"event_type": event_type, "status": 503},
    )
)
TOO_MANY = api(
    "API answers 429 with Retry-After",
    {"status": 429, "headers": {"Retry-After": "1"}, "probability": 0.35},
    {"status": 503, "headers": {"Retry-After": "2"}, "probability": 0.1},
)
# Longer than the handlers wait for an answer's head (10 s), and than they read a body (2 s).
SLOW_HEADERS = api("API sends headers late", {"applies": True, "header_delay": 11.0, "times": 3})
# The API is at the call for so long, and applies it when the handler has given it up.
APPLIES_LATE = api("API applies after the time-out", {"applies": True, "work": 11.0, "times": 3})
SLOW_BODIES = api("API sends bodies slowly", {"applies": True, "body_delay": 3.0, "probability": 0.3})
RESET_BEFORE = api("API resets before applying", {"reset": True, "probability": 0.3})
RESET_AFTER = api("API resets after applying", {"reset": True, "applies": True, "probability": 0.4})

# The first write of an event says INPROGRESS, alone or in a transaction, and the last one COMPLETED.
DIES_BEFORE_CALL = aws(
    "handler dies before the call",
    {"service": "dynamodb", "containing": '"INPROGRESS"', "kill": "after", "probability": 0.2},
)
DIES_BEFORE_RECORD = aws(
    "handler dies after the call, before the record",
    {"service": "dynamodb", "containing": '"COMPLETED"', "kill": "before", "probability": 0.35},
)
DIES_PARKING = aws(
    "handler dies while parking",
    {"service": "sqs", "operation": "SendMessage", "kill": "before", "times": 1},
    {"service": "sqs", "operation": "SendMessage", "kill": "after", "times": 1},
)
TABLE_THROTTLES = aws(
    "DynamoDB throttles",
    *(
        {"service": "dynamodb", "status": 400, "code": code, "probability": 0.15}
        for code in ("ProvisionedThroughputExceededException", "ThrottlingException")
    ),
)
TABLE_FAILS = aws(
    "DynamoDB fails",
    {"service": "dynamodb", "status": 500, "probability": 0.12},
    {"service": "dynamodb", "status": 500, "applies": True, "probability": 0.08},
)
QUEUE_FAILS = aws(
    "dead-letter queue takes nothing",
    # botocore asks three times: the first event can't be parked, and Lambda's own way there remains.
    {"service": "sqs", "operation": "SendMessage", "status": 500, "times": 4},
)
SECRET_FAILS = aws(
    "Secrets Manager fails at cold start",
    {"service": "secretsmanager", "status": 500, "code": "InternalServiceError", "probability": 0.4},
    {"service": "secretsmanager", "status": 400, "code": "ThrottlingException", "probability": 0.3},
)
