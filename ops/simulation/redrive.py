"""The dead-letter queues, and the scheduled function that redrives them."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import simpy

from functions.dead_letters.backlog import MAX_ENTRIES
from functions.dead_letters.circuit_breaker import PROBES_AT_ONCE, CircuitBreaker
from functions.dead_letters.lease import POLL_SECONDS, RENEW_SECONDS
from functions.dead_letters.queue import WAIT_SECONDS
from ops.simulation.rules import RedriveRules

if TYPE_CHECKING:
    from ops.simulation.function import Process
    from ops.simulation.pipeline import World

# Of a message: what rounding leaves of the last one.
DUST: Final = 1e-6


class DeadLetters:
    """The handlers' dead-letter queues, the oldest message first."""

    def __init__(self) -> None:
        self.depth = 0.0
        self._messages: deque[list[Any]] = deque()

    def add(self, now: float, handler: str, events: float) -> None:
        """Add messages."""
        self._messages.append([now, handler, events])
        self.depth += events

    def take(self, most: float) -> list[tuple[str, float]]:
        """Remove the oldest messages, and return them by handler."""
        taken: list[tuple[str, float]] = []
        while self._messages and most > 0:
            oldest = self._messages[0]
            part = min(most, oldest[2])
            taken.append((oldest[1], part))
            most -= part
            oldest[2] -= part
            self.depth -= part
            if oldest[2] <= 0:
                self._messages.popleft()
        if self.depth < DUST:
            self._messages.clear()
            self.depth = 0.0
        return taken

    def expire(self, before: float) -> float:
        """Remove what was added before a time, and return how much."""
        expired = 0.0
        while self._messages and self._messages[0][0] < before:
            expired += self._messages.popleft()[2]
        self.depth -= expired
        return expired


class Redrive:
    """The scheduled redrive function: one run at a time, at its rate, while the API answers."""

    def __init__(self, world: World, rules: RedriveRules, first_run: float) -> None:
        self._world = world
        self._rules = rules
        self._lease = simpy.Resource(world.env)
        self._first_run = first_run

    def schedule(self) -> Process:
        """Start a run at each interval."""
        env = self._world.env
        yield env.timeout(self._first_run)
        while True:
            env.process(self._run())
            yield env.timeout(self._rules.interval_seconds)

    def _run(self) -> Process:
        env, settings = self._world.env, self._rules.settings
        deadline = env.now + self._rules.run_seconds - settings.reserve_seconds
        with self._lease.request() as lease:
            asked = env.now
            yield lease | env.timeout(settings.reserve_seconds + RENEW_SECONDS)
            if not lease.triggered:
                return
            # A run asks for the lease at intervals.
            waited = env.now - asked
            yield env.timeout(math.ceil(waited / POLL_SECONDS) * POLL_SECONDS - waited)
            if not self._world.api.answers or not self._world.dead_letters.depth:
                return
            yield env.timeout(self._fill_seconds())
            while env.now < deadline and self._world.dead_letters.depth > 0:
                if self._world.api.applies:
                    yield from self._drain(deadline)
                else:
                    yield from self._probe(deadline)

    def _fill_seconds(self) -> float:
        """Return how long receives wait at empty queues, before events are redriven."""
        empty = self._rules.queues - len(self._world.functions)
        ends = len(self._world.functions) if self._world.dead_letters.depth < MAX_ENTRIES else 0
        return WAIT_SECONDS * (empty + ends)

    def _drain(self, deadline: float) -> Process:
        """Redrive for a tick, at the rate and with the concurrency that there is."""
        world, env, settings = self._world, self._world.env, self._rules.settings
        tick = min(world.tick, deadline - env.now)
        functions = world.functions.values()
        slowest = max(each.invocation().seconds for each in functions)
        free = min(
            each.free / each.invocation().seconds / each.rules.share
            for each in functions
            if each.rules.share > 0
        )
        rate = min(settings.per_second, settings.calls_at_once / slowest, free)
        if rate > 0:
            # The last ones need no whole tick.
            tick = min(tick, world.dead_letters.depth / rate)
            for name, events in world.dead_letters.take(rate * tick):
                function = world.functions[name]
                function.occupy(events * function.invocation().seconds / tick, tick)
                world.outcome.applied += events
        yield env.timeout(tick)
        if not world.dead_letters.depth:
            world.observe()

    def _probe(self, deadline: float) -> Process:
        """Let every event type's circuit open and probe, until a call is applied or the run ends."""
        world, env, breaker = self._world, self._world.env, CircuitBreaker()
        seconds = max(function.invocation().seconds for function in world.functions.values())

        def call() -> Process:
            yield env.timeout(seconds)
            breaker.in_flight -= 1
            breaker.failed(env.now, None)

        while env.now < deadline and not world.api.applies:
            delay = breaker.delay(env.now)
            if delay == 0 and breaker.in_flight < PROBES_AT_ONCE:
                breaker.start()
                world.outcome.failed_invocations += self._rules.types
                world.outcome.probes += self._rules.types
                env.process(call())
            else:
                yield env.timeout(min(delay or seconds, deadline - env.now))
