"""The gap: events that Stripe created and that the ledger, or a handler, has no record of."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

# An event counts as missing in the ledger only this many seconds after it was created: EventBridge and the
# audit queue take seconds, and an audit function that is throttled or retried takes minutes.
GRACE_SECONDS: Final = 600
# Events that are compared at once; a checkpoint can be saved after each batch.
BATCH_SIZE: Final = 100

Event = Mapping[str, Any]
# Returns the ids of the events that are known; of each event it needs the id and the type.
Known = Callable[[Sequence[Event]], set[str]]
# Sends an event to where it is missing; returns False if it can never be sent.
Heal = Callable[[Event], bool]


@dataclass(frozen=True, slots=True)
class Batch:
    """Some events in Stripe's order, and those of them that are not known."""

    events: list[dict[str, Any]] = field(repr=False)
    missing: list[dict[str, Any]] = field(repr=False)

    @property
    def last_created(self) -> int:
        """When the newest of the events was created, in Unix seconds."""
        return max(int(event["created"]) for event in self.events)


@dataclass
class Gap:
    """What was compared and what is missing, by event type; only ids and types."""

    compared: Counter[str] = field(default_factory=Counter)
    missing: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    healed: set[str] = field(default_factory=set)

    @property
    def missing_count(self) -> int:
        """How many events are missing, including the healed ones."""
        return sum(len(ids) for ids in self.missing.values())

    @property
    def open_count(self) -> int:
        """How many events are missing and not healed."""
        return self.missing_count - len(self.healed)

    def add_compared(self, events: Iterable[Event]) -> None:
        """Count compared events."""
        self.compared.update(event["type"] for event in events)

    def add_missing(self, event: Event, heal: Heal | None = None) -> bool:
        """Count a missing event, heal it if `heal` is given, and return whether it is healed now.

        Raises
        ------
        EventError
            What `heal` raised; the event may be healed all the same.
        """
        self.missing[event["type"]].append(event["id"])
        healed = heal is not None and heal(event)
        if healed:
            self.healed.add(event["id"])
        return healed


def compare(events: Iterable[dict[str, Any]], known: Known) -> Iterator[Batch]:
    """Compare events with what is known, in batches and in order.

    Raises
    ------
    EventError
        Stripe, or what `known` reads, failed. Batches yielded before stay valid.
    """
    iterator = iter(events)
    while batch := list(islice(iterator, BATCH_SIZE)):
        found = known(batch)
        yield Batch(batch, [event for event in batch if event["id"] not in found])
