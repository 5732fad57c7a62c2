"""Small objects of one time merged into one: sorted by time, then by delivery."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from functions.compaction.bucket import MOST_BYTES, Content
from functions.ledger import keys as ledger_keys
from functions.ledger.keys import Span

# A line's time in ISO 8601, the id of its delivery, and the line itself, which settles ties.
SortKey = tuple[str, str, bytes]


@dataclass(frozen=True, slots=True)
class Small:
    """A small object with the sort keys of its lines, and when its messages were received."""

    content: Content
    sorted_by: list[SortKey] = field(repr=False)
    span: Span

    @property
    def size(self) -> int:
        """Bytes of its content."""
        return sum(len(line) + 1 for line in self.content.lines)


@dataclass(frozen=True, slots=True)
class Merged:
    """A compacted object to write."""

    key: str
    body: bytes = field(repr=False)


def small(content: Content) -> Small | None:
    """Return a small object, or None if it is damaged: its lines have no time or no delivery."""
    span = ledger_keys.span(content.key)
    if span is None or not content.lines:
        return None
    try:
        return Small(content, [_sort_key(line) for line in content.lines], span)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def groups(objects: Iterable[Small]) -> Iterator[list[Small]]:
    """Yield adjacent objects whose content together fits into one compacted object."""
    group: list[Small] = []
    size = 0
    for each in objects:
        if group and size + each.size > MOST_BYTES:
            yield group
            group, size = [], 0
        group.append(each)
        size += each.size
    if group:
        yield group


def merged(group: Sequence[Small]) -> Merged:
    """Merge objects; the same lines give the same key and the same bytes. Equal lines become one."""
    lines = sorted({key for each in group for key in each.sorted_by})
    text = b"".join(line + b"\n" for _, _, line in lines)
    key = ledger_keys.compacted_key(ledger_keys.union(each.span for each in group), text)
    # Without a time in the gzip header, the same lines give the same bytes.
    return Merged(key, gzip.compress(text, mtime=0))


def digests(lines: Iterable[bytes]) -> set[bytes]:
    """Return the hashes of lines, by which two objects are compared without keeping both."""
    return {hashlib.sha256(line).digest() for line in lines}


def _sort_key(line: bytes) -> SortKey:
    record = json.loads(line)
    received, delivery = record["received_at"], record["envelope"]["id"]
    if not isinstance(received, str) or not isinstance(delivery, str):
        raise TypeError("a line without a time or a delivery")
    return received, delivery, line
