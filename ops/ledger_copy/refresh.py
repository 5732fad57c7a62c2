"""Making the copy equal to the ledger's bucket, for the days that are asked for.

Each object is fetched once, and again only after an erasure has rewritten it. Objects that are no longer in
the bucket are removed from the copy. Each batch of objects is one transaction, and the copy notes what must
follow its changes, so the next refresh continues one that was killed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import duckdb

from functions.ledger import keys as ledger_keys
from functions.ledger.reader import CLOCK_SKEW, READERS, LedgerReader, Listed, Page
from functions.shared.errors import EventError
from functions.shared.parallel import in_order
from ops.environment import Environment
from ops.errors import OperatorError
from ops.ledger import log_to_standard_error, unreadable
from ops.ledger_copy import rows, tables
from ops.ledger_copy.folder import ADDED, REMOVED, LedgerCopy
from ops.progress import Step

# A batch is fetched at once: at most so many objects, and stored bytes, which JSON lines unpack to about ten
# times as many.
BATCH_OBJECTS: Final = 200
BATCH_BYTES: Final = 1024 * 1024
# Bytes after which a transaction ends and a statement inserts: DuckDB holds several copies of them within its
# limit, and repetitive lines unpack to a thousand times what is stored.
WRITTEN_BYTES: Final = 4 * 1024 * 1024
# Listings until no object vanished between its listing and its reading, as it does in a compaction. Each one
# finds all that the one before has fetched.
_LISTINGS: Final = 5
# In `objects.damaged`: every line can be read.
WHOLE: Final = -1
# Rows that one statement inserts; its parameters are copies of them.
_INSERTED_ROWS: Final = 200
_INSERT: Final = (
    f"INSERT INTO lines ({', '.join(rows.COLUMNS)}, repeated) SELECT "
    f"{', '.join(f'unnest(${number})' for number in range(1, len(rows.COLUMNS) + 1))}, false"
)


@dataclass
class Refreshed:
    """What a refresh did.

    Parameters
    ----------
    fetched, removed
        How many objects were fetched, and are no longer in the bucket or in the copy.
    kept
        How many were in the copy already.
    frozen
        How many are in an archive storage class of S3, and must be restored before they can be read.
    damaged
        Keys of the window's objects that can't be read whole, with how many of their lines can't be read;
        0 for an object of which nothing can.
    """

    fetched: int = 0
    removed: int = 0
    kept: int = 0
    frozen: int = 0
    damaged: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Fetched:
    key: str
    etag: str
    lines: list[bytes]
    damaged: bool

    @property
    def size(self) -> int:
        """Bytes of its lines."""
        return sum(map(len, self.lines))


def refresh(
    copy: LedgerCopy, environment: Environment, since: datetime, until: datetime, step: Step
) -> Refreshed:
    """Fetch what the copy lacks of the window, and drop what the bucket no longer holds.

    Raises
    ------
    OperatorError
        S3 refuses or does not answer, another command uses the copy for too long, or objects vanish for as
        long as they are read: then the copy lacks what they held.
    """
    log_to_standard_error()
    with copy.refreshing():
        try:
            for _ in range(_LISTINGS):
                reader = LedgerReader(environment.client("s3"), environment.ledger_bucket)
                run = _Refresh(copy, reader, step)
                run.follow(since, until)
                if not run.vanished:
                    return run.done
        except EventError as error:
            raise unreadable(error) from error
    raise OperatorError(
        "objects of the ledger were removed while they were read, so the copy is not complete: a compaction "
        "is at work, for 15 minutes at most; repeat the command, which continues"
    )


class _Refresh:
    """One listing, and what follows from it."""

    def __init__(self, copy: LedgerCopy, reader: LedgerReader, step: Step) -> None:
        self.done = Refreshed()
        self.vanished = False
        self._copy = copy
        self._reader = reader
        self._step = step
        self._listed = 0
        self._stale: list[str] = []

    def follow(self, since: datetime, until: datetime) -> None:
        with self._copy.writing():
            pass  # The file exists from now on.
        after = start = ledger_keys.lower_bound(since - CLOCK_SKEW)
        for page in self._reader.pages_between(since, until):
            self._page(after, page)
            after = page.last or after
        self.done.frozen = self._reader.frozen
        if self._stale:
            self._copy.note(REMOVED)
        if self._stale or self._copy.noted(ADDED):
            with self._copy.writing() as connection:
                _drop(connection, self._stale)
                connection.execute(tables.MARK_REPEATED)
            self._copy.settle(ADDED)
        self.done.removed = len(self._stale)
        if self._copy.noted(REMOVED):
            self._copy.rewrite()
            self._copy.settle(REMOVED)
        self._note_damaged(start, after)

    def _page(self, after: str, page: Page) -> None:
        held = self._held(after, page.last)
        # A listing that ends here says nothing about keys after it, but that there are none.
        self._stale += [key for key in held if key not in page.listed]
        wanted = [key for key in page.keys if held.get(key) != page.listed[key].etag]
        self.done.kept += len(page.keys) - len(wanted)
        self._listed += len(page.keys)
        if wanted:
            self._copy.note(ADDED)
        if any(key in held for key in wanted):
            self._copy.note(REMOVED)
        for batch in _batches(wanted, page.listed):
            self._fetch(batch, page.listed)
        self._advance()

    def _held(self, after: str, last: str | None) -> dict[str, str]:
        with self._copy.reading() as connection:
            found = connection.execute(
                "SELECT key, etag FROM objects WHERE key > $1 AND ($2 IS NULL OR key <= $2)", [after, last]
            ).fetchall()
        return dict(found)

    def _fetch(self, keys: Sequence[str], listed: Mapping[str, Listed]) -> None:
        held: list[_Fetched] = []
        for each in in_order(lambda key: self._object(key, listed[key].etag), keys, READERS):
            if each is None:
                self.vanished = True
                continue
            held.append(each)
            self._advance(len(held))
            if sum(one.size for one in held) >= WRITTEN_BYTES:
                self._write(held)
                held = []
        if held:
            self._write(held)

    def _write(self, fetched: Sequence[_Fetched]) -> None:
        with self._copy.writing() as connection:
            _drop(connection, [each.key for each in fetched])
            _store(connection, fetched)
        self.done.fetched += len(fetched)

    def _object(self, key: str, etag: str) -> _Fetched | None:
        """Return an object, or None if it was deleted after its listing."""
        read = self._reader.present(key)
        return None if read is None else _Fetched(key, etag, *read)

    def _advance(self, fetching: int = 0) -> None:
        self._step.advance_to(self.done.fetched + self.done.kept + fetching, self._listed)

    def _note_damaged(self, start: str, end: str) -> None:
        with self._copy.reading() as connection:
            found = connection.execute(
                "SELECT key, damaged FROM objects WHERE damaged > $1 AND key BETWEEN $2 AND $3 ORDER BY key",
                [WHOLE, start, end],
            ).fetchall()
        self.done.damaged = dict(found)


def _batches(keys: Sequence[str], listed: Mapping[str, Listed]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for key in keys:
        if batch and (len(batch) == BATCH_OBJECTS or size + listed[key].size > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(key)
        size += listed[key].size
    if batch:
        yield batch


def _drop(connection: duckdb.DuckDBPyConnection, keys: Sequence[str]) -> None:
    for table in ("lines", "objects") if keys else ():
        connection.execute(
            f"DELETE FROM {table} WHERE key IN (SELECT unnest($1))",  # noqa: S608 - our own table
            [list(keys)],
        )


def _parts(found: Sequence[rows.Row]) -> Iterator[list[rows.Row]]:
    part: list[rows.Row] = []
    size = 0
    for row in found:
        if part and (len(part) == _INSERTED_ROWS or size + len(row.envelope) > WRITTEN_BYTES):
            yield part
            part, size = [], 0
        part.append(row)
        size += len(row.envelope)
    if part:
        yield part


def _store(connection: duckdb.DuckDBPyConnection, fetched: Sequence[_Fetched]) -> None:
    unread = []
    found: list[rows.Row] = []
    for each in fetched:
        of_object, damaged = rows.parse(each.key, each.lines)
        found += of_object
        unread.append(damaged or (0 if each.damaged else WHOLE))
    for part in _parts(found):
        connection.execute(_INSERT, [list(column) for column in zip(*map(rows.values, part), strict=True)])
    connection.execute(
        "INSERT INTO objects SELECT unnest($1), unnest($2), unnest($3)",
        [[each.key for each in fetched], [each.etag for each in fetched], unread],
    )
