"""The part of the CloudWatch Logs Insights query language that the embedded AWS runs.

Commands: fields, display, filter, sort, limit and stats. Everything else is refused.

Source: CloudWatch Logs user guide, "CloudWatch Logs Insights query language syntax" and "Supported logs and
discovered fields".
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

from ops.emulator.filter_pattern import COMPARISONS, number

Row = dict[str, Any]
Stage = Callable[[list[Row]], list[Row]]
Test = Callable[[Row], bool]

MAX_LIMIT: Final = 10_000
DEFAULT_FIELDS: Final = ("@timestamp", "@message")
SYSTEM_FIELDS: Final = ("@timestamp", "@message", "@logStream", "@log", "@ptr")
COMMANDS: Final = ("fields", "display", "filter", "sort", "limit", "stats")
TOKEN: Final = re.compile(
    r"""(?:\s|\#[^\n]*)*(?:
        (?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
      | (?P<regex>/(?:\\.|[^/\\])+/)
      | (?P<quoted>`[^`]+`)
      | (?P<number>-?\d+(?:\.\d+)?)
      | (?P<name>[@A-Za-z_][\w.@]*)
      | (?P<operator>!=|<=|>=|=~|[=<>()\[\],|*])
      | (?P<end>\Z)
    )""",
    re.VERBOSE,
)


class QueryError(ValueError):
    """A query is invalid, or uses something that is not supported here; the message names the part."""


class Time(int):
    """Milliseconds since 1970 that a result shows as a date."""


@dataclass
class InsightsQuery:
    """A query: its commands, and the fields that it shows."""

    stages: list[tuple[str, Stage]] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    aggregates: bool = False

    def run(self, rows: Sequence[Row], limit: int = MAX_LIMIT) -> tuple[list[list[dict[str, str]]], int]:
        """Return the result as AWS's API writes it, and how many log events its filters left.

        A row of the result leaves out each field that has no value.
        """
        found = sorted(rows, key=lambda row: row["@timestamp"], reverse=True)
        matched, done = len(found), list[str]()
        for command, stage in self.stages:
            found = stage(found)
            if command == "filter" and "stats" not in done:
                matched = len(found)
            done.append(command)
        shown = self.shown or DEFAULT_FIELDS
        if not self.aggregates:
            shown = [*(name for name in shown if name != "@ptr"), "@ptr"]
        return [
            [{"field": name, "value": _text(row[name])} for name in shown if row.get(name) is not None]
            for row in found[:limit]
        ], matched


def discovered(message: str) -> Row:
    """Return the fields of a log line that is a JSON object, by their dotted names."""
    try:
        document = json.loads(message)
    except ValueError:
        return {}
    # Logs Insights adds a second @ to a name in the line that starts with one.
    return (
        {f"@{name}" if name.startswith("@") else name: value for name, value in _leaves(document)}
        if isinstance(document, dict)
        else {}
    )


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict | list):
        members = value.items() if isinstance(value, dict) else enumerate(value)
        for key, member in members:
            yield from _leaves(member, f"{name}.{key}" if name else str(key))
    elif value is not None:
        yield name, int(value) if isinstance(value, bool) else value


def _text(value: Any) -> str:
    if isinstance(value, Time):
        at = datetime.fromtimestamp(value / 1000, UTC)
        return f"{at:%Y-%m-%d %H:%M:%S}.{value % 1000:03d}"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _sort_key(value: Any) -> tuple[Any, ...]:
    """Order as AWS does: what is missing, then text in natural order, then numbers."""
    if value is None:
        return (0,)
    as_number = number(value)
    if as_number is not None:
        return (2, as_number)
    chunks = re.findall(r"\d+|\D+", str(value))
    return (
        1,
        [(chunk[0], len(chunk), chunk) if chunk.isdigit() else (chunk[0], 0, chunk) for chunk in chunks],
    )


def parsed(text: str) -> InsightsQuery:
    """Return a query of its text.

    Raises
    ------
    QueryError
        The text is not a query, or uses something that is not supported here.
    """
    return _Parser(text).query()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._start = self._position = 0
        self._kind, self._part = "", ""
        self._next()

    def query(self) -> InsightsQuery:
        query = InsightsQuery()
        while True:
            command = self._part.lower()
            if self._kind != "name" or command not in COMMANDS:
                self._refuse(f"expected a command; the embedded AWS runs {', '.join(COMMANDS)}")
            self._next()
            stage = getattr(self, f"_{command}")(query)
            query.stages.append((command, stage))
            if self._kind == "end":
                return query
            self._expect("|")

    def _next(self) -> str:
        """Advance, and return the token before."""
        token = self._part
        found = TOKEN.match(self._text, self._position)
        if found is None:
            self._part = self._text[self._position :].split()[0]
            self._start = self._text.index(self._part, self._position)
            self._refuse("not supported by the embedded AWS")
        self._kind, self._position = str(found.lastgroup), found.end()
        self._part, self._start = found[self._kind], found.start(self._kind)
        return token

    def _refuse(self, why: str) -> NoReturn:
        line = self._text.count("\n", 0, self._start) + 1
        column = self._start - self._text.rfind("\n", 0, self._start)
        part = self._part or "end of query"
        raise QueryError(f"unexpected {part!r} at line {line}, column {column}: {why}")

    def _expect(self, token: str) -> None:
        if not self._is(token):
            self._refuse(f"expected {token}")
        self._next()

    def _is(self, *words: str) -> bool:
        return self._kind in ("name", "operator") and self._part.lower() in words

    def _take(self, *words: str) -> bool:
        taken = self._is(*words)
        if taken:
            self._next()
        return taken

    def _listed(self, item: Callable[[], Any]) -> list[Any]:
        items = [item()]
        while self._take(","):
            items.append(item())
        return items

    def _field(self) -> str:
        if self._kind == "quoted":
            return self._next()[1:-1]
        if self._kind != "name":
            self._refuse("expected a field")
        if self._part.startswith("@") and not self._part.startswith("@@") and self._part not in SYSTEM_FIELDS:
            self._refuse(f"the embedded AWS has {', '.join(SYSTEM_FIELDS)} and the fields of JSON lines")
        name = self._next()
        if self._is("("):
            self._refuse(f"the embedded AWS does not run the function {name} here")
        return name

    def _alias(self, default: str) -> str:
        return self._field() if self._take("as") else default

    def _renamed(self) -> tuple[str, str]:
        name = self._field()
        return name, self._alias(name)

    def _fields(self, query: InsightsQuery) -> Stage:
        pairs = self._listed(self._renamed)
        query.shown += [alias for _, alias in pairs if alias not in query.shown]
        return lambda rows: [row | {new: row.get(old) for old, new in pairs} for row in rows]

    def _display(self, query: InsightsQuery) -> Stage:
        query.shown = self._listed(self._field)
        return lambda rows: rows

    def _limit(self, _query: InsightsQuery) -> Stage:
        if self._kind != "number" or not self._part.isdigit() or not 1 <= int(self._part) <= MAX_LIMIT:
            self._refuse(f"expected a number from 1 to {MAX_LIMIT}")
        count = int(self._next())
        return lambda rows: rows[:count]

    def _sort(self, _query: InsightsQuery) -> Stage:
        def one() -> tuple[str, bool]:
            name = self._field()
            if not self._is("asc", "desc"):
                self._refuse("write asc or desc")
            return name, self._next().lower() == "desc"

        def stage(rows: list[Row]) -> list[Row]:
            for name, descending in reversed(keys):
                rows = sorted(rows, key=lambda row: _sort_key(row.get(name)), reverse=descending)
            return rows

        keys = self._listed(one)
        return stage

    def _stats(self, query: InsightsQuery) -> Stage:
        aggregates = self._listed(self._aggregate)
        by = self._listed(self._renamed) if self._take("by") else []

        def stage(rows: list[Row]) -> list[Row]:
            groups: dict[tuple[Any, ...], list[Row]] = {} if by else {(): rows}
            for row in rows if by else ():
                groups.setdefault(tuple(row.get(name) for name, _ in by), []).append(row)
            return [
                dict(zip((alias for _, alias in by), key, strict=True))
                | {alias: aggregate(group) for alias, aggregate in aggregates}
                for key, group in groups.items()
            ]

        query.shown = [*(alias for _, alias in by), *(alias for alias, _ in aggregates)]
        query.aggregates = True
        return stage

    def _aggregate(self) -> tuple[str, Callable[[list[Row]], Any]]:
        function = self._part.lower()
        if self._kind != "name" or function not in AGGREGATES:
            self._refuse(f"expected one of the functions {', '.join(AGGREGATES)}")
        self._next()
        self._expect("(")
        name = None
        if function == "count" and self._take("*"):
            name = "*"
        elif function != "count" or not self._is(")"):
            name = self._field()
        self._expect(")")

        def aggregate(rows: list[Row]) -> Any:
            if name in (None, "*"):
                return len(rows)
            return AGGREGATES[function]([row[name] for row in rows if row.get(name) is not None])

        return self._alias(f"{function}({name or ''})"), aggregate

    def _filter(self, _query: InsightsQuery) -> Stage:
        test = self._either()
        return lambda rows: [row for row in rows if test(row)]

    def _either(self) -> Test:
        tests = [self._all()]
        while self._take("or"):
            tests.append(self._all())
        return lambda row: any(test(row) for test in tests)

    def _all(self) -> Test:
        tests = [self._one()]
        while self._take("and"):
            tests.append(self._one())
        return lambda row: all(test(row) for test in tests)

    def _one(self) -> Test:
        if self._take("not"):
            return _negated(self._one())
        if self._take("("):
            test = self._either()
            self._expect(")")
            return test
        name = self._field()
        if self._take("not"):
            return _negated(self._contains(name))
        if self._is("like", "=~", "in"):
            return self._contains(name)
        if not self._is(*COMPARISONS):
            self._refuse(f"expected {', '.join(COMPARISONS)}, like, =~ or in")
        sign = self._next()
        value = self._literal()
        return lambda row: _holds(sign, row.get(name), value)

    def _contains(self, name: str) -> Test:
        if self._take("in"):
            self._expect("[")
            values = self._listed(self._literal)
            self._expect("]")
            return lambda row: any(_holds("=", row.get(name), value) for value in values)
        if not self._take("like", "=~"):
            self._refuse("expected like or in")
        if self._kind == "regex":
            try:
                pattern = re.compile(self._part[1:-1].replace("\\/", "/"))
            except re.error as error:
                self._refuse(f"invalid regular expression: {error}")
            self._next()
        else:
            pattern = re.compile(re.escape(str(self._literal())))
        return lambda row: row.get(name) is not None and pattern.search(_text(row[name])) is not None

    def _literal(self) -> str | float:
        if self._kind not in ("string", "number"):
            self._refuse("expected a string in quotes or a number")
        if self._kind == "number":
            return float(self._next())
        return re.sub(r"\\(.)", r"\1", self._next()[1:-1])


def _negated(test: Test) -> Test:
    return lambda row: not test(row)


def _holds(sign: str, value: Any, expected: str | float) -> bool:
    """Compare as numbers where both are; a missing field equals nothing."""
    if value is None:
        return sign == "!="
    numbers = number(value), number(expected)
    if None not in numbers:
        return COMPARISONS[sign](*numbers)
    return COMPARISONS[sign](_text(value), _text(expected))


def _numbers(values: list[Any]) -> list[float]:
    return [found for value in values if (found := number(value)) is not None]


AGGREGATES: Final[Mapping[str, Callable[[list[Any]], Any]]] = {
    "count": len,
    "count_distinct": lambda values: len(set(values)),
    "min": lambda values: min(values, key=_sort_key, default=None),
    "max": lambda values: max(values, key=_sort_key, default=None),
    "sum": lambda values: sum(_numbers(values)),
    "avg": lambda values: sum(_numbers(values)) / len(_numbers(values)) if _numbers(values) else None,
}
