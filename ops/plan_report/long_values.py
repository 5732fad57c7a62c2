"""Long values: what changes in them in a few words, and the difference to unfold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from difflib import unified_diff
from typing import Any, Final

from ops.plan_report.attributes import Word
from ops.plan_report.text import BACKTICKS, LONGEST_NAME, LONGEST_VALUE, cut, listed, visible

WIDGETS: Final = "widgets"
# Lines of a difference that are shown.
LINES_SHOWN: Final = 80


def is_long(before: Any, after: Any) -> bool:
    """Return whether a change of an object or a list does not fit on a line."""
    sides = [each for each in (before, after) if not isinstance(each, Word) and each is not None]
    structured = bool(sides) and all(isinstance(each, (dict, list)) for each in sides)
    return structured and any(len(json.dumps(each, ensure_ascii=False)) > LONGEST_VALUE for each in sides)


def summary(before: Any, after: Any) -> str:
    """Return what changes, as Markdown: names that come and go, or a count of widgets or of lines."""
    if _is_names(before) and _is_names(after):
        gone = [each for each in before if each not in after]
        new = [each for each in after if each not in before]
        parts = [f"without {listed(gone)}"] if gone else []
        parts += [f"with {listed(new)}"] if new else []
        return ", ".join(parts) or "in another order"
    if _has_widgets(before) and _has_widgets(after):
        old, new = before[WIDGETS], after[WIDGETS]
        kept = sum(each in old for each in new)
        differing = max(len(old), len(new)) - kept
        return (
            f"{differing} of {max(len(old), len(new))} widgets change" if differing else "no widget changes"
        )
    lines = list(_difference(before, after))
    added = sum(line.startswith("+") for line in lines)
    removed = sum(line.startswith("-") for line in lines)
    return f"{removed} lines of JSON go, {added} come"


def folded(before: Any, after: Any, indent: str) -> Iterator[str]:
    """Yield the lines of a block that unfolds to the difference; none for a list of names."""
    if _is_names(before) and _is_names(after):
        return
    lines = [cut(visible(line), LONGEST_NAME) for line in _difference(before, after)]
    more = len(lines) - LINES_SHOWN
    if more > 0:
        lines = [*lines[:LINES_SHOWN], f"… {more} more lines"]
    runs = [len(run) for line in lines for run in BACKTICKS.findall(line)]
    fence = "`" * max(3, max(runs, default=0) + 1)
    yield ""
    for line in ("<details><summary>show</summary>", "", f"{fence}diff", *lines, fence, "", "</details>"):
        yield f"{indent}{line}" if line else ""
    yield ""


def _difference(before: Any, after: Any) -> Iterator[str]:
    old, new = (_pretty(each) for each in (before, after))
    for line in unified_diff(old, new, n=1, lineterm=""):
        if not line.startswith(("---", "+++", "@@")):
            yield line


def _pretty(value: Any) -> list[str]:
    if isinstance(value, Word) or value is None:
        return []
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False).split("\n")


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _has_widgets(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get(WIDGETS), list)
