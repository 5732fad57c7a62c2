"""Running SQL over the copy: one statement that reads, within a time limit, and Ctrl-C ends it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar

import duckdb

from ops.errors import OperatorError
from ops.ledger_copy import tables
from ops.ledger_copy.folder import LedgerCopy

T = TypeVar("T")
QUERY_SECONDS: Final = 60.0
# Rows that are in memory at once.
CHUNK_ROWS: Final = 500


@dataclass
class Session:
    """A connection that can only read the copy; make it with `opened`.

    DuckDB hears no signal while it computes. So it computes in a thread, and the caller's thread waits.

    Parameters
    ----------
    deadline
        The monotonic time, in seconds, at which a statement is interrupted; None for never.
    """

    connection: duckdb.DuckDBPyConnection = field(repr=False)
    deadline: float | None
    _seconds: float | None
    _thread: ThreadPoolExecutor = field(repr=False)

    def execute(self, statement: str, values: Sequence[Any] = ()) -> list[str]:
        """Run a statement and return the names of its columns.

        Raises
        ------
        OperatorError
            It is not one SELECT, it is wrong, or it takes too long.
        """
        check(statement)
        with _sql_errors():
            self._call(lambda: self.connection.execute(statement, list(values)))
        return [column[0] for column in self.connection.description or ()]

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of the last statement.

        Raises
        ------
        OperatorError
            It fails on a row, or takes too long.
        """
        while True:
            with _sql_errors():
                chunk = self._call(lambda: self.connection.fetchmany(CHUNK_ROWS))
            if not chunk:
                return
            yield from chunk

    def _call(self, work: Callable[[], T]) -> T:
        left = None if self.deadline is None else max(0.0, self.deadline - time.monotonic())
        running = self._thread.submit(work)
        try:
            return running.result(left)
        except TimeoutError:
            self.connection.interrupt()
            raise OperatorError(
                f"the query took longer than {self._seconds:g} seconds: ask for fewer days with --since, or "
                "add --timeout"
            ) from None
        except BaseException:
            self.connection.interrupt()
            raise


@contextmanager
def opened(
    copy: LedgerCopy, since: datetime, until: datetime, seconds: float | None = QUERY_SECONDS
) -> Iterator[Session]:
    """Open the copy, with the views of what reached the bus from `since` to before `until`.

    Raises
    ------
    OperatorError
        Another command changes the copy for too long, or the ledger has no copy.
    """
    with copy.reading() as connection, ThreadPoolExecutor(1) as thread:
        with _sql_errors():
            tables.make_views(connection, since, until)
        deadline = None if seconds is None else time.monotonic() + seconds
        yield Session(connection, deadline, seconds, thread)


def check(statement: str) -> None:
    """Refuse anything but one SELECT: DuckDB's own guards let others write the copy's own file.

    Raises
    ------
    OperatorError
        It is something else, or not SQL.
    """
    with _sql_errors():
        kinds = [each.type for each in duckdb.extract_statements(statement)]
    if kinds != [duckdb.StatementType.SELECT]:
        raise OperatorError(
            "invalid SQL: expected one statement that reads, such as SELECT event_type, count(*) FROM events "
            "GROUP BY ALL",
            usage=True,
        )


@contextmanager
def _sql_errors() -> Iterator[None]:
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise OperatorError(
            "the query needs more memory or disk than it may use: ask for fewer days with --since, or leave "
            "the column envelope out"
        ) from error
    except duckdb.Error as error:
        # DuckDB's first line says what is wrong; the next ones draw the statement.
        raise OperatorError(
            f"DuckDB refused the SQL: {str(error).partition(chr(10))[0]}", usage=True
        ) from error
