"""What a replay will bring: how many events by type, and how many of them are applied already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from functions.pipeline.idempotency import COMPLETED, idempotency_id
from functions.reconciliation.handler_records import READ_BATCH
from ops import records
from ops.console import plural
from ops.environment import Environment
from ops.ledger import EventsByType, Ledger
from ops.progress import Steps
from ops.replay.rules import Rule


@dataclass(frozen=True)
class Line:
    """The events of one type; `applied` is None where no chosen rule applies them."""

    event_type: str
    rules: tuple[str, ...]
    events: int
    applied: int | None


@dataclass(frozen=True)
class Forecast:
    """What the ledger says about a window; `unread` objects of it lie in an archive class of S3."""

    ledger: str
    lines: tuple[Line, ...]
    unread: int = 0

    @property
    def events(self) -> int:
        """How many events will come."""
        return sum(line.events for line in self.lines)

    @property
    def applied(self) -> int:
        """How many of them are applied already."""
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
        chosen = {kind: ids for kind, ids in events.items() if any(rule.takes(kind) for rule in rules)}
        total = sum(len(ids) for ids in chosen.values())
        step.note = plural(total, "event")
    with steps.step("look which are applied") as step:
        applied = _applied(environment, chosen, rules, lambda done: step.advance_to(done, total))
        step.note = f"{applied.total()} applied"
    return Forecast(
        ledger.name,
        tuple(
            Line(
                event_type=event_type,
                rules=tuple(rule.name for rule in rules if rule.takes(event_type)),
                events=len(ids),
                applied=applied[event_type] if _handler(event_type, rules) else None,
            )
            for event_type, ids in sorted(chosen.items())
        ),
        ledger.unread,
    )


def _handler(event_type: str, rules: Sequence[Rule]) -> str | None:
    return next((rule.handler for rule in rules if rule.handler and rule.takes(event_type)), None)


def _applied(
    environment: Environment, events: EventsByType, rules: Sequence[Rule], progress: Callable[[int], None]
) -> Counter[str]:
    """Count the completed records of the idempotency table by event type."""
    keys = {
        idempotency_id(handler, event_id): event_type
        for event_type, ids in events.items()
        if (handler := _handler(event_type, rules))
        for event_id in ids
    }
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
