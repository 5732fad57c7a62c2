"""Strategies for envelopes: mutated samples of every type, and arbitrary JSON.

Personal data and secrets are planted in envelopes and settings, and must not appear in any log. Each planted
value contains the mark, which appears nowhere else. None looks like an id or an event type, which are logged.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from hypothesis import strategies as st

from ops.local.envelopes import GENERATIONS, SAMPLES

MARK: Final = "Plantée"
API_KEY: Final = "hk_planted_5b1f77aa"
PERSON: Final = (
    f"{MARK} Person",
    f"{MARK.lower()}.person@example.com",
    f"1 {MARK} Street",
    f"+1555 {MARK}",
    f"pi_{MARK}_secret_9317",
)
SEARCHED: Final = (MARK, MARK.lower(), MARK.encode("unicode_escape").decode(), API_KEY)
MOST_MUTATIONS: Final = 4
# The last ones are close to the depth that Python can parse inside a function.
DEPTHS: Final = (30, 400, 900, 940, 960, 970, 980, 990)
# Large numbers, times before 1970, and values that other languages read differently.
NUMBERS: Final = (0, -1, 1.5, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 10**40, 1e308, float("inf"))
# Valid in JSON but not in PostgreSQL: a NUL, and half a surrogate pair.
UNSTORABLE: Final = ("\u0000", "\ud800")
WORDS: Final = (
    "",
    " ",
    "null",
    "0",
    "true",
    "subscription",
    "payment",
    "setup",
    "xts",
    "EUR",
    "evt_1",
    *UNSTORABLE,
)

Path_ = tuple[str | int, ...]


def found_in(text: str) -> list[str]:
    """Return the planted values in a text, escaped ones included."""
    folded = text.replace("\\u00e9", "é").replace("\\xe9", "é")
    return [value for value in SEARCHED if value in folded]


def samples(handler_types: tuple[str, ...]) -> tuple[dict[str, Any], ...]:
    """Return the shipped samples of a handler's types."""
    paths = [path for generation in GENERATIONS for path in sorted((SAMPLES / generation).glob("*.json"))]
    return tuple(_load(path) for path in paths if path.stem.partition("--")[0] in handler_types)


def junk() -> st.SearchStrategy[Any]:
    """Draw any JSON value, including personal data and half surrogate pairs."""
    text = st.one_of(
        st.sampled_from(PERSON),
        st.sampled_from(WORDS),
        # Half a surrogate pair comes out of "\ud800", which is JSON.
        st.text(st.characters(exclude_categories=()), max_size=12),
    )
    leaf = st.one_of(st.none(), st.booleans(), st.integers(), st.sampled_from(NUMBERS), text)
    tree = st.recursive(
        leaf,
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(text, inner, max_size=3)),
        max_leaves=6,
    )
    return st.one_of(leaf, tree, st.sampled_from(DEPTHS).map(_deep))


@st.composite
def mutated(draw: st.DrawFn, bases: tuple[dict[str, Any], ...]) -> Any:
    """Draw a sample in which a few values are replaced, removed, wrapped or moved."""
    envelope = copy.deepcopy(draw(st.sampled_from(bases)))
    for _ in range(draw(st.integers(0, MOST_MUTATIONS))):
        places = _near(envelope) if draw(st.booleans()) else list(_places(envelope))
        if not places:
            return envelope
        _mutate(draw, envelope, draw(st.sampled_from(places)))
    return envelope


def anything(bases: tuple[dict[str, Any], ...]) -> st.SearchStrategy[Any]:
    """Draw the input of a handler: nine times out of ten a mutated sample, else any JSON."""
    wrapped = junk().map(lambda detail: {"source": "aws.partner/stripe.com/ed_1", "detail": detail})
    return st.integers(0, 9).flatmap(lambda n: st.one_of(junk(), wrapped) if n == 0 else mutated(bases))


def _mutate(draw: st.DrawFn, envelope: dict[str, Any], place: Path_) -> None:
    *path, last = place
    parent: Any = envelope
    for step in path:
        parent = parent[step]
    match draw(st.sampled_from(("replace", "replace", "remove", "wrap", "name"))):
        case "replace":
            parent[last] = draw(junk())
        case "remove":
            del parent[last]
        case "wrap":
            parent[last] = draw(
                st.sampled_from(([parent[last]], {"id": parent[last]}, {"data": parent[last]}))
            )
        case "name" if isinstance(parent, dict):
            parent[draw(st.one_of(st.sampled_from(PERSON), st.text(max_size=5)))] = parent.pop(last)
        case _:
            parent[last] = str(parent[last])


def _near(envelope: dict[str, Any]) -> list[Path_]:
    """Return the places that handlers read most: the envelope's, the event's and the object's own."""
    paths: tuple[Path_, ...] = ((), ("detail",), ("detail", "data"), ("detail", "data", "object"))
    places: list[Path_] = []
    for path in paths:
        value: Any = envelope
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        places += [(*path, key) for key in value] if isinstance(value, dict) else []
    return places


def _places(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    if isinstance(value, dict):
        items: Iterator[tuple[str | int, Any]] = iter(value.items())
    elif isinstance(value, list) and len(path) < min(DEPTHS):
        items = iter(enumerate(value))
    else:
        return
    for key, item in items:
        yield (*path, key)
        yield from _places(item, (*path, key))


def _deep(depth: int) -> Any:
    value: Any = PERSON[0]
    for _ in range(depth):
        value = [value]
    return value


def _load(path: Path) -> dict[str, Any]:
    envelope: dict[str, Any] = json.loads(path.read_text())
    return envelope
