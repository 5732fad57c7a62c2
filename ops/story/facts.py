"""All that is known of one event, as its sources say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from functions.ledger.records import id_of, object_of
from functions.pipeline.envelope import identity
from functions.pipeline.route import Route
from functions.pipeline.routing_table import ROUTES
from functions.shared import names
from ops.customer.items import Item
from ops.dlq.drain import Messages
from ops.function_log import LogLine
from ops.replay.archive import Archive
from ops.replay.replays import Replay
from ops.replay.rules import Rule

# Unix seconds of ten digits, until the year 2286: an event may hold any number, and a calendar ends.
LATEST: Final = 10**10


@dataclass(frozen=True, slots=True)
class Delivery:
    """One arrival of the event in the ledger in S3, in the object `key`."""

    key: str
    record: Mapping[str, Any] = field(repr=False)

    @property
    def envelope(self) -> Mapping[str, Any]:
        """What the bus delivered."""
        envelope: Mapping[str, Any] = self.record["envelope"]
        return envelope

    @property
    def event(self) -> Mapping[str, Any]:
        """The event of the envelope."""
        event: Mapping[str, Any] = self.envelope["detail"]
        return event

    @property
    def id(self) -> str:
        """The id of the envelope."""
        return str(self.envelope.get("id"))

    @property
    def received_at(self) -> float:
        """When the audit queue received it, in Unix seconds."""
        return datetime.fromisoformat(self.record["received_at"]).timestamp()

    @property
    def bus_time(self) -> float:
        """When the event first reached the bus, in Unix seconds; EventBridge writes whole seconds."""
        try:
            time = datetime.fromisoformat(self.envelope["time"])
        except (KeyError, TypeError, ValueError):
            return self.received_at
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()

    @property
    def replay(self) -> str | None:
        """The name of the replay that sent it, else None."""
        name = self.envelope.get("replay-name")
        return name if isinstance(name, str) else None

    @property
    def healed(self) -> bool:
        """Whether reconcile sent it, because it was missing."""
        return self.id.startswith(names.RECONCILED_ID_PREFIX)


@dataclass(frozen=True)
class Facts:
    """What the sources know of an event.

    Parameters
    ----------
    environment
        The environment's name.
    now
        When they were asked, in Unix seconds.
    at_stripe
        The event as Stripe keeps it, else None.
    lines
        What the functions logged about it, and what the Lambda platform logged about their invocations.
    deliveries
        Its lines in the ledger in S3.
    row
        Its row in PostgreSQL, else None.
    messages
        Its messages in dead-letter queues.
    items
        The items of the idempotency table about it, its effect and its object.
    rules
        The rules that match its type.
    unknown
        What could not be learned, and why: one sentence each.
    """

    event_id: str
    environment: str
    now: float
    at_stripe: Mapping[str, Any] | None = field(default=None, repr=False)
    lines: tuple[LogLine, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    row: Mapping[str, Any] | None = field(default=None, repr=False)
    messages: Messages = field(default_factory=list, repr=False)
    items: tuple[Item, ...] = ()
    rules: tuple[Rule, ...] = ()
    archives: tuple[Archive, ...] = ()
    replays: tuple[Replay, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def event(self) -> Mapping[str, Any] | None:
        """The event, from the first source that has it."""
        envelopes = (message.envelope for message, _ in self.messages if isinstance(message.envelope, dict))
        found = (
            *(delivery.event for delivery in self.deliveries),
            *(envelope.get("detail") for envelope in envelopes),
            self.at_stripe,
            self.row["payload"] if self.row else None,
        )
        return next((event for event in found if isinstance(event, Mapping)), None)

    @property
    def event_type(self) -> str | None:
        """The event type; of a thin event, its snapshot event's."""
        logged = (line.record.get("event_type") for line in self.lines)
        known = identity(self.event)[1] if self.event else next(filter(None, logged), None)
        return known if isinstance(known, str) else None

    @property
    def route(self) -> Route | None:
        """The row of the routing table for its type."""
        return ROUTES.get(self.event_type or "")

    @property
    def object(self) -> Mapping[str, Any]:
        """The event's object; of a thin event, what names it."""
        return object_of(self.event or {})

    @property
    def object_id(self) -> str | None:
        """The id of the event's object, if it can be one."""
        return id_of(self.object)

    @property
    def created(self) -> float | None:
        """When Stripe created it, in Unix seconds."""
        return created_at(self.event or {})

    @property
    def arrived_at(self) -> float | None:
        """When the audit queue, and so the bus, first had it, in Unix seconds."""
        return min((delivery.received_at for delivery in self.deliveries), default=None)


def created_at(event: Mapping[str, Any]) -> float | None:
    """Return when Stripe created an event, in Unix seconds; None if it has no time of Stripe's."""
    created = event.get("created")
    if isinstance(created, str):
        try:
            created = datetime.fromisoformat(created).timestamp()
        except (ValueError, OverflowError):
            return None
    return float(created) if isinstance(created, int | float) and 0 <= created < LATEST else None
