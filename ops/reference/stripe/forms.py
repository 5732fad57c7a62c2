"""The bodies of requests to API v1: forms whose names have brackets, such as `items[0][price]`.

Source: Stripe's API reference, "Introduction" (form-encoded request bodies).
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import parse_qsl

_PART: Final = re.compile(r"\[([^\[\]]*)\]")


def parse(content: bytes) -> dict[str, Any]:
    """Read a form: values are texts, names with brackets become objects, and numbers in them lists."""
    tree: dict[str, Any] = {}
    for name, value in parse_qsl(content.decode(), keep_blank_values=True):
        first, bracket, rest = name.partition("[")
        *parents, last = [first, *_PART.findall(bracket + rest)]
        level = tree
        for part in parents:
            level = level.setdefault(part, {})
        level[last or str(len(level))] = value
    return {name: _lists(value) for name, value in tree.items()}


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    whole = {name: _lists(each) for name, each in value.items()}
    if whole and all(name.isdigit() for name in whole):
        return [whole[name] for name in sorted(whole, key=int)]
    return whole
