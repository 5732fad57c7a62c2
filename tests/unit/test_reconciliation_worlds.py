"""Random worlds in which comparisons run, crash at any step, and overlap: no missing event is overlooked.

The world is simulated, the comparison is the shipped one. Events arrive late, the ledger lags, every call can
fail before or after it took effect, the time can run out in each batch, and a second run can start between
two writes of the first.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from functions.reconciliation import gap
from functions.reconciliation import job as jobs
from functions.reconciliation.checkpoint import Position
from functions.reconciliation.gap import GRACE_SECONDS, Event, Known
from functions.reconciliation.job import Job, StartTime
from functions.shared.errors import TransientError
from functions.shared.telemetry import logger

BEGIN = 1_800_000_000
SECONDS = 40_000
WORLDS = 300
# More than enough runs to finish once nothing fails.
CALM_RUNS = 200


class Context:
    """An invocation whose time runs out after some checks of the clock."""

    def __init__(self, checks: int) -> None:
        self._checks = checks

    def get_remaining_time_in_millis(self) -> int:
        self._checks -= 1
        return 10**6 if self._checks > 0 else 0


@dataclass
class World:
    """Stripe, a ledger with gaps, a checkpoint and a healer."""

    seed: int
    heals: bool = True
    calm: bool = False
    now: int = BEGIN + GRACE_SECONDS
    position: Position | None = None
    healed: set[str] = field(default_factory=set)
    nested: Job | None = None

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311 (not for secrecy)
        count = self.random.randrange(1, 700)
        # Several events in one second, so that batches end in the middle of one.
        pace = self.random.choice((1, 600))
        made = sorted(self.random.randrange(BEGIN, BEGIN + SECONDS, pace) for _ in range(count))
        self.events = [
            {"id": f"evt_{n}", "type": "invoice.paid", "created": created} for n, created in enumerate(made)
        ]
        self.lost = {event["id"] for event in self.events if self.random.random() < 0.1}
        self.arrival = {
            event["id"]: int(str(event["created"])) + self.random.choice((2, 30, 500, 500, 9_000))
            for event in self.events
        }

    def fail(self, chance: float) -> None:
        if not self.calm and self.random.random() < chance:
            raise TransientError("the world is rough")

    def in_ledger(self, event_id: str) -> bool:
        return event_id in self.healed or (event_id not in self.lost and self.arrival[event_id] <= self.now)

    # Stripe's API, as far as it is used.
    def events_of(self, since: int, until: int, _types: object) -> Iterator[dict[str, Any]]:
        for event in self.events:
            if since <= int(str(event["created"])) <= until:
                self.fail(0.0005)
                yield dict(event)

    def known_since(self, _since: int, _checked_at: int | None = None) -> Known:
        def known(events: Any) -> set[str]:
            self.fail(0.01)
            return {event["id"] for event in events if self.in_ledger(event["id"])}

        return known

    def read(self) -> Position | None:
        self.fail(0.02)
        return self.position

    def write(self, position: Position) -> None:
        self.fail(0.01)
        if self.nested is not None and self.random.random() < 0.3:
            between, self.nested = self.nested, None
            self.attempt(between)
        self.position = position
        self.fail(0.01)

    def heal(self, event: Event) -> bool:
        self.fail(0.01)
        self.healed.add(event["id"])
        self.fail(0.01)
        return True

    def job(self) -> Job:
        stripe: Any = _Stripe(self)
        checkpoint: Any = self
        return Job(
            stripe,
            checkpoint,
            self.known_since,
            self.heal if self.heals else None,
            StartTime(BEGIN, explicit=True),
            clock=lambda: self.now,
        )

    def attempt(self, job: Job) -> bool:
        checks = 10**9 if self.calm else self.random.choice((10**9, self.random.randrange(1, 6)))
        context: Any = Context(checks)
        try:
            return job.run(self.now - GRACE_SECONDS, context)
        except TransientError:
            return False

    def live(self) -> None:
        """Run on schedule, sometimes two at once, until some time after the last event."""
        while self.now < BEGIN + SECONDS + 10_000:
            self.nested = self.job() if self.random.random() < 0.3 else None
            self.attempt(self.job())
            self.nested = None
            self.now += self.random.choice((600, 3600, 3600))

    def settle(self) -> Job:
        """Run without failures until a run is complete, and return it."""
        self.calm = True
        for _ in range(CALM_RUNS):
            job = self.job()
            if self.attempt(job):
                return job
        raise AssertionError(f"world {self.seed} does not settle")


class _Stripe:
    def __init__(self, world: World) -> None:
        self._world = world

    def events(self, since: int, until: int, types: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        return self._world.events_of(since, until, types)


@pytest.fixture(autouse=True)
def _quiet_and_in_small_batches(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # So that the steps of a world have several batches.
    monkeypatch.setattr(gap, "BATCH_SIZE", 7)
    before = logger.log_level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(before)


def missing(world: World) -> set[object]:
    return {event_id for event_id in world.lost if event_id not in world.healed}


@pytest.mark.parametrize("first", range(0, WORLDS, 50))
def test_every_lost_event_is_healed_whatever_fails(first: int) -> None:
    for seed in range(first, first + 50):
        world = World(seed)
        world.live()
        world.settle()
        assert missing(world) == set(), f"world {seed}"


@pytest.mark.parametrize("first", range(0, WORLDS, 50))
def test_missing_events_are_reported_until_they_are_healed(first: int) -> None:
    for seed in range(first, first + 50):
        world = World(seed, heals=False)
        world.live()
        for _ in range(2):
            job = world.settle()
            assert set(job.gap.missing.get("invoice.paid", ())) == missing(world), f"world {seed}"
        world.heals = True
        world.settle()
        assert missing(world) == set(), f"world {seed}"
        assert world.settle().gap.missing_count == 0


def test_checkpoint_does_not_pass_events_that_it_cannot_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MAX_MISSING", 5)
    world = World(7, heals=False, calm=True, now=BEGIN + SECONDS + 10_000)
    stopped = world.job()
    assert not world.attempt(stopped)
    assert stopped.gap.missing_count > 5
    assert world.position is None or len(world.position.missing) <= 5
    assert not world.attempt(world.job())
    world.heals = True
    world.settle()
    assert missing(world) == set()
