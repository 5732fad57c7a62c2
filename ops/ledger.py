"""The ledger for operators: PostgreSQL if DATABASE_URL is exported, else the bucket in S3."""

from __future__ import annotations

import logging
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, Protocol

import psycopg

from functions.ledger.connection import connect
from functions.ledger.reader import CLOCK_SKEW, KnownEvents, LedgerReader, whole
from functions.shared import names, telemetry
from functions.shared.errors import ConfigurationError, EventError
from infra.patterns import stripe_event_types
from ops import denials
from ops.environment import Environment
from ops.errors import OperatorError

CONNECT_SECONDS: Final = 5
STATEMENT_MILLISECONDS: Final = 60_000

# CLOCK_SKEW before it is still a date that PostgreSQL knows.
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
# The types and the time let PostgreSQL find thin events by an index.
KNOWN: Final = """
    SELECT event_id FROM stripe_event_ledger WHERE event_id = ANY(%s)
    UNION
    SELECT payload->>'snapshot_event' FROM stripe_event_ledger
    WHERE type = ANY(%s) AND first_seen >= %s AND payload->>'snapshot_event' = ANY(%s)
"""

Progress = Callable[[int, int], None]
# Event type to the ids of its events.
EventsByType = Mapping[str, Collection[str]]


class Ledger(Protocol):
    """What both kinds of ledger offer.

    Parameters
    ----------
    progress
        Called with how much of a long read is done, and how much there is.
    """

    progress: Progress

    @property
    def name(self) -> str:
        """The kind of ledger, for people."""

    @property
    def unread(self) -> int:
        """How many objects could not be read: they are in an archive storage class of S3, or damaged."""

    def known(self, event_ids: Collection[str]) -> set[str]:
        """Return which of the events the ledger holds."""

    def event(self, event_id: str) -> dict[str, Any] | None:
        """Return an event as the ledger holds it, to send it; None if its personal values were erased."""

    def events(self, since: datetime, until: datetime) -> EventsByType:
        """Return the events that reached the bus from `since` to before `until`."""


def open_ledger(environment: Environment, since: datetime) -> Ledger:
    """Return the ledger to read; `since` is the earliest time that will be read.

    Raises
    ------
    OperatorError
        DATABASE_URL is exported and its database can't be read.
    """
    log_to_standard_error()
    if database_url := os.environ.get(names.DATABASE_URL, "").strip():
        return PostgresLedger(database_url, since)
    return S3Ledger(environment, since)


