"""The messages that a redrive run holds, in the order in which they are redriven.

The newest event of each object comes first, because older ones wait for it; objects come in the order of
their oldest message. The function's memory limits how many messages are held whole. Of the others only the
receipt handles are kept, with which they are released.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from functions.dead_letters.lease import event_key
from functions.dead_letters.message import DeadLetterMessage
from functions.dead_letters.queue import DeadLetterQueue
from functions.dead_letters.redrive import RedriveTarget

# What is held whole. A message takes some five times its body in memory, and the function has 512 MiB.
MAX_ENTRIES: Final = 1000
MAX_BYTES: Final = 4 * 1024 * 1024
# What is held of an event type whose circuit is open.
PROBES: Final = 20
FIFO: Final = ".fifo"

ObjectKey: TypeAlias = tuple[object, ...]
EventType: TypeAlias = tuple[str, str | None]


@dataclass(frozen=True, eq=False)
class RedriveSource:
    """A dead-letter queue and the target of its messages."""

    queue: DeadLetterQueue
    target: RedriveTarget = field(repr=False)

    @property
    def fifo(self) -> bool:
        """Whether more messages of a group become visible only after the ones before are deleted."""
        return self.queue.url.endswith(FIFO)


@dataclass(frozen=True, eq=False)
class BacklogEntry:
    """A message of a source, and what decides when it is redriven.

    Parameters
    ----------
    event
        Short key of the event.
    object
        Identifies the Stripe object of the event.
    created
        When Stripe created the event, in Unix seconds.
    """

    message: DeadLetterMessage
    source: RedriveSource
    event: str
    object: ObjectKey
    created: int

    @property
    def type(self) -> EventType:
        """The event type within the source: what one endpoint of the API, or one target, receives."""
        return self.source.queue.name, self.message.event_type


def entry_of(message: DeadLetterMessage, source: RedriveSource) -> BacklogEntry:
    """Read from the envelope what decides when a message is redriven."""
    detail = message.envelope.get("detail") if isinstance(message.envelope, dict) else None
    detail = detail if isinstance(detail, dict) else {}
    data = detail.get("data")
    stripe_object = data.get("object") if isinstance(data, dict) else None
    object_id = stripe_object.get("id") if isinstance(stripe_object, dict) else None
    created = detail.get("created")
    return BacklogEntry(
        message,
        source,
        event_key(message.event_id or message.message_id),
        (source, str(detail.get("account")), object_id if isinstance(object_id, str) else message.message_id),
        created if isinstance(created, int) else 0,
    )


class Backlog:
    """The messages that a run holds.

    Attributes
    ----------
    deferred
        Receipt handles, by source, of messages for the next pass.
    aside
        Receipt handles, by source, of messages that stay hidden until the run ends.
    """

    def __init__(self) -> None:
        self.deferred: defaultdict[RedriveSource, list[str]] = defaultdict(list)
        self.aside: defaultdict[RedriveSource, list[str]] = defaultdict(list)
        self._objects: dict[ObjectKey, list[BacklogEntry]] = {}
        self._order: list[list[BacklogEntry]] | None = None
        self._count = 0
        self._bytes = 0

    @property
    def has_room(self) -> bool:
        """Whether more messages can be held whole."""
        return self._count < MAX_ENTRIES and self._bytes < MAX_BYTES

    def add(self, entry: BacklogEntry) -> None:
        """Hold a message whole."""
        of_object = self._objects.setdefault(entry.object, [])
        of_object.append(entry)
        of_object.sort(key=lambda each: -each.created)
        self._count += 1
        self._bytes += len(entry.message.body)
        self._order = None

    def pop(
        self, ready: Callable[[BacklogEntry], bool], newest_first: Callable[[BacklogEntry], bool]
    ) -> BacklogEntry | None:
        """Remove and return the next `ready` entry; `newest_first` entries are taken from the newest end."""
        if self._order is None:
            self._order = sorted(
                self._objects.values(),
                key=lambda of_object: min(each.message.failed_at for each in of_object),
            )
        for order, backwards in ((self._order, False), (reversed(self._order), True)):
            for of_object in order:
                if of_object and newest_first(of_object[0]) is backwards and ready(of_object[0]):
                    return self._remove(of_object[0])
        return None

    def keep_probes(self, event_type: EventType) -> None:
        """Hold only a few messages of a type, spread over the newer half, and defer the others.

        The oldest have just failed, and events that never succeed may lie at the newest end too. So what lies
        between must be tried.
        """
        entries = sorted(
            (each for each in self.entries() if each.type == event_type),
            key=lambda each: each.message.failed_at,
        )
        if len(entries) <= PROBES:
            return
        # If only the next received messages came on top, the entries held already stay spread as they are.
        first, last = len(entries) // 2 if len(entries) > 2 * PROBES else 0, len(entries) - 1
        kept = {round(first + number * (last - first) / (PROBES - 1)) for number in range(PROBES)}
        for entry in (entry for place, entry in enumerate(entries) if place not in kept):
            self.defer(self._remove(entry))

    def entries(self) -> list[BacklogEntry]:
        """Return everything that is held whole."""
        return [each for of_object in self._objects.values() for each in of_object]

    def defer(self, entry: BacklogEntry) -> None:
        """Keep the receipt of a message for the next pass."""
        self.deferred[entry.source].append(entry.message.receipt)

    def put_aside(self, entry: BacklogEntry) -> None:
        """Keep the receipt of a message until the run ends."""
        self.aside[entry.source].append(entry.message.receipt)

    def put_all_aside(self, source: RedriveSource | None = None) -> None:
        """Put aside all entries, or those of one source."""
        for entry in self.entries():
            if source in (None, entry.source):
                self.put_aside(self._remove(entry))

    def _remove(self, entry: BacklogEntry) -> BacklogEntry:
        of_object = self._objects[entry.object]
        of_object.remove(entry)
        if not of_object:
            del self._objects[entry.object]
        self._count -= 1
        self._bytes -= len(entry.message.body)
        return entry
