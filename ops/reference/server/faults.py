"""Faults that a test or a run injects into a reference API: which requests fail, how, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ops.faults import FaultPlan
from ops.reference.server.messages import NO_ANSWER, Received, Reply


@dataclass(frozen=True)
class Fault:
    """One way to fail, for the requests that match every given condition.

    Parameters
    ----------
    path, event_type, idempotency_key
        Conditions on the request; the event id alone matches any key of that event.
    every
        Fail only each nth of the matching requests.
    probability, seed
        Fail only this share of them; see `ops.faults.FaultPlan`.
    times
        The maximum number of failures; None has no limit.
    applies
        Whether the request is checked and applied as usual before it fails.
    status, headers, body
        The response. Without a status it is the usual one, which needs `applies`.
    header_delay, body_delay
        Seconds of silence before the response, and in the middle of its body.
    reset
        Reset the connection instead of responding.
    work
        Seconds for which the call stays in progress (Huntaze API only). Its key is in use meanwhile. At the
        end the call is applied (`applies`) or rolled back. A status or a reset comes at once, the usual
        response at the end.

    Raises
    ------
    ValueError
        The conditions or the action contradict each other.
    """

    path: str | None = None
    event_type: str | None = None
    idempotency_key: str | None = None
    every: int = 1
    probability: float = 1.0
    seed: int = 0
    times: int | None = None
    applies: bool = False
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    header_delay: float = 0.0
    body_delay: float = 0.0
    reset: bool = False
    work: float = 0.0

    def __post_init__(self) -> None:
        if self.every < 1 or (self.times is not None and self.times < 1):
            raise ValueError("every and times must be 1 or more")
        if not 0 < self.probability <= 1:
            raise ValueError("probability must be above 0 and at most 1")
        if self.status is not None and not 200 <= self.status <= 599:
            raise ValueError("status must be 200 to 599")
        if min(self.header_delay, self.body_delay, self.work) < 0:
            raise ValueError("delays and work must not be negative")
        if self.body_delay and self.status is not None and not self.body:
            raise ValueError("body_delay needs a body that can be slow")
        if not self.responds and not self.applies:
            raise ValueError("a fault without status or reset sends the usual response: set applies")

    @property
    def responds(self) -> bool:
        """Whether the response is the fault's own, not the usual one."""
        return self.status is not None or self.reset

    def matches(self, call: Received) -> bool:
        """Return whether a request meets the conditions on its path, type and key."""
        key = call.header("Idempotency-Key") or ""
        return (
            self.path in (None, call.path)
            and self.event_type in (None, call.header("X-Stripe-Event-Type"))
            and self.idempotency_key in (None, key, key.partition(":")[0])
        )

    def reply(self, usual: Reply | None) -> Reply:
        """Return the failing response, made from the usual one if the request was processed."""
        answer = usual or Reply(NO_ANSWER, b"")
        if self.reset:
            return replace(answer, status=NO_ANSWER, header_delay=self.header_delay, reset=True)
        if self.status is not None:
            answer = Reply(self.status, b"", {"Content-Type": "text/plain"})
        return replace(
            answer,
            body=answer.body if self.body is None else self.body.encode(),
            headers={**answer.headers, **self.headers},
            header_delay=self.header_delay,
            body_delay=self.body_delay,
        )


JSON_TYPES: Final[Mapping[str, type | tuple[type, ...]]] = {
    "path": str,
    "event_type": str,
    "idempotency_key": str,
    "every": int,
    "probability": (int, float),
    "seed": int,
    "times": int,
    "applies": bool,
    "status": int,
    "headers": dict,
    "body": str,
    "header_delay": (int, float),
    "body_delay": (int, float),
    "reset": bool,
    "work": (int, float),
}


def fault_from_json(data: Any) -> Fault:
    """Return the fault that a JSON object describes with the names of Fault's parameters.

    Raises
    ------
    ValueError
        It does not describe a fault; the message names what is wrong.
    """
    if not isinstance(data, dict):
        raise ValueError("a fault must be a JSON object")  # noqa: TRY004 - one error class for bad input
    if unknown := sorted(set(data) - set(JSON_TYPES)):
        raise ValueError(f"unknown {', '.join(unknown)}: expected {', '.join(JSON_TYPES)}")
    for name, value in data.items():
        if not _is_a(value, JSON_TYPES[name]):
            raise ValueError(f"{name} has the wrong type")
    return Fault(**data)


def _is_a(value: Any, types: type | tuple[type, ...]) -> bool:
    if isinstance(value, bool):  # a subclass of int
        return types is bool
    if isinstance(value, dict):
        return types is dict and all(isinstance(item, str) for item in value.values())
    return isinstance(value, types)


def fault_plan() -> FaultPlan[Fault, Received]:
    """Return a plan without faults; a request is about its idempotency key."""
    return FaultPlan(lambda request: request.header("Idempotency-Key"))
