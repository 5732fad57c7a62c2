"""Sentences in the code use plain words and the field's terms; test_docs.py checks the documents."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops import ROOT
from tests.unit.test_docs import OLD_TURNS

CHECKED = ("Makefile", "environments", "functions", "infra", "main.py", "ops", "tests/README.md")
# The turns of the documents, and others of the code, such as "x is no y" for "x is not a y".
TURNS = re.compile(
    rf"{OLD_TURNS.pattern}"
    r"|(?<!there )\b(?:is|are) (?:no(?! longer\b)|(?-i:none))\b|\bnobody can be asked\b|\bof a person\b"
    r"|\bfor good\b|\btakes? back\b|\blet go\b",
    re.IGNORECASE,
)
# What may stay, and why.
ALLOWED = {
    "OldestLetterAge": "a metric that deployed alarms and dashboards read",
    "letter-spacing": "a property of CSS",
    "three-letter": "the form of a currency code",
    "capital letter": "a character",
    "The answer is no,": "what a person typed",
}
# Keys of `--json` output, which programs read.
KEYS = {"letters"}
FILES = sorted(
    path
    for name in CHECKED
    for path in ([ROOT / name] if (ROOT / name).is_file() else (ROOT / name).rglob("*"))
    if path.is_file() and (path.suffix in (".py", ".toml", ".md") or path.name == "Makefile")
)


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the strings and comments of Python code, and each line of another file."""
    source = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield from enumerate(source.splitlines(), 1)
        return
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in KEYS:
            yield node.lineno, node.value


def _found(path: Path) -> list[str]:
    found = []
    for line, text in _texts(path):
        for allowed in ALLOWED:
            text = text.replace(allowed, "")
        found += [
            f"{path.relative_to(ROOT)}:{line}: {match[0]!r}"
            for match in TURNS.finditer(" ".join(text.split()))
        ]
    return found


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])
def test_text_has_no_old_turn(path: Path) -> None:
    assert not (found := _found(path)), "\n".join(found)
