"""The operations of JSON Patch (RFC 6902) that Cloud Control accepts: add, replace and remove."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any


def patched(document: Any, operations: Sequence[dict[str, Any]]) -> Any:
    """Return a copy of the document after the operations, in their order.

    Raises
    ------
    ValueError, KeyError, IndexError
        An operation is unknown, or its path doesn't exist.
    """
    document = copy.deepcopy(document)
    for operation in operations:
        *parents, last = [
            part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]
        ]
        place = document
        for part in parents:
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
