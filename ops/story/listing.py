"""The events of a time, newest first, and how each ended: by the functions' logs and the ledger's objects.

It grows with each `refresh`, and reads each log line and each object once. What is in memory is small: a
hundred thousand rows take about 50 MB, and a page of them needs no call.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from threading import Lock
from typing import Any, Final

from functions.ledger.reader import LedgerReader
from functions.ledger.records import customer_of, id_of, object_of
from functions.pipeline import outcomes
from functions.pipeline.envelope import identity
from functions.pipeline.routing_table import ROUTES
from functions.shared import names
from functions.shared.errors import EventError
from ops import denials, function_log
from ops.environment import Environment
from ops.errors import OperatorError
from ops.function_log import LogLine, NewLines
from ops.story.facts import Delivery
from ops.story.reading import AUDIT, AUDITED
from ops.story.reasons import UNROUTED
from ops.story.story import WAITING, precise
from ops.verify.log_lines import ENDS, FAILED, FINISHED, PARKED

# Rows of a page, unless somebody asks for more.
PAGE_ROWS: Final = 50
OUTCOMES: Final = (
    *(outcomes.APPLIED, outcomes.RECORDED, outcomes.DUPLICATE, outcomes.STALE, outcomes.PARKED),
    *(UNROUTED, WAITING),
)


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event.

    Parameters
    ----------
    at
        When it reached the bus, or else when a handler first logged it, in Unix seconds.
    outcome
        One of `OUTCOMES`; `waiting` until it has another one.
    attempts
        How often a handler has tried to apply it.
    latency_ms
        From the bus to its first end.
    audited
        Whether the ledger has it.
    searched
        What a search looks into; the list writes it once, so that a search of many rows is fast.
    """

    event_id: str
    event_type: str = ""
    customer_id: str | None = None
    object_id: str | None = None
    outcome: str = WAITING
    attempts: int = 0
    latency_ms: float | None = None
    at: float = 0.0
    audited: bool = False
    ended_at: float | None = None
    reason: str | None = None
    searched: str = field(default="", repr=False, compare=False)

    @property
    def handler(self) -> str | None:
        """The function that handles its type, else None."""
        route = ROUTES.get(self.event_type)
        return None if route is None else route.handler

    @property
    def ended(self) -> bool:
        """Whether it has an outcome and is in the ledger."""
        return self.outcome != WAITING and self.audited

    def document(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "time": precise(self.at),
            "event_id": self.event_id,
            "event_type": self.event_type,
            "customer_id": self.customer_id,
            "object_id": self.object_id,
            "outcome": self.outcome,
            "attempts": self.attempts,
            "latency_ms": self.latency_ms,
            "audited": self.audited,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows are wanted; an empty filter matches all.

    Parameters
    ----------
    handler
        Only events that this function handles.
    text
        A part of the event's id, type, customer or object, in any case.
    """

    event_type: str = ""
    outcome: str = ""
    customer: str = ""
    handler: str = ""
    text: str = ""

    def match(self, row: EventRow) -> bool:
        """Return whether a row is wanted."""
        return (
            (not self.event_type or row.event_type == self.event_type)
            and (not self.outcome or row.outcome == self.outcome)
            and (not self.customer or row.customer_id == self.customer)
            and (not self.handler or row.handler == self.handler)
            and (not self.text or self._has_text(row))
        )

    def _has_text(self, row: EventRow) -> bool:
        return self.text.casefold() in (row.searched or _searched(row))


@dataclass(frozen=True, slots=True)
class PageOfRows:
    """Some rows, newest first; `more` is the number of the next page, and `total` counts all that match."""

    rows: tuple[EventRow, ...]
    total: int
    number: int
    more: int | None


@dataclass
class Listing:
    """The events since a time.

    Parameters
    ----------
    since
        Unix seconds.
    """

    environment: Environment
    since: float
    _rows: dict[str, EventRow] = field(default_factory=dict, init=False, repr=False)
    # The rows, newest first; None while they are not sorted.
    _newest: list[EventRow] | None = field(default=None, init=False, repr=False)
    _changed: dict[str, None] = field(default_factory=dict, init=False, repr=False)
    _unread: list[str] = field(default_factory=list, init=False, repr=False)
    _listed: bool = field(default=False, init=False, repr=False)
    _types: set[str] = field(default_factory=set, init=False, repr=False)
    _read: set[str] = field(default_factory=set, init=False, repr=False)
    _lock: Lock = field(default_factory=Lock, init=False, repr=False)

    def __post_init__(self) -> None:
        ends = function_log.equals("message", ENDS)
        self._handlers = NewLines(self.environment, names.HANDLERS, ends, self.since)
        audited = function_log.equals("message", [AUDITED])
        self._audit = NewLines(self.environment, [AUDIT], audited, self.since)
        bucket = self.environment.ledger_bucket
        self._ledger = LedgerReader(self.environment.client("s3"), bucket)

    def refresh(self) -> tuple[EventRow, ...]:
        """Read what is new, and return the rows that changed, in the order in which they did.

        Raises
        ------
        OperatorError
            CloudWatch Logs or S3 refuses or does not answer; the next refresh returns what was read until
            then.
        """
        with self._lock:
            for line in self._handlers.read():
                self._changed |= dict.fromkeys(self._log(line))
            for key in self._new_keys():
                if key not in self._read:
                    self._read.add(key)
                    self._unread.append(key)
            self._changed |= dict.fromkeys(self._read_objects())
            changed, self._changed = self._changed, {}
            return tuple(self._rows[event_id] for event_id in changed)

    def row(self, event_id: str) -> EventRow | None:
        """Return an event's row, if it is known."""
        return self._rows.get(event_id)

    def page(self, wanted: Wanted, number: int = 1, size: int = PAGE_ROWS) -> PageOfRows:
        """Return a page of the wanted rows, newest first, numbered from 1; after the last comes the last."""
        matching = self._sorted()
        if wanted.text:
            text = wanted.text.casefold()
            matching = [row for row in matching if text in row.searched]
        others = replace(wanted, text="")
        if others != Wanted():
            matching = [row for row in matching if others.match(row)]
        number = max(1, min(number, -(-len(matching) // size)))
        first = (number - 1) * size
        more = number + 1 if first + size < len(matching) else None
        return PageOfRows(tuple(matching[first : first + size]), len(matching), number, more)

    def types(self) -> tuple[str, ...]:
        """Return the event types that there are, sorted."""
        with self._lock:
            return tuple(sorted(self._types))

    def _log(self, line: LogLine) -> Iterator[str]:
        event_id = line.record.get("event_id")
        if not isinstance(event_id, str):
            return
        row = self._rows.get(event_id) or EventRow(event_id, at=line.at)
        kind = str(line.record.get("event_type") or row.event_type)
        row = replace(row, event_type=row.event_type or kind, attempts=row.attempts + 1)
        outcome = _outcome(line)
        if line.message == FAILED:
            row = replace(row, reason=line.record.get("reason"))
        elif outcome is not None and _replaces(outcome, row.outcome):
            row = replace(row, outcome=outcome, reason=line.record.get("reason"))
        if line.message != FAILED and row.ended_at is None:
            row = _timed(replace(row, ended_at=line.at))
        self._put(row)
        yield event_id

    def _new_keys(self) -> Iterator[str]:
        """Yield the keys of objects that may be new: at first by a listing, then by the audit's log."""
        if not self._listed:
            since, now = datetime.fromtimestamp(self.since, UTC), datetime.now(UTC)
            with _ledger_errors():
                for keys in self._ledger.keys_between(since, now):
                    yield from keys
            self._listed = True
        for line in self._audit.read():
            key = line.record.get("key")
            if isinstance(key, str):
                yield key

    def _read_objects(self) -> Iterator[str]:
        keys, self._unread = self._unread, []
        try:
            with _ledger_errors():
                for key, record in self._ledger.records(keys):
                    yield from self._deliver(Delivery(key, record))
        except OperatorError:
            self._unread = keys
            raise

    def _deliver(self, delivery: Delivery) -> Iterator[str]:
        event_id, event_type = identity(delivery.event)
        if not isinstance(event_id, str) or not isinstance(event_type, str):
            return
        found = object_of(delivery.event)
        row = self._rows.get(event_id) or EventRow(event_id)
        at = delivery.received_at if not row.audited else min(row.at, delivery.received_at)
        row = replace(
            row,
            event_type=event_type,
            customer_id=customer_of(found) or row.customer_id,
            object_id=id_of(found) or row.object_id,
            outcome=UNROUTED if row.outcome == WAITING and event_type not in ROUTES else row.outcome,
            at=at,
            audited=True,
        )
        self._put(_timed(row))
        yield event_id

    def _put(self, row: EventRow) -> None:
        self._rows[row.event_id] = replace(row, searched=_searched(row))
        self._types.add(row.event_type)
        self._newest = None

    def _sorted(self) -> list[EventRow]:
        with self._lock:
            if self._newest is None:
                self._newest = sorted(
                    self._rows.values(), key=lambda row: (row.at, row.event_id), reverse=True
                )
            return self._newest


def _searched(row: EventRow) -> str:
    """Return what a search looks into; no part of an id or a type spans two lines."""
    parts = (row.event_id, row.event_type, row.customer_id, row.object_id)
    return "\n".join(part for part in parts if part).casefold()


@contextmanager
def _ledger_errors() -> Iterator[None]:
    try:
        yield
    except EventError as error:
        raise denials.cause("the ledger bucket", error) or OperatorError(error.reason) from error


def _outcome(line: LogLine) -> str | None:
    if line.message == PARKED:
        return outcomes.PARKED
    outcome = line.record.get("outcome")
    return outcome if line.message == FINISHED and isinstance(outcome, str) else None


def _replaces(new: str, old: str) -> bool:
    """Return whether a later outcome counts: a repeat of what is applied changes nothing."""
    return old in (WAITING, outcomes.PARKED) or new not in (outcomes.DUPLICATE, outcomes.PARKED)


def _timed(row: EventRow) -> EventRow:
    if row.ended_at is None or not row.audited or row.latency_ms is not None:
        return row
    return replace(row, latency_ms=max(0.0, round((row.ended_at - row.at) * 1000, 1)))


def wait_until_ended(
    listing: Listing, event_ids: Sequence[str], deadline: float, poll_seconds: float
) -> bool:
    """Refresh until all events have ended; return whether they have before `deadline`, by `time.monotonic`.

    Raises
    ------
    OperatorError
        See `Listing.refresh`.
    """
    while True:
        listing.refresh()
        rows = [listing.row(event_id) for event_id in event_ids]
        if all(row is not None and row.ended for row in rows):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(poll_seconds)
