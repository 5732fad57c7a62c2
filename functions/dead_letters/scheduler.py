"""Which event of the backlog is redriven next, and when.

Three limits apply: the rate of API calls, the circuit breaker of the event type, and one event per object at
a time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import partial

from functions.dead_letters.backlog import Backlog, BacklogEntry, EventType, ObjectKey, RedriveSource
from functions.dead_letters.circuit_breaker import CircuitBreaker
from functions.shared.rate_limiter import RateLimiter


class Scheduler:
    """Chooses events of a backlog.

    Parameters
    ----------
    per_second
        How many events per second may call the API.
    calls_at_once
        How many redrives may run at the same time.
    """

    def __init__(self, backlog: Backlog, per_second: int, calls_at_once: int) -> None:
        self._backlog = backlog
        self._limiter = RateLimiter(per_second)
        self._max_credit = calls_at_once - 1
        self._circuits: defaultdict[EventType, CircuitBreaker] = defaultdict(CircuitBreaker)
        self._objects_in_flight: set[ObjectKey] = set()
        # Redrives that may start early, because the last ones did not call the API.
        self._credit = 0

    def add(self, entry: BacklogEntry) -> None:
        """Add an event to the backlog."""
        self._backlog.add(entry)
        if self._circuits[entry.type].open:
            self._backlog.keep_probes(entry.type)

    def delay(self, now: float) -> float:
        """Return the seconds until the rate allows the next redrive; 0 or less if it does now."""
        return self._limiter.next_start - self._credit * self._limiter.interval - now

    def next(self, now: float) -> BacklogEntry | None:
        """Remove the next event from the backlog; None if no event may be redriven now."""
        return self._backlog.pop(
            ready=partial(self._is_ready, now),
            newest_first=lambda entry: self._circuits[entry.type].newest_first,
        )

    def next_probe(self, now: float) -> float | None:
        """Return the seconds until a paused circuit allows an event; None if a running call decides."""
        delays = [self._circuits[entry.type].delay(now) for entry in self._backlog.entries()]
        return min((delay for delay in delays if delay), default=None)

    def _is_ready(self, now: float, entry: BacklogEntry) -> bool:
        return entry.object not in self._objects_in_flight and self._circuits[entry.type].delay(now) == 0

    def start(self, entry: BacklogEntry, now: float) -> None:
        """Note that an event is being redriven."""
        self._limiter.count(now)
        self._objects_in_flight.add(entry.object)
        self._circuits[entry.type].start()

    def finish(self, entry: BacklogEntry) -> None:
        """Note that the redrive of an event has ended."""
        self._objects_in_flight.discard(entry.object)
        self._circuits[entry.type].in_flight -= 1

    def api_called(self) -> None:
        """Note that the last redrive called the API."""
        self._credit = 0

    def api_not_called(self) -> None:
        """Refund what the last redrive took from the rate, and let the next ones start early."""
        self._limiter.refund()
        self._credit = min(self._credit + 1, self._max_credit)

    def applied(self, entry: BacklogEntry) -> Mapping[str, int]:
        """Note a success, and return the attempts used by the failures before it, by event."""
        return self._circuits[entry.type].applied()

    def failed(self, entry: BacklogEntry, now: float, *, attempted: bool) -> None:
        """Note a failure; `attempted` says whether it was an attempt of the event."""
        self._credit = 0
        if self._circuits[entry.type].failed(now, entry.event if attempted else None):
            self._backlog.keep_probes(entry.type)

    def close_circuits(self) -> list[Mapping[str, int]]:
        """Reset all circuits, and return the attempts that their failures used, by event."""
        return [circuit.close() for circuit in self._circuits.values()]

    def has_pending(self, source: RedriveSource) -> bool:
        """Whether messages of a source are in the backlog or being redriven."""
        in_flight = any(
            circuit.in_flight for (queue, _), circuit in self._circuits.items() if queue == source.queue.name
        )
        return in_flight or any(entry.source is source for entry in self._backlog.entries())
