"""The keys of the ledger's objects in S3, which sort by time.

`audit/dt=2026-04-01/100005123-0-….jsonl.gz` holds the day and the time, in UTC and milliseconds, at which the
queue received the newest message of the batch; how many seconds earlier it received the oldest; and a hash of
the messages. So a search for what arrived since a time lists no older objects.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from functions.ledger.records import LedgerRecord
from functions.shared import names

HASH_HEX_DIGITS: Final = 32  # 128 bits of SHA-256: no two batches share a key.
_KEY: Final = re.compile(
    re.escape(names.LEDGER_PREFIX) + r"dt=(\d{4}-\d\d-\d\d)/(\d{9})-(\d{1,7})-[0-9a-f]+\.jsonl\.gz"
)


@dataclass(frozen=True, slots=True)
class Span:
    """When the queue received the oldest and the newest message of an object, in UTC."""

    oldest: datetime
    newest: datetime


def object_key(records: Sequence[LedgerRecord]) -> str:
    """Return the key of a batch; the same messages give the same key."""
    times = [record.received_at for record in records]
    newest = max(times)
    seconds = math.ceil((newest - min(times)).total_seconds())
    messages = "\n".join(sorted(record.message_id for record in records))
    digest = hashlib.sha256(messages.encode()).hexdigest()[:HASH_HEX_DIGITS]
    return f"{lower_bound(newest)}-{seconds}-{digest}.jsonl.gz"


def lower_bound(time: datetime) -> str:
    """Return the text that sorts after the keys of older objects, and before those of this time or later."""
    utc = time.astimezone(UTC)
    return f"{names.LEDGER_PREFIX}dt={utc:%Y-%m-%d}/{utc:%H%M%S}{utc.microsecond // 1000:03}"


def span(key: str) -> Span | None:
    """Read the times from a key; None if it is not the key of a batch."""
    found = _KEY.fullmatch(key)
    if found is None:
        return None
    try:
        newest = datetime.strptime(f"{found[1]}T{found[2]}000", "%Y-%m-%dT%H%M%S%f").replace(tzinfo=UTC)
    except ValueError:
        return None
    return Span(newest - timedelta(seconds=int(found[3])), newest)
