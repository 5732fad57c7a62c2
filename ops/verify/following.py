"""Follow events of Stripe to their end: through the handlers' logs, their records, and the ledger."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, cast

from functions.pipeline.idempotency import COMPLETED
from functions.pipeline.routing_table import ROUTES
from functions.shared.errors import EventError
from functions.stripe_api.client import StripeApi
from ops import denials, records
from ops.environment import Environment
from ops.errors import OperatorError
from ops.ledger import open_ledger
from ops.local.accounting import Row, SentEvent
from ops.local.observations import Outcome
from ops.verify.log_lines import FAILED, FINISHED, MILLISECONDS, PARKED, HandlerLines

POLL_SECONDS: Final = 2.0
PARKED_OUTCOME: Final = "parked"

Event = Mapping[str, Any]


@dataclass(frozen=True)
class Trouble:
    """Why an event has no end yet: the last failure that its handler logged."""

    reason: str
    at: float


@dataclass
class Following:
    """The events about some objects, and how far each has come.

    Parameters
    ----------
    since
        When the first object was created, in Unix seconds.
    object_ids
        Ids of the objects; an event about one of them, or about what belongs to one, is followed.
    troubles
        The last failure of each event without an end, by event id.
    """

    environment: Environment
    api: StripeApi
    since: int
    object_ids: Collection[str]
    events: dict[str, Event] = field(default_factory=dict)
    troubles: dict[str, Trouble] = field(default_factory=dict)
    _lines: HandlerLines = field(init=False)
    _ends: dict[str, tuple[Outcome, float]] = field(default_factory=dict)
    _recorded: set[str] = field(default_factory=set)
    _audited: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._lines = HandlerLines(self.environment, self.since)

    def until(
        self, event_types: Iterable[str], deadline: float, progress: Callable[[int, int], None]
    ) -> bool:
        """Follow until Stripe has made events of these types and all events have ended.

        Parameters
        ----------
        deadline
            When to give up, by `time.monotonic`.
        progress
            Called after each look with the number of ended events, and of all that are expected.

        Returns
        -------
        bool
            Whether all have ended.

        Raises
        ------
        OperatorError
            Stripe or AWS refuses or does not answer.
        """
        expected = set(event_types)
        while True:
            self._look()
            rows = self.rows()
            made = {row.sent.event_type for row in rows}
            ended = sum(row.accounted for row in rows)
            progress(ended, len(rows) + len(expected - made))
            if expected <= made and ended == len(rows):
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)

    def rows(self) -> tuple[Row, ...]:
        """Return what became of each event so far, in the order in which Stripe created them."""
        return tuple(self._row(event) for event in sorted(self.events.values(), key=_created))

    def _look(self) -> None:
        try:
            listed = list(self.api.events(self.since, int(time.time()) + 1, ROUTES))
        except EventError as error:
            raise OperatorError(f"{error.reason}: Stripe's list of events can't be read") from error
        self.events |= {event["id"]: event for event in listed if concerns(event, self.object_ids)}
        for line in self._lines.new():
            if line.message == FAILED:
                self.troubles[line.event_id] = Trouble(line.reason or "unknown", line.at)
            elif line.message == PARKED:
                self._ends.setdefault(line.event_id, (PARKED_OUTCOME, line.at))
                self.troubles[line.event_id] = Trouble(line.reason or "unknown", line.at)
            elif line.message == FINISHED:
                self._ends.setdefault(line.event_id, (cast("Outcome", line.outcome), line.at))
        self._read_records()
        self._read_ledger()

    def _read_records(self) -> None:
        waiting = [event for event_id, event in self.events.items() if event_id not in self._recorded]
        with records.reading(self.environment) as read:
            statuses = read.of_events(waiting)
        self._recorded |= {event_id for event_id, status in statuses.items() if status == COMPLETED}

    def _read_ledger(self) -> None:
        waiting = self.events.keys() - self._audited
        if not waiting:
            return
        # Read from the start each time: an object of the ledger may become visible after younger ones.
        ledger = open_ledger(self.environment, datetime.fromtimestamp(self.since, UTC))
        try:
            self._audited |= ledger.known(waiting)
        except EventError as error:
            raise denials.cause("the ledger", error) or OperatorError(error.reason) from error

    def _row(self, event: Event) -> Row:
        event_id = event["id"]
        outcome, at = self._ends.get(event_id, (None, None))
        if outcome is not None and outcome != PARKED_OUTCOME and event_id not in self._recorded:
            outcome, at = None, None
        sent_at = event["created"] * MILLISECONDS
        sent = SentEvent(
            event_id, event["type"], event.get("api_version"), ROUTES[event["type"]].handler, "", sent_at
        )
        latency = None if at is None else float(at - sent_at)
        return Row(sent, outcome, (), event_id in self._audited, latency)


def concerns(event: Event, object_ids: Collection[str]) -> bool:
    """Return whether an event is about one of the objects, or about what belongs to one."""
    stripe_object = event["data"]["object"]
    related = (stripe_object.get(name) for name in ("id", "customer", "payment_intent", "subscription"))
    return any(isinstance(each, str) and each in object_ids for each in related)


def missing_types(event_types: Iterable[str], rows: Sequence[Row]) -> list[str]:
    """Return the types of which Stripe has made no event."""
    made = {row.sent.event_type for row in rows}
    return [event_type for event_type in event_types if event_type not in made]


def _created(event: Event) -> int:
    return int(event["created"])
