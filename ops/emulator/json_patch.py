"""JSON Patch (RFC 6902), as far as Cloud Control takes it: add, replace, remove, in objects and lists."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any


def patched(document: Any, operations: Sequence[dict[str, Any]]) -> Any:
    """Return the document with the operations done in their order; what was given stays as it is.

    Raises
    ------
    ValueError, KeyError, IndexError
        An operation is unknown, or its path leads nowhere.
    """
    document = copy.deepcopy(document)
    for operation in operations:
        *way, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        place = document
        for part in way:
            place = place[int(part)] if isinstance(place, list) else place[part]
        _do(operation, place, last)
    return document


def _do(operation: dict[str, Any], place: Any, last: str) -> None:
    kind = operation["op"]
    if kind == "remove":
        place.pop(int(last) if isinstance(place, list) else last)
    elif kind == "add" and isinstance(place, list):
        place.insert(len(place) if last == "-" else int(last), operation["value"])
    elif kind in ("add", "replace"):
        place[int(last) if isinstance(place, list) else last] = operation["value"]
    else:
        raise ValueError(f"unknown operation {kind}")
