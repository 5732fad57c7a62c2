"""A line of the ledger as a row of the copy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, Final

from functions.ledger.reader import entry_of
from functions.ledger.records import LedgerRecord

# What a line raises that nobody wrote as it is.
_DAMAGED: Final = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Row:
    """One delivery; the fields are the columns of `tables.CREATE`, times are UTC without a zone."""

    key: str
    delivery_id: str
    snapshot_id: str | None
    received_at: datetime
    time: datetime
    event_id: str
    event_type: str
    object_id: str | None
    customer_id: str | None
    api_version: str | None
    livemode: bool | None
    account: str | None
    replayed: bool
    envelope: str


COLUMNS: Final = tuple(each.name for each in fields(Row))
# A row's values in the order of COLUMNS.
values: Final = attrgetter(*COLUMNS)


def parse(key: str, lines: Sequence[bytes]) -> tuple[list[Row], int]:
    """Return an object's rows, and how many of its lines are damaged."""
    found, damaged = [], 0
    for number, line in enumerate(lines):
        try:
            found.append(_row(key, number, line))
        except _DAMAGED:
            damaged += 1
    return found, damaged


def _row(key: str, number: int, line: bytes) -> Row:
    record = json.loads(line)
    entry = entry_of(key, record)
    event = record["envelope"]["detail"]
    delivery = LedgerRecord(
        message_id=record.get("message_id", ""),
        # A delivery without an id is known by its place.
        delivery_id=entry.id or f"{key}:{number}",
        received_at=datetime.fromisoformat(record["received_at"]),
        event_id=entry.event_id,
        event_type=entry.event_type,
        event=event,
        line="",
    )
    livemode, account = event.get("livemode"), event.get("account")
    return Row(
        key=key,
        delivery_id=_text(delivery.delivery_id),
        snapshot_id=None if entry.snapshot_id is None else _text(entry.snapshot_id),
        received_at=_utc(delivery.received_at),
        time=_utc(entry.time),
        event_id=_text(delivery.event_id),
        event_type=_text(delivery.event_type),
        object_id=delivery.object_id,
        customer_id=delivery.customer_id,
        api_version=None if delivery.api_version is None else _text(delivery.api_version),
        livemode=livemode if isinstance(livemode, bool) else None,
        account=_text(account) if isinstance(account, str) else None,
        replayed=entry.replayed,
        envelope=_json(record["envelope"]),
    )


def _utc(time: datetime) -> datetime:
    return (time.astimezone(UTC) if time.tzinfo else time).replace(tzinfo=None)


def _text(value: str) -> str:
    """Return a text that can be stored: half of a surrogate pair, which JSON may hold, can't be."""
    return value.encode("utf-8", "replace").decode()


def _json(value: Any) -> str:
    return _text(json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False))
