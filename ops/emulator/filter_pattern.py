"""Filter patterns of CloudWatch Logs: terms, and comparisons of JSON properties.

Source: CloudWatch Logs user guide, "Filter pattern syntax". Regular expressions and space-delimited patterns
are refused.
"""

from __future__ import annotations

import fnmatch
import json
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

Matches = Callable[[str], bool]
Test = Callable[[Any], bool]

TERM: Final = re.compile(r'([?-]?)(?:"((?:\\.|[^"\\])*)"|(\w+))(?:\s+|$)')
TOKEN: Final = re.compile(
    r"""\s*(?:
        (?P<string>"(?:\\.|[^"\\])*")
      | (?P<selector>\$(?:\.[\w-]+|\[\d+\])+)
      | (?P<operator>&&|\|\||!=|<=|>=|[=<>(){}])
      | (?P<word>[\w.*:/+@-]+)
      | (?P<end>$)
    )""",
    re.VERBOSE,
)
NUMBER: Final = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")
COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
CONSTANTS: Final = {"NULL": None, "TRUE": True, "FALSE": False}
# Stands for a property that a log event doesn't have.
MISSING: Final = object()


class PatternError(ValueError):
    """A filter pattern is invalid or not supported here; the message names the part."""


def compiled(pattern: str) -> Matches:
    """Return what decides whether a message matches a pattern; the empty one matches every message.

    Raises
    ------
    PatternError
        The pattern is invalid or not supported here.
    """
    pattern = pattern.strip()
    if pattern.startswith("{"):
        return _JsonPattern(pattern).matches
    if pattern.startswith(("[", "%")):
        kind = "space-delimited patterns" if pattern[0] == "[" else "regular expressions"
        raise PatternError(f"{pattern!r}: the embedded AWS does not support {kind}")
    return _terms(pattern)


def _terms(pattern: str) -> Matches:
    terms: dict[str, list[str]] = {"": [], "-": [], "?": []}
    position = 0
    while position < len(pattern):
        term = TERM.match(pattern, position)
        if term is None:
            raise PatternError(
                f"{pattern[position:]!r}: put a term with other characters than A-Z, 0-9 and _ in quotes"
            )
        mark, quoted, word = term.groups()
        terms[mark].append(word or re.sub(r"\\(.)", r"\1", quoted))
        position = term.end()
    required, excluded, optional = terms[""], terms["-"], terms["?"]
    if optional and (required or excluded):
        raise PatternError(f"{pattern!r}: AWS ignores ?terms beside other terms; use only ?terms")
    return lambda message: (
        all(term in message for term in required)
        and not any(term in message for term in excluded)
        and (not optional or any(term in message for term in optional))
    )


class _JsonPattern:
    """`{ $.a = "x" && ($.b > 1 || $.c NOT EXISTS) }`, parsed by recursive descent."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._position = 0
        self._kind, self._part = "", ""
        self._next()
        self._expect("{")
        self._test = self._either()
        self._expect("}")
        if self._kind != "end":
            self._refuse("expected nothing after }")

    def matches(self, message: str) -> bool:
        try:
            document = json.loads(message)
        except ValueError:
            return False
        return isinstance(document, dict) and self._test(document)

    def _next(self) -> str:
        """Advance, and return the token before."""
        token = self._part
        found = TOKEN.match(self._pattern, self._position)
        if found is None:
            self._part = self._pattern[self._position :].strip()
            self._refuse("not supported here")
        self._kind, self._position = str(found.lastgroup), found.end()
        self._part = found[self._kind]
        return token

    def _expect(self, token: str) -> None:
        if self._part != token:
            self._refuse(f"expected {token}")
        self._next()

    def _refuse(self, why: str) -> NoReturn:
        raise PatternError(f"{self._part or 'the end'!r} in {self._pattern!r}: {why}")

    def _either(self) -> Test:
        tests = [self._all()]
        while self._part == "||":
            self._next()
            tests.append(self._all())
        return lambda document: any(test(document) for test in tests)

    def _all(self) -> Test:
        tests = [self._one()]
        while self._part == "&&":
            self._next()
            tests.append(self._one())
        return lambda document: all(test(document) for test in tests)

    def _one(self) -> Test:
        if self._part == "(":
            self._next()
            test = self._either()
            self._expect(")")
            return test
        if self._kind != "selector":
            self._refuse("expected a property such as $.level")
        path = [part for part in re.split(r"[.\[\]]", self._next()[1:]) if part]
        if self._part == "NOT":
            self._next()
            self._expect("EXISTS")
            return lambda document: _value(document, path) is MISSING
        if self._part == "IS":
            self._next()
            if self._part not in CONSTANTS:
                self._refuse("expected NULL, TRUE or FALSE")
            constant = CONSTANTS[self._next()]
            return lambda document: _value(document, path) is constant
        if self._part not in COMPARISONS:
            self._refuse(f"expected {', '.join(COMPARISONS)}, IS or NOT EXISTS")
        compare = self._comparison(self._next())
        return lambda document: compare(_value(document, path))

    def _comparison(self, sign: str) -> Test:
        kind, token = self._kind, self._part
        if kind not in ("string", "word"):
            self._refuse("expected a string or a number")
        expected = number(token) if kind == "word" else None
        if token in ("true", "false", "null"):
            self._refuse(f"write IS {token.upper()}")
        if sign not in ("=", "!=") and expected is None:
            self._refuse(f"{sign} compares numbers")
        self._next()
        if expected is not None:
            return lambda value: _is_number(value) and COMPARISONS[sign](value, expected)
        text = re.sub(r"\\(.)", r"\1", token[1:-1]) if kind == "string" else token
        # Only * is a wildcard, and fnmatch knows more.
        wildcard = re.compile(fnmatch.translate(re.sub(r"([?\[])", r"[\1]", text)))
        equal = sign == "="
        return lambda value: (
            _is_scalar(value) and (isinstance(value, str) and wildcard.match(value) is not None) == equal
        )


def _value(document: Any, path: list[str]) -> Any:
    for part in path:
        if isinstance(document, dict):
            document = document.get(part, MISSING)
        elif isinstance(document, list) and part.isdigit() and int(part) < len(document):
            document = document[int(part)]
        else:
            return MISSING
    return document


def number(value: Any) -> float | None:
    """Return a number, or a text that is one, as a number; None for anything else."""
    return float(value) if NUMBER.fullmatch(str(value)) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_scalar(value: Any) -> bool:
    """Whether a value can be compared: a list, an object or a missing property matches no comparison."""
    return value is not MISSING and not isinstance(value, dict | list)
