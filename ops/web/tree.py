"""A JSON document as a tree that folds: bounded, whatever an event holds."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

# A browser shows so many at once, and so much of one text; `story --reveal` prints all.
MOST_NODES: Final = 4_000
LONGEST_TEXT: Final = 2_000
LONGEST_NAME: Final = 200
DEEPEST: Final = 60
# Below this depth objects are folded.
OPEN: Final = 3
KINDS: Final = {bool: "word", int: "number", float: "number", str: "text", type(None): "word"}


@dataclass(slots=True)
class Node:
    """A value of the tree.

    Parameters
    ----------
    name
        Its key, or its place in a list; empty for the document.
    kind
        object, list, text, number or word.
    text
        The value, or how much an object or a list holds.
    cut
        How much of it is not shown.
    """

    name: str
    kind: str
    text: str
    is_open: bool = False
    cut: str = ""
    children: list[Node] = field(default_factory=list)


@dataclass
class _Budget:
    left: int = MOST_NODES


def of(document: Any) -> Node:
    """Return the tree of a document."""
    return _node("", document, 0, _Budget())


def _node(name: str, value: Any, depth: int, budget: _Budget) -> Node:
    budget.left -= 1
    if not isinstance(value, dict | list):
        return _leaf(name, value)
    kind, noun = ("object", "field") if isinstance(value, dict) else ("list", "value")
    count = f"{len(value):,} {noun}{'' if len(value) == 1 else 's'}"
    node = Node(name, kind, count, is_open=depth < OPEN and len(value) > 0)
    if depth >= DEEPEST:
        node.cut = "nested too deeply to show here"
        return node
    entries = (
        value.items() if isinstance(value, dict) else ((str(place), each) for place, each in enumerate(value))
    )
    for key, below in entries:
        if budget.left <= 0:
            node.cut = f"{len(value) - len(node.children):,} more not shown here"
            break
        name = key if len(key) <= LONGEST_NAME else f"{key[:LONGEST_NAME]}…"
        node.children.append(_node(name, below, depth + 1, budget))
    return node


def _leaf(name: str, value: Any) -> Node:
    text = value if isinstance(value, str) else json.dumps(value)
    cut = f"{len(text) - LONGEST_TEXT:,} more characters" if len(text) > LONGEST_TEXT else ""
    return Node(name, KINDS.get(type(value), "word"), text[:LONGEST_TEXT], cut=cut)
