"""Deliveries of the ledger in one file that only its owner can read, whole or not at all.

What may be personal is masked, as `dlq show` masks it, unless the operator asks to reveal it.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import duckdb

from ops import new_file
from ops.dlq.mask import MASKED, TooDeepError, masked
from ops.ledger_copy import session, tables
from ops.ledger_copy.folder import LedgerCopy, quoted
from ops.ledger_copy.session import Session
from ops.progress import Step

FOLDER: Final = Path("build") / "exports"
OPTION: Final = "--output"
IF_IT_EXISTS: Final = "use another name, or add --force"
FORMATS: Final = ("jsonl", "csv", "parquet")
_DRAFT: Final = ".ledger-export."
_LINES: Final = ".ledger-export-lines."
_ISO: Final = "%Y-%m-%dT%H:%M:%S.%gZ"
_SELECT: Final = f"""
    SELECT {
    ", ".join(
        f"strftime({name}, '{_ISO}')" if name in ("received_at", "time") else name
        for name in tables.DELIVERIES
    )
}
    FROM deliveries WHERE time >= $1 AND time < $2 ORDER BY time, delivery_id
"""  # noqa: S608 - our own column names
# Rows that are sorted with their envelopes at once.
_SORTED_ROWS: Final = 1000
_TIMES: Final = """
    SELECT DISTINCT time FROM (SELECT time, row_number() OVER (ORDER BY time) AS number FROM deliveries)
    WHERE number % $1 = 0 ORDER BY time
"""
# Of Parquet; in the others times stay text.
_TYPES: Final = {
    **{"received_at": "TIMESTAMPTZ", "time": "TIMESTAMPTZ"},
    **{"livemode": "BOOLEAN", "replayed": "BOOLEAN", "envelope": "JSON"},
}
# Rows of a group of Parquet, which DuckDB holds in memory.
_ROW_GROUP: Final = 2048


def default_file(environment: str, since: datetime, until: datetime, form: str) -> Path:
    """Return the file of an export that names none."""
    day = "%Y%m%dT%H%M%SZ"
    return FOLDER / f"ledger-{environment}-{since:{day}}-{until:{day}}.{form}"


def check(file: Path, *, force: bool) -> None:
    """Refuse a file that can't be written; see `new_file.check`."""
    new_file.check(OPTION, file, FOLDER, if_it_exists=None if force else IF_IT_EXISTS)


def write(
    copy: LedgerCopy,
    since: datetime,
    until: datetime,
    file: Path,
    form: str,
    step: Step,
    *,
    reveal: bool,
    force: bool,
) -> int:
    """Write the deliveries of a window to a file, in order of time; return how many there are.

    Parameters
    ----------
    form
        One of `FORMATS`.
    reveal
        Whether to write envelopes as they are.

    Raises
    ------
    OperatorError
        The file can't be written, exists and `force` is off, or another command changes the copy.
    """
    options = {"if_it_exists": IF_IT_EXISTS}
    with (
        new_file.draft(OPTION, file, _DRAFT, force=force, **options) as draft,
        session.opened(copy, since, until, seconds=None) as opened,
    ):
        documents = _documents(opened, step, reveal=reveal)
        if form == "csv":
            return _write_csv(draft, documents)
        if form == "jsonl":
            return _write_lines(draft, documents)[0]
        new_file.remove_drafts(file.parent, _LINES)
        lines = draft.with_name(f"{_LINES}{draft.name.removeprefix(_DRAFT)}")
        try:
            lines.touch(mode=0o600)
            count, longest = _write_lines(lines, documents)
            _write_parquet(draft, lines, longest)
        finally:
            lines.unlink(missing_ok=True)
    return count


def _documents(opened: Session, step: Step, *, reveal: bool) -> Iterator[dict[str, Any]]:
    """Yield the rows in order of time; only so many as are sorted at once are in memory."""
    opened.execute("SELECT count(*) FROM deliveries")
    total = next(opened.rows())[0]
    opened.execute(_TIMES, [_SORTED_ROWS])
    times = [datetime.min, *(each[0] for each in opened.rows()), datetime.max]
    done = 0
    for window in pairwise(times):
        opened.execute(_SELECT, window)
        for row in opened.rows():
            document = dict(zip(tables.DELIVERIES, row, strict=True))
            if not reveal:
                document["envelope"] = _masked(document["envelope"])
            yield document
            done += 1
            step.advance_to(done, total)


def _write_csv(file: Path, documents: Iterable[dict[str, Any]]) -> int:
    count = 0
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(tables.DELIVERIES)
        for document in documents:
            count += 1
            writer.writerow(
                str(value).lower() if isinstance(value, bool) else value for value in document.values()
            )
    return count


def _write_lines(file: Path, documents: Iterable[dict[str, Any]]) -> tuple[int, int]:
    """Return how many lines there are, and the bytes of the longest one."""
    count = longest = 0
    with file.open("wb") as out:
        for document in documents:
            count += 1
            envelope = document.pop("envelope")
            # It is JSON already, and the last column.
            line = f'{json.dumps(document)[:-1]}, "envelope": {envelope}}}\n'.encode()
            out.write(line)
            longest = max(longest, len(line))
    return count, longest


def _masked(envelope: str) -> str:
    try:
        shown = masked(json.loads(envelope))
    except TooDeepError:
        shown = MASKED
    return json.dumps(shown, ensure_ascii=False, separators=(",", ":"))


def _write_parquet(file: Path, lines: Path, longest: int) -> None:
    columns = ", ".join(f"{name}: '{_TYPES.get(name, 'VARCHAR')}'" for name in tables.DELIVERIES)
    limits: dict[str, str | bool | int | float | list[str]] = {"memory_limit": "96MB", "threads": "1"}
    with duckdb.connect(config=limits) as connection:
        # Rows keep their order, as they do by default.
        connection.execute(
            f"COPY (SELECT * FROM read_json('{quoted(lines)}', columns={{{columns}}}, "  # noqa: S608 - ours
            f"format='newline_delimited', compression='none', maximum_object_size={longest + 1})) "
            f"TO '{quoted(file)}' "
            f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP}, USE_TMP_FILE false)"
        )
