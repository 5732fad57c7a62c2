"""The keys of the ledger's objects in S3, which sort by time.

`audit/dt=2026-04-01/100005123-0-….jsonl.gz` holds the day and the time, in UTC and milliseconds, at which the
queue received the newest message of the batch; how many seconds earlier it received the oldest; and a hash of
the messages. So a search for what arrived since a time lists no older objects.

A compacted object, `…-compacted.jsonl.gz`, is named in the same way for the objects of its day whose lines it
holds. It sorts by the newest of them, and never before the object of a line that it holds.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from functions.ledger.records import LedgerRecord
from functions.shared import names

HASH_HEX_DIGITS: Final = 32  # 128 bits of SHA-256: no two batches share a key.
_KEY: Final = re.compile(
    re.escape(names.LEDGER_PREFIX)
    + r"dt=(\d{4}-\d\d-\d\d)/(\d{9})-(\d{1,7})-[0-9a-f]+(-compacted)?\.jsonl\.gz"
)


@dataclass(frozen=True, slots=True)
class Span:
    """When the queue received the oldest and the newest message of an object, in UTC."""

    oldest: datetime
    newest: datetime

    def overlaps(self, other: Span) -> bool:
        """Whether both have a time in common."""
        return self.oldest <= other.newest and other.oldest <= self.newest


def union(spans: Iterable[Span]) -> Span:
    """Return the span of several objects together; there must be one."""
    each = list(spans)
    return Span(min(span.oldest for span in each), max(span.newest for span in each))


def object_key(records: Sequence[LedgerRecord]) -> str:
    """Return the key of a batch; the same messages give the same key."""
    times = [record.received_at for record in records]
    messages = "\n".join(sorted(record.message_id for record in records))
    return f"{_stem(Span(min(times), max(times)), messages.encode())}.jsonl.gz"


def compacted_key(times: Span, content: bytes) -> str:
    """Return the key of a compacted object; the same times and content give the same key."""
    return f"{_stem(times, content)}{names.LEDGER_COMPACTED}"


def is_compacted(key: str) -> bool:
    """Whether the key is that of a compacted object."""
    return key.endswith(names.LEDGER_COMPACTED)


def day_prefix(day: date) -> str:
    """Return the prefix of the objects whose newest message the queue received on a day in UTC."""
    return f"{names.LEDGER_PREFIX}dt={day.isoformat()}/"


def lower_bound(time: datetime) -> str:
    """Return the text that sorts after the keys of older objects, and before those of this time or later."""
    utc = time.astimezone(UTC)
    return f"{names.LEDGER_PREFIX}dt={utc:%Y-%m-%d}/{utc:%H%M%S}{utc.microsecond // 1000:03}"


def span(key: str) -> Span | None:
    """Read the times from a key; None if it is not the key of a ledger object."""
    found = _KEY.fullmatch(key)
    if found is None:
        return None
    try:
        newest = datetime.strptime(f"{found[1]}T{found[2]}000", "%Y-%m-%dT%H%M%S%f").replace(tzinfo=UTC)
    except ValueError:
        return None
    return Span(newest - timedelta(seconds=int(found[3])), newest)


def _stem(times: Span, identity: bytes) -> str:
    seconds = math.ceil((times.newest - times.oldest).total_seconds())
    digest = hashlib.sha256(identity).hexdigest()[:HASH_HEX_DIGITS]
    return f"{lower_bound(times.newest)}-{seconds}-{digest}"
