"""What a replay will send: how many events by type, and how many of them are already applied."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Final

from functions.pipeline.idempotency import COMPLETED, record_key
from functions.reconciliation.handler_records import READ_BATCH
from ops import records
from ops.console import plural
from ops.environment import Environment
from ops.ledger import Ledger
from ops.progress import Steps
from ops.replay.rules import Rule

# After a handler has applied nothing for so long, its next attempt may be minutes away.
QUIET_SECONDS: Final = 20.0
POLL_SECONDS: Final = 3.0


@dataclass(frozen=True)
class Line:
    """The events of one type; `applied` is None where no chosen rule invokes a handler."""

    event_type: str
    rules: tuple[str, ...]
    events: int
    applied: int | None


@dataclass(frozen=True)
class Forecast:
    """What the ledger holds of a window.

    Parameters
    ----------
    unread
        How many of its objects could not be read.
    keys
        Event types by the idempotency keys of the events that a handler receives.
    """

    ledger: str
    lines: tuple[Line, ...]
    unread: int = 0
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def events(self) -> int:
        """How many events will be sent."""
        return sum(line.events for line in self.lines)

    @property
    def applied(self) -> int:
        """How many of them are already applied."""
        return sum(line.applied or 0 for line in self.lines)


def forecast(
    environment: Environment,
    ledger: Ledger,
    rules: Sequence[Rule],
    since: datetime,
    until: datetime,
    steps: Steps,
) -> Forecast:
    """Count by the ledger what a replay of the window brings to the rules.

    Raises
    ------
    OperatorError
        The ledger or the idempotency table can't be read.
    """
    with steps.step(f"read the ledger ({ledger.name})") as step:
        ledger.progress = lambda done, total: step.advance_to(done, total)
        events = ledger.events(since, until)
        chosen = {kind: ids for kind, ids in events.items() if any(rule.matches(kind) for rule in rules)}
        total = sum(len(ids) for ids in chosen.values())
        step.note = plural(total, "event")
    keys = {
        record_key(handler, event_id): event_type
        for event_type, ids in chosen.items()
        if (handler := _handler(event_type, rules))
        for event_id in ids
    }
    with steps.step("count applied events") as step:
        applied = _applied(environment, keys, lambda done: step.advance_to(done, total))
        step.note = f"{applied.total()} applied"
    return Forecast(
        ledger.name,
        tuple(
            Line(
                event_type=event_type,
                rules=tuple(rule.name for rule in rules if rule.matches(event_type)),
                events=len(ids),
                applied=applied[event_type] if _handler(event_type, rules) else None,
            )
            for event_type, ids in sorted(chosen.items())
        ),
        ledger.unread,
        keys,
    )


def _handler(event_type: str, rules: Sequence[Rule]) -> str | None:
    return next((rule.handler for rule in rules if rule.handler and rule.matches(event_type)), None)


def applied_in_the_end(environment: Environment, forecast: Forecast, steps: Steps) -> int:
    """Wait until the handlers have applied the events of a replay that has ended, and count what is applied.

    A handler receives the last events some seconds after EventBridge has sent them, so that the count is
    repeated until all are applied or it has not changed for `QUIET_SECONDS`.

    Raises
    ------
    OperatorError
        The idempotency table can't be read.
    """
    applied, changed = -1, 0.0
    with steps.step("count applied events") as step:
        while True:
            before, applied = applied, _applied(environment, forecast.keys, lambda _done: None).total()
            changed = changed if applied == before else time.monotonic()
            step.advance_to(applied, len(forecast.keys))
            if applied == len(forecast.keys) or time.monotonic() - changed >= QUIET_SECONDS:
                step.note = f"{applied} applied"
                return applied
            time.sleep(POLL_SECONDS)


def _applied(
    environment: Environment, keys: Mapping[str, str], progress: Callable[[int], None]
) -> Counter[str]:
    """Count the completed records of the idempotency table by event type."""
    applied: Counter[str] = Counter()
    done = 0
    with records.reading(environment) as read:
        for batch in _batches(keys):
            applied.update(keys[key] for key, status in read.statuses(batch) if status == COMPLETED)
            done += len(batch)
            progress(done)
    return applied


def _batches(keys: Collection[str]) -> Iterator[list[str]]:
    iterator = iter(keys)
    while batch := list(islice(iterator, READ_BATCH)):
        yield batch
