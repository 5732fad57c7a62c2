"""The gap: events that Stripe made and somebody should know, the ledger or a handler, and does not."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

# An event counts as missing in the ledger only when it had this many seconds to come: EventBridge and the
# audit queue take seconds, and an audit function that is throttled or retried takes minutes.
GRACE_SECONDS: Final = 600
# Events that are compared, and after which a checkpoint can be kept.
BATCH_SIZE: Final = 100

Event = Mapping[str, Any]
# Returns the ids of those events that are known; of an event it reads the id and the type.
Known = Callable[[Sequence[Event]], set[str]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Some events in Stripe's order, and which of them are not known."""

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

    def count(self, events: Iterable[Event]) -> None:
        """Count events that were compared."""
        self.compared.update(event["type"] for event in events)

    def miss(self, event: Event) -> None:
        """Count a missing event."""
        self.missing[event["type"]].append(event["id"])


def compare(events: Iterable[dict[str, Any]], known: Known) -> Iterator[Batch]:
    """Compare events with what is known, in batches and in their order.

    Raises
    ------
    EventError
        Stripe, or who is asked what is known, failed; what was yielded before stands.
    """
    iterator = iter(events)
    while batch := list(islice(iterator, BATCH_SIZE)):
        found = known(batch)
        yield Batch(batch, [event for event in batch if event["id"] not in found])
