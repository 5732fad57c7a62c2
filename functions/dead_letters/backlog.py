"""What a run of the redrive holds of the dead-letter queues, and in which order it goes back.

Of each object the newest event goes first, because older ones wait for it; objects go by their oldest
message. Only so much is held whole as the function's memory takes. Of the others the receipts are kept, with
which they are shown again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from functions.dead_letters.lease import event_key
from functions.dead_letters.message import DeadLetterMessage
from functions.dead_letters.queue import DeadLetterQueue
from functions.dead_letters.redrive import RedriveTarget

# What is held whole. A message takes some five times its body in memory, and the function has 512 MiB.
MOST: Final = 1000
MOST_BYTES: Final = 4 * 1024 * 1024
# What is held of a type whose circuit is open.
PROBES: Final = 20
FIFO: Final = ".fifo"

Object: TypeAlias = tuple[object, ...]
Type: TypeAlias = tuple[str, str | None]


@dataclass(frozen=True, eq=False)
class RedriveSource:
    """A dead-letter queue and where its messages go back to."""

    queue: DeadLetterQueue
    target: RedriveTarget = field(repr=False)

    @property
    def fifo(self) -> bool:
        """Whether it shows the next messages of a group when the ones before are deleted."""
        return self.queue.url.endswith(FIFO)


@dataclass(frozen=True, eq=False)
class Message:
    """A message of a source, and what decides about its turn.

    Parameters
    ----------
    event
        Short key of the event.
    object
        Identifies the Stripe object that the event is about.
    created
        When Stripe made the event, in Unix seconds.
    """

    letter: DeadLetterMessage
    source: RedriveSource
    event: str
    object: Object
    created: int

    @property
    def type(self) -> Type:
        """The event type, by source: what one endpoint of the API or one target takes."""
        return self.source.queue.name, self.letter.event_type


def message(letter: DeadLetterMessage, source: RedriveSource) -> Message:
    """Read what decides about a letter's turn, as far as its envelope tells it."""
    detail = letter.envelope.get("detail") if isinstance(letter.envelope, dict) else None
    detail = detail if isinstance(detail, dict) else {}
    data = detail.get("data")
    about = data.get("object") if isinstance(data, dict) else None
    object_id = about.get("id") if isinstance(about, dict) else None
    created = detail.get("created")
    return Message(
        letter,
        source,
        event_key(letter.event_id or letter.message_id),
        (source, str(detail.get("account")), object_id if isinstance(object_id, str) else letter.message_id),
        created if isinstance(created, int) else 0,
    )


class Backlog:
    """The messages that are held.

    Parameters
    ----------
    later
        Receipts by source of what is tried again when all else has been tried.
    aside
        Receipts by source of what stays until the run's end.
    """

    def __init__(self) -> None:
        self.later: defaultdict[RedriveSource, list[str]] = defaultdict(list)
        self.aside: defaultdict[RedriveSource, list[str]] = defaultdict(list)
        self._objects: dict[Object, list[Message]] = {}
        self._order: list[list[Message]] | None = None
        self._count = 0
        self._bytes = 0

    def __len__(self) -> int:
        return self._count

    @property
    def has_room(self) -> bool:
        """Whether more can be held."""
        return self._count < MOST and self._bytes < MOST_BYTES

    def add(self, new: Message) -> None:
        """Hold a message."""
        held = self._objects.setdefault(new.object, [])
        held.append(new)
        held.sort(key=lambda each: -each.created)
        self._count += 1
        self._bytes += len(new.letter.body)
        self._order = None

    def take(
        self, free: Callable[[Message], bool], newest_first: Callable[[Message], bool]
    ) -> Message | None:
        """Take the next message that is ``free`` to go, ``newest_first`` ones from the other end."""
        if self._order is None:
            self._order = sorted(
                self._objects.values(), key=lambda held: min(each.letter.failed_at for each in held)
            )
        for order, backwards in ((self._order, False), (reversed(self._order), True)):
            for held in order:
                if held and newest_first(held[0]) is backwards and free(held[0]):
                    return self._drop(held[0])
        return None

    def thin(self, kind: Type) -> None:
        """Hold a few of a type only, spread over the newer half; the others are tried later.

        The oldest have failed, and events that never succeed may lie at the newest end too: what lies between
        them must be tried.
        """
        its = sorted(
            (each for each in self.held() if each.type == kind), key=lambda each: each.letter.failed_at
        )
        if len(its) <= PROBES:
            return
        # A few are only joined by the next that was received: those that are held stay spread as they are.
        first, last = len(its) // 2 if len(its) > 2 * PROBES else 0, len(its) - 1
        kept = {round(first + number * (last - first) / (PROBES - 1)) for number in range(PROBES)}
        for each in (each for place, each in enumerate(its) if place not in kept):
            self._drop(each)
            self.later[each.source].append(each.letter.receipt)

    def held(self) -> Iterator[Message]:
        """Return all that is held whole."""
        return iter([each for held in self._objects.values() for each in held])

    def put_back(self, source: RedriveSource | None = None) -> None:
        """Hold nothing whole any more, or nothing of one source; it stays where it is until the run's end."""
        for each in self.held():
            if source in (None, each.source):
                self._drop(each)
                self.aside[each.source].append(each.letter.receipt)

    def _drop(self, one: Message) -> Message:
        held = self._objects[one.object]
        held.remove(one)
        if not held:
            del self._objects[one.object]
        self._count -= 1
        self._bytes -= len(one.letter.body)
        return one
