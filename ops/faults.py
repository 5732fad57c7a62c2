"""Faults in force on the embedded AWS and the reference APIs: which one fails a call, and how often."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

C_contra = TypeVar("C_contra", contravariant=True)


class Fault(Protocol[C_contra]):
    """One way to fail: every nth matching call, a seeded share of those, and at most `times` of them."""

    @property
    def every(self) -> int: ...
    @property
    def probability(self) -> float: ...
    @property
    def seed(self) -> int: ...
    @property
    def times(self) -> int | None: ...

    def matches(self, call: C_contra) -> bool:
        """Return whether a call meets the conditions."""


F = TypeVar("F", bound=Fault[Any])
C = TypeVar("C")


class FaultPlan(Generic[F, C]):
    """The faults in force, oldest first. Not thread-safe: its owner locks.

    Parameters
    ----------
    subject
        Returns what a call is about. The share that fails is drawn from the seed, the fault's place among
        those in force, the subject and the number of the attempt. So the same calls fail in each run,
        in whatever order they arrive, and faults with one seed fail calls independently of each other.
    """

    def __init__(self, subject: Callable[[C], str | None]) -> None:
        self._subject = subject
        self._faults: list[_Active[F]] = []

    def __bool__(self) -> bool:
        return bool(self._faults)

    def add(self, fault: F) -> None:
        """Put a fault into force, after those that already are."""
        self._faults.append(_Active(fault, len(self._faults)))

    def clear(self) -> int:
        """Remove every fault; return how many there were."""
        count = len(self._faults)
        self._faults.clear()
        return count

    def listed(self) -> list[tuple[F, int]]:
        """Return each fault and how many calls it failed."""
        return [(active.fault, active.struck) for active in self._faults]

    def strike(self, call: C) -> F | None:
        """Return the first fault that fails this call, and count the call."""
        subject = self._subject(call)
        return next((active.fault for active in self._faults if active.hits(call, subject)), None)


class _Active(Generic[F]):
    def __init__(self, fault: F, place: int) -> None:
        self.fault = fault
        self.struck = 0
        self._place = place
        self._matched = 0
        self._attempts: Counter[str | None] = Counter()

    def hits(self, call: object, subject: str | None) -> bool:
        fault = self.fault
        if not fault.matches(call) or self.struck == fault.times:
            return False
        self._matched += 1
        self._attempts[subject] += 1
        source = f"{fault.seed}:{self._place}:{subject}:{self._attempts[subject]}"
        draw = random.Random(source).random()  # noqa: S311 - repeatable, not secret
        hit = self._matched % fault.every == 0 and draw < fault.probability
        self.struck += hit
        return hit
