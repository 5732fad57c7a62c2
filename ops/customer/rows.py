"""The ledger's rows in PostgreSQL that concern a customer: find them, and replace their payloads."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from functions.ledger.postgres import TABLE
from functions.shared import names
from ops.customer.search import OWNED, Search, about
from ops.environment import Environment
from ops.ledger import connected

# Without an index on what payloads hold, the search reads the whole table.
SEARCH_MILLISECONDS: Final = 30 * 60 * 1000
_COLUMNS: Final = (
    *("event_id", "first_seen", "delivery_ids", "type", "object_id", "customer_id", "api_version", "payload"),
)
# More rows than concern the customer; `Search` decides. `_` is a wildcard of LIKE, so it finds more still.
_FIND: Final = sql.SQL(
    "SELECT {columns} FROM {table} WHERE payload::text LIKE %(text)s"
    " OR (customer_id IS NULL AND (object_id = ANY(%(objects)s) OR {owned})) ORDER BY event_id"
).format(
    columns=sql.SQL(", ").join(map(sql.Identifier, _COLUMNS)),
    table=sql.Identifier(TABLE),
    owned=sql.SQL(" OR ").join(
        sql.SQL("payload #>> {} = ANY(%(objects)s)").format(
            sql.Literal(["data", "object", *path.split("."), *end])
        )
        for path in OWNED
        # As an id, or as the object itself.
        for end in ([], ["id"])
    ),
)
_REPLACE: Final = sql.SQL("UPDATE {} SET payload = %s WHERE event_id = %s").format(sql.Identifier(TABLE))


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table, by its event's id."""

    event_id: str
    columns: Mapping[str, Any] = field(repr=False, compare=False)

    @property
    def event(self) -> Mapping[str, Any]:
        """The event, as it was first delivered."""
        payload: Mapping[str, Any] = self.columns["payload"]
        return payload


def database_url(environment: Environment) -> str:
    """Return the exported DATABASE_URL, or else the deployed one; empty for a ledger in S3 alone.

    A shell without the variable must not leave half of the ledger out.

    Raises
    ------
    OperatorError
        The environment's secret can't be read.
    """
    exported = os.environ.get(names.DATABASE_URL, "").strip()
    return exported or environment.secret(names.DATABASE_URL)


def find(url: str, search: Search) -> list[Row]:
    """Return the rows that concern the customer.

    The table is searched again as long as rows, or what the search has seen elsewhere, show further objects
    of the customer; so the search is settled by then.

    Raises
    ------
    OperatorError
        The database can't be used.
    """
    with connected(url, milliseconds=SEARCH_MILLISECONDS) as connection:
        known = -1
        while known < len(search.objects):
            known = len(search.objects)
            values = {"text": f"%{search.customer}%", "objects": sorted(search.objects)}
            with connection.cursor(row_factory=dict_row) as cursor:
                found = [Row(columns["event_id"], columns) for columns in cursor.execute(_FIND, values)]
            for row in found:
                search.add(row, about(row.event))
            search.settle()
    return [row for row in found if search.concerns(about(row.event))]


def replace(url: str, events: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Replace the payloads of rows, given by their events' ids: all of them or none.

    Raises
    ------
    OperatorError
        The database can't be used.
    """
    # Transactions that lock rows in the same order, as the audit function's do, can't deadlock.
    values = [(Jsonb(dict(event)), event_id) for event_id, event in sorted(events, key=lambda each: each[0])]
    with (
        connected(url, purpose="change", milliseconds=SEARCH_MILLISECONDS) as connection,
        connection.cursor() as cursor,
    ):
        cursor.executemany(_REPLACE, values)
