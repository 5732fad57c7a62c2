"""What changes inside one resource or output, with sensitive values hidden before anything is written.

Source: Terraform, "JSON Output Format", change representation.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final

from ops.plan_report.masks import entry, marks_any
from ops.plan_report.sensitive import Sensitive

Path = tuple[str | int, ...]
# Longest object, in characters, that is written whole if it is created or deleted.
ONE_LINE: Final = 120
# Characters of JSON in a text from which on it is compared as a whole, such as a dashboard.
LONG_JSON: Final = 2_000
# Steps to an argument of a block: the block, its index, the argument.
NESTED: Final = 3


@dataclass(frozen=True)
class Word:
    """A placeholder for a value."""

    text: str


SENSITIVE: Final = Word("sensitive")
UNKNOWN: Final = Word("known after apply")
ABSENT: Final = Word("absent")


@dataclass(frozen=True)
class Attribute:
    """One changed attribute: its path, and its values before and after, or placeholders."""

    path: Path
    before: Any
    after: Any

    @property
    def name(self) -> str:
        """The path as Terraform writes it."""
        return path_name(self.path)

    def is_below(self, paths: Sequence[Path]) -> bool:
        """Return whether it is at or below one of the paths."""
        return any(self.path[: len(path)] == path for path in paths)


@dataclass(frozen=True)
class _Side:
    """A value with its masks, at one path, on one side of the change."""

    value: Any
    sensitive: Any
    unknown: Any = False

    def at(self, step: str | int) -> _Side:
        value = entry(self.value, step, ABSENT)
        return _Side(value, entry(self.sensitive, step, False), entry(self.unknown, step, False))

    @property
    def is_empty(self) -> bool:
        return self.value is ABSENT or self.value is None


def changed(change: dict[str, Any], sensitive: Sensitive) -> Iterator[Attribute]:
    """Yield what differs between the two sides of a change, sorted by name.

    A value that either side marks as sensitive is hidden on both: a variable that was declared sensitive
    only now has its old value unmarked in the state. So is one that holds a sensitive text.
    """
    before = _Side(change.get("before"), change.get("before_sensitive"))
    after = _Side(change.get("after"), change.get("after_sensitive"), change.get("after_unknown"))
    for attribute in _differences(before, after, ()):
        path = tuple(takewhile(lambda step: not sensitive.is_in(step), attribute.path))
        sides = (
            SENSITIVE if path != attribute.path or sensitive.is_in(value) else value
            for value in (attribute.before, attribute.after)
        )
        yield Attribute(path, *sides)


def shown_path(path: Sequence[str | int], change: dict[str, Any], sensitive: Sensitive) -> Path:
    """Return a path down to where it enters a sensitive value, whose keys are hidden too."""
    masks = [change.get("before_sensitive"), change.get("after_sensitive")]
    for depth, step in enumerate(path):
        if sensitive.is_in(step) or any(mask is True for mask in masks):
            return tuple(path[:depth])
        masks = [entry(mask, step, False) for mask in masks]
    return tuple(path)


def path_name(path: Path) -> str:
    """Write a path as Terraform does: `environment[0].variables["a-b"]`."""
    name = ""
    for step in path:
        if isinstance(step, str) and step.replace("-", "_").isidentifier():
            name += f".{step}" if name else step
        else:
            name += f"[{json.dumps(step, ensure_ascii=False)}]"
    return name


def _differences(before: _Side, after: _Side, path: Path) -> Iterator[Attribute]:
    unknown = marks_any(after.unknown)
    if _same(before, after, is_nested=len(path) >= NESTED) and not unknown:
        return
    if before.sensitive is True or after.sensitive is True:
        yield _leaf(before, after, path)
        return
    steps = _common_steps(before, after, path)
    if steps is not None:
        for step in steps:
            yield from _differences(before.at(step), after.at(step), (*path, step))
        return
    decoded = None if unknown else _decoded(before.value, after.value)
    if decoded is not None and max(len(before.value), len(after.value)) > LONG_JSON:
        yield Attribute(path, *decoded)
        return
    if decoded is not None:
        yield from _differences(_Side(decoded[0], False), _Side(decoded[1], False), path)
        return
    yield _leaf(before, after, path)


def _leaf(before: _Side, after: _Side, path: Path) -> Attribute:
    hidden = marks_any(before.sensitive) or marks_any(after.sensitive)
    old = SENSITIVE if hidden and not before.is_empty else before.value
    new = SENSITIVE if hidden and not after.is_empty else _with_unknown(after.value, after.unknown)
    return Attribute(path, old, new)


def _same(before: _Side, after: _Side, *, is_nested: bool = False) -> bool:
    if before.is_empty or after.is_empty:
        other = after.value if before.is_empty else before.value
        # The provider reads an argument of a block that is not set as nothing or as zero, as it comes.
        is_zero = is_nested and (other == "" or (other == 0 and other is not False))
        return (before.is_empty and after.is_empty) or is_zero
    if before.value != after.value:
        return False
    # Type and value: Python takes 1 for True.
    return json.dumps(before.value, sort_keys=True) == json.dumps(after.value, sort_keys=True)


def _common_steps(before: _Side, after: _Side, path: Path) -> list[str | int] | None:
    """Return the steps into two objects or two lists of objects, or None."""
    values = [side.value for side in (before, after) if not side.is_empty]
    is_masked = any(map(marks_any, (before.sensitive, after.sensitive, after.unknown)))
    # At the top is the resource itself, whose attributes are listed one by one.
    if path and len(values) == 1 and _is_short(values[0]) and not is_masked:
        return None
    masks = (after.unknown,) if after.unknown is not True else ()
    if values and after.unknown is not True and all(isinstance(value, dict) for value in values):
        keys = {key for value in [*values, *masks] if isinstance(value, dict) for key in value}
        return sorted(keys)
    if values and after.unknown is not True and all(_is_objects(value) for value in values):
        return list(range(max(len(value) for value in values)))
    return None


def _is_short(value: object) -> bool:
    """Return whether it is an object that reads better on one line, such as tags."""
    if not isinstance(value, dict) or any(isinstance(item, (dict, list)) for item in value.values()):
        return False
    return bool(value) and len(json.dumps(value, ensure_ascii=False)) <= ONE_LINE


def _is_objects(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _decoded(before: object, after: object) -> tuple[Any, Any] | None:
    """Return both strings as the JSON objects in them, unless these are equal."""
    if not isinstance(before, str) or not isinstance(after, str):
        return None
    try:
        values = json.loads(before), json.loads(after)
    except (ValueError, RecursionError):
        return None
    if values[0] == values[1] or not all(isinstance(value, dict) for value in values):
        return None
    return values


def _with_unknown(value: object, unknown: object) -> Any:
    """Replace unknown values, as the mask marks them, by the placeholder."""
    if unknown is True:
        return UNKNOWN
    if isinstance(value, dict) and isinstance(unknown, dict):
        return {key: _inside(value.get(key), unknown.get(key)) for key in sorted({*value, *unknown})}
    if isinstance(value, list) and isinstance(unknown, list):
        return [_inside(item, entry(unknown, index, False)) for index, item in enumerate(value)]
    return value


def _inside(value: object, unknown: object) -> Any:
    result = _with_unknown(value, unknown)
    return f"({result.text})" if isinstance(result, Word) else result
