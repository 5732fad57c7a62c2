"""Code, tests and documents use plain words and the field's terms, in sentences and in names."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops import ROOT
from tests.documents import DOCUMENTS

CHECKED = ("Makefile", "bench", "environments", "functions", "infra", "main.py", "ops", "tests")
# What a plain verb or a field term replaces: log, report, message, fix, scheduled, random, redrive, release.
TURNS = re.compile(
    r"\b(?:told|tells?|telling|(?<!dead-)(?<!oldest-)letters?|mend(?:s|ed)?|anew|by the clock|by lot|for good"
    r"|stays? away|ways? back|(?:hand|give)(?:s|ed|n)? (?:\w+ )?(?:over|back)|nobody can be asked|of a person"
    r"|judged?|takes? back|let go)\b"
    # "x is no y" for "x is not a y".
    r"|(?<!there )\b(?:is|are) (?:no(?! \w+er\b)|(?-i:none))\b",
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
# What names may hold, and why.
ALLOWED_NAMES = {"ascii_letters": "Python's"}
FILES = sorted(
    {
        path
        for name in CHECKED
        for path in ([ROOT / name] if (ROOT / name).is_file() else (ROOT / name).rglob("*"))
        if path.is_file() and (path.suffix in (".py", ".toml") or path.name == "Makefile")
    }
    - {Path(__file__)}
    | set(DOCUMENTS)
)


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the strings, comments and names of Python code, a document's prose, or another file's lines."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        yield 1, re.sub(r"^```.*?^```|`[^`\n]*`", "", source, flags=re.MULTILINE | re.DOTALL)
        return
    if path.suffix != ".py":
        yield from enumerate(source.splitlines(), 1)
        return
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in KEYS:
            yield node.lineno, node.value
        elif isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.lineno, _words(node.name)
        elif isinstance(node, ast.arg):
            yield node.lineno, _words(node.arg)
        elif isinstance(node, ast.Name):
            yield node.lineno, _words(node.id)
        elif isinstance(node, ast.Attribute):
            yield node.lineno, _words(node.attr)


def _words(name: str) -> str:
    """The words of a name: `dead-letter queue` of `DeadLetterQueue` and of `dead_letter_queue`."""
    if name in ALLOWED_NAMES:
        return ""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", name).lower()
    return re.sub(r"\b(dead|oldest) letter", r"\1-letter", words)


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
