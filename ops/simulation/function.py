"""A handler with its asynchronous queue, its concurrency and Lambda's retries.

Within a tick it begins what is due, in the order in which it is due, as far as its concurrency allows.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import simpy

from ops.simulation.invocation import Invocation, average
from ops.simulation.rules import HandlerRules

if TYPE_CHECKING:
    from ops.simulation.pipeline import World

Process: TypeAlias = Generator[simpy.Event, Any, None]


@dataclass
class Cohort:
    """Events that arrived together, and how many invocations of each have failed."""

    events: float
    arrived: float
    attempts: int = 0


class Function:
    """A handler: its asynchronous queue, its concurrency and Lambda's retries."""

    def __init__(self, world: World, name: str, rules: HandlerRules) -> None:
        self._world = world
        self._name = name
        self.rules = rules
        self.waiting = 0.0
        self._due: list[tuple[float, int, Cohort]] = []
        self._oldest: list[tuple[float, int, Cohort]] = []
        self._numbers = itertools.count()
        self._busy = 0.0
        self._ends: list[tuple[float, float]] = []

    @property
    def free(self) -> float:
        """Concurrency that is not in use."""
        while self._ends and self._ends[0][0] <= self._world.env.now:
            self._busy -= heapq.heappop(self._ends)[1]
        return max(0.0, self.rules.executions - self._busy)

    def occupy(self, executions: float, seconds: float) -> None:
        """Use concurrency for a time."""
        self._busy += executions
        heapq.heappush(self._ends, (self._world.env.now + seconds, executions))

    def submit(self, cohort: Cohort, delay: float = 0.0) -> None:
        """Queue events; they are due after a delay."""
        self.waiting += cohort.events
        number = next(self._numbers)
        heapq.heappush(self._due, (self._world.env.now + delay, number, cohort))
        heapq.heappush(self._oldest, (cohort.arrived, number, cohort))

    def invocation(self) -> Invocation:
        """Return what an invocation leads to that begins now."""
        rules = self.rules
        return average(self._world.api, rules.work_seconds, rules.timeout_seconds, self._world.seed)

    def serve(self, tick: float) -> None:
        """Begin what is due and what the concurrency allows in a tick; the rest stays in line."""
        now, invocation = self._world.env.now, self.invocation()
        self._expire(now - self.rules.event_age_seconds)
        room, later, each = self._room(tick, invocation.seconds)
        while room > 0 and self._due and self._due[0][0] <= now:
            due, number, cohort = heapq.heappop(self._due)
            begun = min(room, cohort.events)
            if not begun:
                continue
            room -= begun
            self.waiting -= begun
            cohort.events -= begun
            self.occupy(begun * each, later + max(invocation.seconds, tick))
            started = Cohort(begun, cohort.arrived, cohort.attempts)
            self._world.env.process(self._run(started, later + invocation.seconds, invocation.applied))
            if cohort.events > 0:
                heapq.heappush(self._due, (due, number, cohort))
        if not self._due:
            self.waiting = 0.0

    def _expire(self, before: float) -> None:
        """Send what arrived before a time, and still waits, to the dead-letter queue."""
        while self._oldest and self._oldest[0][0] < before:
            cohort = heapq.heappop(self._oldest)[2]
            if cohort.events > 0:
                self._world.bury(self._name, cohort.events)
                self.waiting -= cohort.events
                cohort.events = 0.0

    def _room(self, tick: float, seconds: float) -> tuple[float, float, float]:
        """Return how many invocations can begin in a tick, how late in it, and what each of them occupies.

        Short ones follow each other within the tick. A long one may begin where another ends in it.
        """
        free = self.free
        if seconds < tick:
            return free * tick / seconds, 0.0, seconds / tick
        now, ending, late = self._world.env.now, 0.0, 0.0
        while self._ends and self._ends[0][0] <= now + tick:
            at, executions = heapq.heappop(self._ends)
            self._busy -= executions
            ending += executions
            late += executions * (at - now)
        room = free + ending
        return room, late / room if room else 0.0, 1.0

    def _run(self, cohort: Cohort, seconds: float, applied: bool) -> Process:
        yield self._world.env.timeout(seconds)
        if applied:
            self._world.outcome.applied += cohort.events
        else:
            self._failed(cohort)

    def _failed(self, cohort: Cohort) -> None:
        self._world.outcome.failed_invocations += cohort.events
        cohort.attempts += 1
        delay = self._world.rules.first_retry_seconds * 2.0 ** (cohort.attempts - 1)
        too_old = self._world.env.now + delay - cohort.arrived > self.rules.event_age_seconds
        if cohort.attempts > self.rules.retries or too_old:
            self._world.bury(self._name, cohort.events)
        else:
            self.submit(cohort, delay)
