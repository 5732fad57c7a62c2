"""DynamoDB's condition and update expressions, as far as the pipeline's code may use them.

Amazon DynamoDB Developer Guide, "Condition and filter expressions", "Update expressions" and "Document
paths". Items are in DynamoDB's own JSON: each value is an object of one type and its content.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

_TOKEN: Final = re.compile(r"\s*(<>|<=|>=|[()\[\],=<>+-]|\.|[#:]?[A-Za-z_][A-Za-z_0-9]*|[0-9]+)")
_CLAUSES: Final = ("SET", "REMOVE", "ADD", "DELETE")
_COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": lambda a, b: bool(a == b),
    "<>": lambda a, b: bool(a != b),
    "<": lambda a, b: bool(a < b),
    "<=": lambda a, b: bool(a <= b),
    ">": lambda a, b: bool(a > b),
    ">=": lambda a, b: bool(a >= b),
}

Item = dict[str, Any]
Path = tuple[str, ...]


class ValidationError(Exception):
    """DynamoDB would answer ValidationException: the expression cannot be executed."""


@dataclass
class Expression:
    """One expression of a call, with the names and values that it may use."""

    text: str
    names: Mapping[str, str]
    values: Mapping[str, Any]
    used: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._tokens = _tokens(self.text)
        self._place = 0

    def holds(self, item: Item) -> bool:
        """Return whether the item meets the condition."""
        result = self._any(item)
        self._end()
        return result

    def updated(self, item: Item) -> Item:
        """Return the item as the update makes it: every operand is read before anything is written."""
        writes: list[Callable[[Item], None]] = []
        paths: list[Path] = []
        clause = ""
        while self._peek():
            if self._peek() in _CLAUSES:
                clause = self._next()
            elif not paths:
                raise ValidationError(f"{self.text}: begins with no clause")
            path, write = self._action(clause, item)
            paths.append(path)
            writes.append(write)
            if self._peek() == ",":
                self._next()
                if self._peek() in _CLAUSES:
                    raise ValidationError(f"{self.text}: a comma before a clause")
        _refuse_overlap(paths)
        new = dict(item)
        for write in writes:
            write(new)
        return new

    def _action(self, clause: str, item: Item) -> tuple[Path, Callable[[Item], None]]:
        path = self._path()
        if clause == "SET":
            self._expect("=")
            value = self._sum(item)
            return path, lambda new: _set(new, path, value)
        if clause == "REMOVE":
            return path, lambda new: _remove(new, path)
        if clause == "ADD":
            amount = self._operand(item)
            before = _get(item, path) or {"N": "0"}
            total = {"N": str(Decimal(before["N"]) + Decimal(amount["N"]))}
            return path, lambda new: _set(new, path, total)
        raise ValidationError(f"{self.text}: {clause or 'no clause'} is not known here")

    def _sum(self, item: Item) -> Any:
        value = self._operand(item)
        while self._peek() in ("+", "-"):
            sign = 1 if self._next() == "+" else -1
            other = self._operand(item)
            value = {"N": str(Decimal(value["N"]) + sign * Decimal(other["N"]))}
        if value is None:
            raise ValidationError(f"{self.text}: an operand is not there")
        return value

    def _operand(self, item: Item) -> Any:
        token = self._peek()
        if token.startswith(":"):
            return self._value(self._next())
        if token == "if_not_exists":
            self._next()
            self._expect("(")
            path = self._path()
            self._expect(",")
            other = self._operand(item)
            self._expect(")")
            found = _get(item, path)
            return other if found is None else found
        if token == "size":
            self._next()
            self._expect("(")
            found = _get(item, self._path())
            self._expect(")")
            return None if found is None else {"N": str(len(next(iter(found.values()))))}
        return _get(item, self._path())

    def _any(self, item: Item) -> bool:
        result = self._all(item)
        while self._peek() == "OR":
            self._next()
            other = self._all(item)
            result = result or other
        return result

    def _all(self, item: Item) -> bool:
        result = self._one(item)
        while self._peek() == "AND":
            self._next()
            other = self._one(item)
            result = result and other
        return result

    def _one(self, item: Item) -> bool:
        token = self._peek()
        if token == "NOT":
            self._next()
            return not self._one(item)
        if token == "(":
            self._next()
            result = self._any(item)
            self._expect(")")
            return result
        if token in ("attribute_exists", "attribute_not_exists"):
            self._next()
            self._expect("(")
            found = _get(item, self._path())
            self._expect(")")
            return (found is not None) == (token == "attribute_exists")
        if token in ("begins_with", "contains"):
            self._next()
            self._expect("(")
            whole = self._operand(item)
            self._expect(",")
            part = self._operand(item)
            self._expect(")")
            if whole is None or part is None or "S" not in whole or "S" not in part:
                return False
            text: str = whole["S"]
            return text.startswith(part["S"]) if token == "begins_with" else part["S"] in text
        return self._comparison(item)

    def _comparison(self, item: Item) -> bool:
        left = self._operand(item)
        sign = self._next()
        if sign not in _COMPARE:
            raise ValidationError(f"{self.text}: {sign!r} compares nothing")
        right = self._operand(item)
        if left is None or right is None:
            return False
        if left.keys() != right.keys():
            return sign == "<>"
        ((kind, a),), ((_, b),) = left.items(), right.items()
        return _COMPARE[sign](Decimal(a), Decimal(b)) if kind == "N" else _COMPARE[sign](a, b)

    def _path(self) -> Path:
        steps = [self._name(self._next())]
        while self._peek() == ".":
            self._next()
            steps.append(self._name(self._next()))
        return tuple(steps)

    def _name(self, token: str) -> str:
        if not token.startswith("#"):
            if not token or token[0] in ":()" or not (token[0].isalpha() or token[0] == "_"):
                raise ValidationError(f"{self.text}: {token!r} is not an attribute name")
            return token
        if token not in self.names:
            raise ValidationError(f"{self.text}: {token} is not defined")
        self.used.add(token)
        return self.names[token]

    def _value(self, token: str) -> Any:
        if token not in self.values:
            raise ValidationError(f"{self.text}: {token} is not defined")
        self.used.add(token)
        return self.values[token]

    def _peek(self) -> str:
        return self._tokens[self._place]

    def _next(self) -> str:
        token = self._peek()
        self._place += bool(token)
        return token

    def _expect(self, token: str) -> None:
        if self._next() != token:
            raise ValidationError(f"{self.text}: {token!r} is missing")

    def _end(self) -> None:
        if self._peek():
            raise ValidationError(f"{self.text}: {self._peek()!r} is too much")


@lru_cache(maxsize=4096)
def _tokens(text: str) -> tuple[str, ...]:
    tokens, place = [], 0
    text = text.rstrip()
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise ValidationError(f"{text}: {text[place:]!r} can't be read")
        tokens.append(found[1])
        place = found.end()
    return (*tokens, "")


def _get(item: Item, path: Path) -> Any:
    value: Any = item.get(path[0])
    for step in path[1:]:
        if value is None or "M" not in value:
            return None
        value = value["M"].get(step)
    return value


def _parent(item: Item, path: Path) -> Item:
    """Return the map that holds the path's last step, after copying the maps on the way there."""
    inside = item
    for step in path[:-1]:
        value = inside.get(step)
        if value is None or "M" not in value:
            raise ValidationError(f"the document path {'.'.join(path)} is invalid for update")
        inside[step] = {"M": dict(value["M"])}
        inside = inside[step]["M"]
    return inside


def _set(item: Item, path: Path, value: Any) -> None:
    _parent(item, path)[path[-1]] = value


def _remove(item: Item, path: Path) -> None:
    _parent(item, path).pop(path[-1], None)


def _refuse_overlap(paths: list[Path]) -> None:
    for place, path in enumerate(paths):
        for other in paths[place + 1 :]:
            shorter = min(len(path), len(other))
            if path[:shorter] == other[:shorter]:
                raise ValidationError(f"two document paths overlap: {'.'.join(path)}, {'.'.join(other)}")
