"""Text of a plan in Markdown that can't format, link, mention or hide anything.

It is all in code spans: GitHub renders them literally, and neither mentions a user nor links an address or an
issue in them. Source: GitHub Flavored Markdown, "Code spans".
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from ops.plan_report.attributes import Word

# Long enough for an ARN; a policy document or a script is cut.
LONGEST_VALUE: Final = 160
LONGEST_NAME: Final = 300
# Characters of the common start of two long texts that are shown before they differ.
CONTEXT: Final = 30
# Names in one sentence.
LISTED: Final = 8
CUT: Final = "…"
BACKTICKS: Final = re.compile("`+")


def code(text: str, longest: int = LONGEST_NAME) -> str:
    """Return a text as a code span, on one line and cut to `longest` characters."""
    line = cut(visible(text), longest)
    fence = "`" * (max((len(run) for run in BACKTICKS.findall(line)), default=0) + 1)
    pad = " " if not line or line[0] in "` " or line[-1] in "` " else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def values(before: Any, after: Any) -> tuple[str, str]:
    """Return both sides of a change. Two long texts are cut so that their first difference is visible."""
    texts = [_written(value) for value in (before, after)]
    start = 0
    if max(map(len, texts)) > LONGEST_VALUE:
        start = max(0, _common_length(*texts) - CONTEXT)
    sides = []
    for value, text in zip((before, after), texts, strict=True):
        if isinstance(value, Word):
            sides.append(f"*({value.text})*")
        else:
            sides.append(code((CUT if start else "") + text[start:], LONGEST_VALUE))
    return sides[0], sides[1]


def size(lines: Sequence[str]) -> int:
    """Return the bytes of lines."""
    return sum(len(line.encode()) + 1 for line in lines)


def listed(texts: Sequence[str], shown: int = LISTED) -> str:
    """Return texts as code spans in one sentence, the rest as a count."""
    spans = [code(text, LONGEST_VALUE) for text in texts[:shown]]
    more = len(texts) - shown
    if more > 0:
        return f"{', '.join(spans)} and {more} more"
    return " and ".join(filter(None, (", ".join(spans[:-1]), *spans[-1:])))


def cell(text: str) -> str:
    """Return a text as a code span in a cell of a table, which a bar would end."""
    return code(text, LONGEST_VALUE).replace("|", "\\|") if text else ""


def value(side: Any) -> str:
    """Return one value, or the placeholder that stands for it."""
    return f"*({side.text})*" if isinstance(side, Word) else code(_written(side), LONGEST_VALUE)


def _written(value: Any) -> str:
    return "" if isinstance(value, Word) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _common_length(first: str, second: str) -> int:
    for index, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return index
    return min(len(first), len(second))


def cut(line: str, longest: int) -> str:
    """Return a text of at most `longest` characters."""
    return line if len(line) <= longest else line[: longest - 1] + CUT


def visible(text: str) -> str:
    """Escape invisible and reordering characters: line breaks, control and direction characters."""
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) <= 0xFFFF else f"\\U{ord(char):08x}"
