"""Failures on order: which requests of a reference API go wrong, how, and how often."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ops.reference.server.messages import NO_ANSWER, Received, Reply


@dataclass(frozen=True)
class Fault:
    """One way to fail, for the requests that match every given condition.

    Parameters
    ----------
    path, event_type, idempotency_key
        Conditions on the request; a key also matches by its event id alone.
    every
        Only each nth of the requests that match.
    probability, seed
        Only this share of them, drawn from the seed, the fault's place among those in force, the
        idempotency key and the attempt with that key: the same requests fail in each run, in whatever
        order they arrive, and faults of one seed strike independently of each other.
    times
        How often at most; None is until the faults are cleared.
    applies
        Whether the request is judged and applied as usual before the failure shows.
    status, headers, body
        The answer. Without a status it is the usual one, which needs `applies`.
    header_delay, body_delay
        Seconds of silence before the answer's head, and in the middle of its body.
    reset
        Reset the connection instead of answering.
    work
        Seconds for which the call stays in progress, of the Huntaze API alone: its key is taken meanwhile,
        and at the end it is applied (`applies`) or rolled back. A status or a reset comes at once, the usual
        answer at the end.

    Raises
    ------
    ValueError
        When the conditions or the action make no sense together.
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
        if not self.tells and not self.applies:
            raise ValueError("a fault without status or reset gives the usual answer: set applies")

    @property
    def tells(self) -> bool:
        """Whether the answer is the fault's own, and not the usual one."""
        return self.status is not None or self.reset

    def matches(self, request: Received) -> bool:
        """Return whether a request meets the conditions on its path, type and key."""
        key = request.header("Idempotency-Key") or ""
        return (
            self.path in (None, request.path)
            and self.event_type in (None, request.header("X-Stripe-Event-Type"))
            and self.idempotency_key in (None, key, key.partition(":")[0])
        )

    def reply(self, usual: Reply | None) -> Reply:
        """Return the failing answer, made from the usual one where the request was judged."""
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


JSON_TYPES: Mapping[str, type | tuple[type, ...]] = {
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
        When it is no such object; the message names what is wrong.
    """
    if not isinstance(data, dict):
        raise ValueError("a fault is a JSON object")  # noqa: TRY004 - one error class for bad input
    if unknown := sorted(set(data) - set(JSON_TYPES)):
        raise ValueError(f"unknown {', '.join(unknown)}; known are {', '.join(JSON_TYPES)}")
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


class FaultPlan:
    """The faults in force, in the order of their arrival. Not thread safe: its owner locks."""

    def __init__(self) -> None:
        self._faults: list[_Active] = []

    def add(self, fault: Fault) -> None:
        """Put a fault into force, after those that already are."""
        self._faults.append(_Active(fault, len(self._faults)))

    def clear(self) -> int:
        """Lift every fault; return how many there were."""
        count = len(self._faults)
        self._faults.clear()
        return count

    def listed(self) -> list[tuple[Fault, int]]:
        """Return each fault and how often it struck."""
        return [(active.fault, active.struck) for active in self._faults]

    def strike(self, request: Received) -> Fault | None:
        """Return the first fault that hits this request, and count it."""
        return next((active.fault for active in self._faults if active.hits(request)), None)


class _Active:
    def __init__(self, fault: Fault, place: int) -> None:
        self.fault = fault
        self._place = place
        self.struck = 0
        self._matched = 0
        self._attempts: Counter[str | None] = Counter()

    def hits(self, request: Received) -> bool:
        fault = self.fault
        if not fault.matches(request) or self.struck == fault.times:
            return False
        self._matched += 1
        key = request.header("Idempotency-Key")
        self._attempts[key] += 1
        source = f"{fault.seed}:{self._place}:{key}:{self._attempts[key]}"
        # Not for secrecy: the draw must be the same in every run.
        draw = random.Random(source).random()  # noqa: S311
        hit = self._matched % fault.every == 0 and draw < fault.probability
        self.struck += hit
        return hit
