"""The gap: events that Stripe made and the ledger does not hold."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, Protocol

# An event counts as missing only when it had this many seconds to come: EventBridge and the audit queue
# take seconds, and an audit function that is throttled or retried takes minutes.
GRACE_SECONDS: Final = 600
# Events that are compared, and after which a checkpoint can be kept.
BATCH_SIZE: Final = 100


class Ledger(Protocol):
    """Where the events that arrived are known."""

    def known(self, event_ids: Collection[str]) -> set[str]:
        """Return those of the events that the ledger holds."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some events in Stripe's order, and which of them the ledger does not hold."""

    events: list[dict[str, Any]] = field(repr=False)
    missing: list[dict[str, Any]] = field(repr=False)

    @property
    def last_created(self) -> int:
        """When the newest of the events was made, in Unix seconds."""
        return max(int(event["created"]) for event in self.events)


@dataclass
class Gap:
    """What was compared and what is missing, by event type; ids and types only."""

    compared: Counter[str] = field(default_factory=Counter)
    missing: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    healed: set[str] = field(default_factory=set)

    @property
    def missing_count(self) -> int:
        """How many events are missing, healed ones included."""
        return sum(len(ids) for ids in self.missing.values())

    @property
    def open_count(self) -> int:
        """How many are missing and not healed."""
        return self.missing_count - len(self.healed)

    def add(self, batch: Batch) -> None:
        """Count a batch."""
        self.compared.update(event["type"] for event in batch.events)
        for event in batch.missing:
            self.missing[event["type"]].append(event["id"])


def compare(events: Iterable[dict[str, Any]], ledger: Ledger) -> Iterator[Batch]:
    """Compare events with the ledger, in batches and in their order.

    Raises
    ------
    EventError
        Stripe or the ledger failed; what was yielded before stands.
    """
    iterator = iter(events)
    while batch := list(islice(iterator, BATCH_SIZE)):
        known = ledger.known([event["id"] for event in batch])
        yield Batch(batch, [event for event in batch if event["id"] not in known])
