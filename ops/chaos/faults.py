"""The faults that the phases inject into the reference API and the embedded AWS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from ops.chaos.expectations import EXPECTED

FaultSpec = dict[str, Any]


@dataclass(frozen=True)
class Failure:
    """A failure by its name in the report, and the faults that cause it; at least one of them must strike."""

    name: str
    target: Literal["api", "aws"]
    faults: tuple[FaultSpec, ...] = field(repr=False)


def api(name: str, *faults: FaultSpec) -> Failure:
    """Return a failure of the Huntaze API."""
    return Failure(name, "api", (*_certain(faults[0]), *faults))


def aws(name: str, *faults: FaultSpec) -> Failure:
    """Return a failure of AWS, or of a function while it calls AWS."""
    return Failure(name, "aws", (*_certain(faults[0]), *faults))


def _certain(fault: FaultSpec) -> tuple[FaultSpec, ...]:
    """Return a fault that strikes the first call, if the given one strikes by chance."""
    if "probability" not in fault:
        return ()
    return ({name: value for name, value in fault.items() if name != "probability"} | {"times": 1},)


def with_seed(fault: Mapping[str, Any], seed: int) -> FaultSpec:
    """Return the fault with the run's seed, which decides when it strikes."""
    return {**fault, "seed": seed}


ERRORS: Final = api(
    "API answers 5xx",
    *(
        {"status": status, "probability": 0.12, "body": '{"error":"injected"}'}
        for status in (500, 502, 503, 504)
    ),
)
GARBAGE: Final = api(
    "API answers garbage",
    {"status": 502, "probability": 0.15, "body": "<html>\u0000\ufffd not JSON" * 200},
    # With the usual status: an API that reports a refused event as applied can't be survived.
    {"applies": True, "probability": 0.3, "body": "\u0000{]garbage" * 4000},
)
# By event type, so that the API's base URL still answers; some calls are applied before they fail.
EACH_CALL_IN_DOUBT: Final[tuple[FaultSpec, ...]] = tuple(
    fault
    for event_type in sorted({name.partition("--")[0] for name in EXPECTED})
    for fault in (
        {"event_type": event_type, "status": 503, "applies": True, "probability": 0.1},
        {"event_type": event_type, "status": 503},
    )
)
TOO_MANY: Final = api(
    "API answers 429 with Retry-After",
    {"status": 429, "headers": {"Retry-After": "1"}, "probability": 0.35},
    {"status": 503, "headers": {"Retry-After": "2"}, "probability": 0.1},
)
# Longer than the handlers wait for an answer's headers (10 s) and for its body (2 s).
SLOW_HEADERS: Final = api("API sends headers late", {"applies": True, "header_delay": 11.0, "times": 3})
# The API works on the call for longer than the handler waits, and then applies it.
APPLIES_LATE: Final = api("API applies after the time-out", {"applies": True, "work": 11.0, "times": 3})
SLOW_BODIES: Final = api("API sends bodies slowly", {"applies": True, "body_delay": 3.0, "probability": 0.3})
RESET_BEFORE: Final = api("API resets before applying", {"reset": True, "probability": 0.3})
RESET_AFTER: Final = api("API resets after applying", {"reset": True, "applies": True, "probability": 0.4})

# An event's first write says INPROGRESS, alone or in a transaction; its last write says COMPLETED.
DIES_BEFORE_CALL: Final = aws(
    "handler dies before the call",
    {"service": "dynamodb", "containing": '"INPROGRESS"', "kill": "after", "probability": 0.2},
)
DIES_BEFORE_RECORD: Final = aws(
    "handler dies after the call, before the record",
    {"service": "dynamodb", "containing": '"COMPLETED"', "kill": "before", "probability": 0.35},
)
DIES_PARKING: Final = aws(
    "handler dies while parking",
    {"service": "sqs", "operation": "SendMessage", "kill": "before", "times": 1},
    {"service": "sqs", "operation": "SendMessage", "kill": "after", "times": 1},
)
TABLE_THROTTLES: Final = aws(
    "DynamoDB throttles",
    *(
        {"service": "dynamodb", "status": 400, "code": code, "probability": 0.15}
        for code in ("ProvisionedThroughputExceededException", "ThrottlingException")
    ),
)
TABLE_FAILS: Final = aws(
    "DynamoDB fails",
    {"service": "dynamodb", "status": 500, "probability": 0.12},
    {"service": "dynamodb", "status": 500, "applies": True, "probability": 0.08},
)
QUEUE_FAILS: Final = aws(
    "dead-letter queue takes nothing",
    # botocore tries three times: the first event can't be parked, and Lambda's on-failure record remains.
    {"service": "sqs", "operation": "SendMessage", "status": 500, "times": 4},
)
SECRET_FAILS: Final = aws(
    "Secrets Manager fails at cold start",
    {"service": "secretsmanager", "status": 500, "code": "InternalServiceError", "probability": 0.4},
    {"service": "secretsmanager", "status": 400, "code": "ThrottlingException", "probability": 0.3},
)
