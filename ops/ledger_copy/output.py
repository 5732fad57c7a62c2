"""How the rows of a query are printed: as a table of the first ones, or all of them as JSON or CSV."""

from __future__ import annotations

import csv
import itertools
import json
import math
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from rich.console import Console

from ops.console import PlainTable
from ops.errors import OperatorError
from ops.plain import plain

# Characters of a cell of a table; --json prints it whole.
LONGEST_CELL: Final = 500


def print_rows(console: Console, columns: Sequence[str], rows: Iterable[Sequence[Any]], most: int) -> None:
    """Print the first rows as a table, and whether there are more."""
    shown = list(itertools.islice(rows, most + 1))
    table = PlainTable(*columns, text=columns, keep=columns)
    for row in shown[:most]:
        table.add_row(*map(_cell, row))
    if shown:
        console.print(table)
    if len(shown) > most:
        console.print(f"the first {most} rows: add LIMIT and OFFSET, or --json or --csv for all")
    else:
        console.print("1 row" if len(shown) == 1 else f"{len(shown)} rows")


def print_rows_as_json(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a JSON list of objects, one on each line.

    Raises
    ------
    OperatorError
        Two columns have one name.
    """
    twice = [name for name, count in Counter(columns).items() if count > 1]
    if twice:
        raise OperatorError(f"two columns are named {twice[0]!r}: name one of them with AS", usage=True)
    sys.stdout.write("[")
    before = "\n"
    for row in rows:
        document = dict(zip(columns, map(_json, row), strict=True))
        sys.stdout.write(f"{before}{json.dumps(document)}")
        before = ",\n"
    sys.stdout.write("\n]\n")


def print_rows_as_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print CSV with a line of headings (RFC 4180)."""
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(plain(column) for column in columns)
    for row in rows:
        out.writerow(_csv(value) for value in row)


def _cell(value: Any) -> str:
    text = "" if value is None else _text(value)
    return text if len(text) <= LONGEST_CELL else f"{text[:LONGEST_CELL]} …"


def _csv(value: Any) -> str:
    return "" if value is None else plain(_text(value))


def _text(value: Any) -> str:
    value = _json(value)
    return value if isinstance(value, str) else json.dumps(value)


def _json(value: Any) -> Any:
    """Return a value of DuckDB as JSON has it."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): _json(below) for key, below in value.items()}
    if isinstance(value, list | tuple):
        return [_json(below) for below in value]
    return str(value)
