"""The ledger in PostgreSQL: the table `stripe_event_ledger`, one row per event.

Errors are raised without a cause: psycopg's messages quote the connection string and the row.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg import errors, sql
from psycopg.types.json import Jsonb

from functions.ledger.connection import connect
from functions.ledger.records import LedgerRecord
from functions.shared import names
from functions.shared.errors import ConfigurationError, EventError, TransientError

TABLE: Final = "stripe_event_ledger"

CONNECT_SECONDS: Final = 3
# A batch is ten short inserts; a slower one waits for a lock or a failing server.
STATEMENT_MILLISECONDS: Final = 5000
# How long sent data may stay unacknowledged: a lost server is noticed before the function times out.
SILENCE_MILLISECONDS: Final = 5000
# A number that nothing else in the database locks: the bytes of "huntaze".
MIGRATION_LOCK: Final = int.from_bytes(b"huntaze", "big")

# Errors that the row's content causes, and that a retry can't fix: text that PostgreSQL can't store (a NUL
# character, or half a surrogate pair, which has no UTF-8 bytes), or nesting deeper than its stack or ours.
_UNSTORABLE: Final = (
    psycopg.DataError,
    errors.ProgramLimitExceeded,
    errors.StatementTooComplex,
    UnicodeEncodeError,
    RecursionError,
)

# What libpq says if the server did not prove its identity.
_UNTRUSTED: Final = ("does not support SSL", "certificate")

# A copy made by reconcile counts as a delivery only until there is a real one.
_INSERT: Final = """
    INSERT INTO stripe_event_ledger AS ledger
        (event_id, first_seen, delivery_ids, type, object_id, customer_id, api_version, payload)
    VALUES (%(event_id)s, %(first_seen)s, ARRAY[%(delivery_id)s], %(type)s, %(object_id)s, %(customer_id)s,
        %(api_version)s, %(payload)s)
    ON CONFLICT (event_id) DO UPDATE SET
        first_seen = least(ledger.first_seen, excluded.first_seen),
        delivery_ids = array_remove(ledger.delivery_ids, %(copy_id)s) || excluded.delivery_ids
    WHERE NOT ledger.delivery_ids @> excluded.delivery_ids AND %(delivery_id)s <> %(copy_id)s
"""


class LedgerTable:
    """The table in the database at `database_url`; the connection is kept between invocations."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._connection: psycopg.Connection | None = None

    def insert(self, records: Sequence[LedgerRecord]) -> list[LedgerRecord]:
        """Insert a batch in one transaction; return the records that PostgreSQL can't store.

        A known delivery changes nothing, so a batch can be inserted again at any time.

        Raises
        ------
        TransientError, ConfigurationError
            The database did not answer, or refused. Nothing of the batch was inserted.
        """
        reused = self._connection is not None
        try:
            return self._insert(records)
        except TransientError:
            if not reused:
                raise
            # The server closed the idle connection, which shows only at the next use.
            return self._insert(records)

    def close(self) -> None:
        """Close the connection; the next insert opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _insert(self, records: Sequence[LedgerRecord]) -> list[LedgerRecord]:
        # Batches that lock rows in the same order can't deadlock.
        ordered = sorted(records, key=lambda record: record.event_id)
        with self._classified():
            connection = self._connected()
            try:
                _insert_all(connection, ordered)
            except _UNSTORABLE:
                return _insert_each(connection, ordered)
        return []

    def _connected(self) -> psycopg.Connection:
        if self._connection is None:
            connection = connect(
                self._database_url,
                autocommit=True,
                connect_timeout=CONNECT_SECONDS,
                tcp_user_timeout=SILENCE_MILLISECONDS,
                application_name="huntaze-stripe-audit",
                # A pooler may use another server for each transaction, without the prepared statement.
                prepare_threshold=None,
            )
            migrate(connection)
            self._connection = connection
        return self._connection

    @contextmanager
    def _classified(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            self.close()
            raise _fault(error) from None


def _insert_all(connection: psycopg.Connection, records: Sequence[LedgerRecord]) -> None:
    """Insert all records or none, in one round trip between BEGIN and COMMIT: a pipeline."""
    with connection.transaction(), connection.pipeline():
        _limit_statements(connection)
        for record in records:
            connection.execute(_INSERT, _row(record))


def _insert_each(connection: psycopg.Connection, records: Sequence[LedgerRecord]) -> list[LedgerRecord]:
    """Insert the records that PostgreSQL can store, in one transaction; return the others."""
    refused = []
    with connection.transaction():
        _limit_statements(connection)
        for record in records:
            try:
                with connection.transaction():
                    connection.execute(_INSERT, _row(record))
            except _UNSTORABLE:
                refused.append(record)
    return refused


def migrate(connection: psycopg.Connection) -> None:
    """Create the table if it is missing; of functions that start together, one creates it.

    A role without the right to create tables is enough if the shipped migrations were run by hand.
    """
    with connection.transaction():
        _limit_statements(connection)
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
        found = connection.execute("SELECT to_regclass(%s)", (TABLE,)).fetchone()
        if found == (None,):
            for migration in migrations():
                connection.execute(migration)


def migrations() -> list[sql.SQL]:
    """Return the shipped migrations in order."""
    folder = importlib.resources.files("functions.ledger") / "migrations"
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda f: f.name)
    return [sql.SQL(entry.read_text("utf-8")) for entry in files]


def _limit_statements(connection: psycopg.Connection) -> None:
    # For this transaction only: a pooler would pass a session setting on to other clients.
    connection.execute(f"SET LOCAL statement_timeout = {STATEMENT_MILLISECONDS}")


def _row(record: LedgerRecord) -> dict[str, object]:
    return {
        "event_id": record.event_id,
        "first_seen": record.received_at,
        "delivery_id": record.delivery_id,
        "copy_id": f"{names.RECONCILED_ID_PREFIX}{record.event_id}",
        "type": record.event_type,
        "object_id": record.object_id,
        "customer_id": record.customer_id,
        "api_version": record.api_version,
        "payload": Jsonb(record.event),
    }


def _fault(error: psycopg.Error) -> EventError:
    """Return a configuration error if an operator must act, and a transient error otherwise."""
    if error.sqlstate is None:
        # There is no connection. libpq gives the reason as text only, which is not repeated.
        if any(words in str(error) for words in _UNTRUSTED):
            return ConfigurationError(
                "PostgreSQL has no TLS or no trusted certificate; check the host, sslmode and sslrootcert of "
                "DATABASE_URL"
            )
        name = type(error).__name__
        return TransientError(
            f"PostgreSQL failed ({name}, no SQLSTATE); if this persists, check DATABASE_URL"
        )
    text = f"PostgreSQL failed ({type(error).__name__}, SQLSTATE {error.sqlstate})"
    if isinstance(error, psycopg.ProgrammingError) and not isinstance(error, errors.UndefinedTable):
        return ConfigurationError(f"{text}; check DATABASE_URL and the rights of the role")
    return TransientError(text)