class PostgresLedger:
    """The table stripe_event_ledger."""

    name = "PostgreSQL"
    unread = 0

    def __init__(self, database_url: str, since: datetime = EARLIEST) -> None:
        self.progress: Progress = lambda _done, _total: None
        self._database_url = database_url
        self._since = since

    def known(self, event_ids: Collection[str]) -> set[str]:
        """Return which of the events have a row, or one as their thin twin."""
        wanted = list(event_ids)
        thin = [f"{names.THIN_PREFIX}{event_type}" for event_type in stripe_event_types()]
        rows = self._rows(KNOWN, (wanted, thin, self._since - CLOCK_SKEW, wanted))
        return {event_id for (event_id,) in rows}

    def event(self, event_id: str) -> dict[str, Any] | None:
        """Return an event as its row holds it."""
        query = "SELECT payload FROM stripe_event_ledger WHERE event_id = %s"
        return next((whole(payload) for (payload,) in self._rows(query, (event_id,))), None)

    def events(self, since: datetime, until: datetime) -> EventsByType:
        """Return the events first seen in the window; an earlier one that came again is not among them."""
        query = "SELECT type, event_id FROM stripe_event_ledger WHERE first_seen >= %s AND first_seen < %s"
        rows = self._rows(query, (since, until))
        self.progress(len(rows), len(rows))
        return _by_type(rows)

    def _rows(self, query: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        with connected(self._database_url, instead=", or unset it to read the ledger bucket") as connection:
            return connection.execute(query.encode(), values).fetchall()


@contextmanager
def connected(
    database_url: str, *, purpose: str = "read", instead: str = "", milliseconds: int = STATEMENT_MILLISECONDS
) -> Iterator[psycopg.Connection]:
    """Connect to the ledger in PostgreSQL for one transaction.

    Parameters
    ----------
    purpose
        What is done with the ledger.
    instead
        What an operator can do instead of correcting DATABASE_URL.
    milliseconds
        The longest statement.

    Raises
    ------
    OperatorError
        The database can't be used.
    """
    try:
        with connect(
            database_url,
            connect_timeout=CONNECT_SECONDS,
            application_name="huntaze-stripe",
            prepare_threshold=None,
        ) as connection:
            connection.execute(f"SET LOCAL statement_timeout = {milliseconds}")
            yield connection
    except psycopg.errors.UndefinedTable:
        # As an empty ledger, it would make reconcile send every event of Stripe's list again.
        raise OperatorError(
            "the database of DATABASE_URL has no table stripe_event_ledger, which the audit function "
            f"creates: use the environment's own database{instead}"
        ) from None
    except ConfigurationError as error:
        raise OperatorError(error.reason) from None
    except (psycopg.Error, UnicodeError) as error:
        # UnicodeError: an invalid host name. Without the cause: psycopg's messages quote the connection
        # string.
        raise OperatorError(
            f"can't {purpose} the ledger in PostgreSQL ({type(error).__name__}): check DATABASE_URL{instead}"
        ) from None


class S3Ledger:
    """The ledger bucket; each object is read once, with a progress bar."""

    name = "S3"

    def __init__(self, environment: Environment, since: datetime) -> None:
        self.progress: Progress = lambda _done, _total: None
        self._reader = LedgerReader(environment.client("s3"), environment.ledger_bucket)
        self._known = KnownEvents(
            self._reader, int(since.timestamp()), lambda done, total: self.progress(done, total)
        )

    @property
    def unread(self) -> int:
        """How many objects could not be read so far."""
        return self._reader.frozen + self._reader.unreadable

    def known(self, event_ids: Collection[str]) -> set[str]:
        """Return which of the events an object holds."""
        try:
            return self._known.known(event_ids)
        except EventError as error:
            raise unreadable(error) from error

    def event(self, event_id: str) -> dict[str, Any] | None:
        """Return an event as it was first delivered."""
        try:
            return self._known.event(event_id)
        except EventError as error:
            raise unreadable(error) from error

    def events(self, since: datetime, until: datetime) -> EventsByType:
        """Return the events that arrived in the window, without those of a replay."""
        try:
            read = 0
            found: list[tuple[str, str]] = []
            for keys in self._reader.keys_between(since, until):
                deliveries = self._reader.entries(keys, partial(self._report, read, read + len(keys)))
                found += [
                    (delivery.event_type, delivery.event_id)
                    for delivery in deliveries
                    if since <= delivery.time < until and not delivery.replayed
                ]
                read += len(keys)
            return _by_type(found)
        except EventError as error:
            raise unreadable(error) from error

    def _report(self, before: int, total: int, done: int) -> None:
        self.progress(before + done, total)


def log_to_standard_error() -> None:
    """Keep the functions' log, for example of an unreadable object, out of standard output."""
    for handler in telemetry.logger.handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.stream = sys.stderr


def _by_type(rows: Iterable[tuple[str, ...]]) -> EventsByType:
    found: dict[str, set[str]] = defaultdict(set)
    for event_type, event_id in rows:
        found[event_type].add(event_id)
    return found


def unreadable(error: EventError) -> OperatorError:
    """Return the error of a ledger in S3 that can't be read."""
    return denials.cause("the ledger bucket", error) or OperatorError(
        f"can't read the ledger: {error.reason}; check the credentials and --env, or export DATABASE_URL"
    )
