"""The tables of the copy, and the views that SQL sees: `deliveries` and `events`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

import duckdb

from functions.shared import names

# Another number makes another file: a change of CREATE needs one.
VERSION: Final = 1

CREATE: Final = """
    CREATE TABLE IF NOT EXISTS objects (key VARCHAR, etag VARCHAR, damaged INTEGER);
    CREATE TABLE IF NOT EXISTS lines (
        key VARCHAR, delivery_id VARCHAR, snapshot_id VARCHAR, received_at TIMESTAMP, time TIMESTAMP,
        event_id VARCHAR, event_type VARCHAR, object_id VARCHAR, customer_id VARCHAR, api_version VARCHAR,
        livemode BOOLEAN, account VARCHAR, replayed BOOLEAN, envelope JSON, repeated BOOLEAN
    );
"""
# Two objects may hold one delivery: SQS sent it twice, or a compaction is under way.
MARK_REPEATED: Final = """
    UPDATE lines SET repeated = numbered.again
    FROM (
        SELECT rowid AS line, row_number() OVER (PARTITION BY delivery_id ORDER BY key, rowid) > 1 AS again
        FROM lines
        WHERE repeated
            OR delivery_id IN (SELECT delivery_id FROM lines GROUP BY delivery_id HAVING count(*) > 1)
    ) AS numbered
    WHERE lines.rowid = numbered.line AND lines.repeated <> numbered.again
"""
# The columns of both views, for --help and docs/ledger.md.
DELIVERIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "received_at": "when the audit queue received it, in UTC",
        "time": "when the event reached the bus, in UTC; --since and --until select by it",
        "event_id": "the event",
        "event_type": "its type, such as invoice.paid",
        "object_id": "the object that it is about",
        "customer_id": "the customer that the object is, or belongs to",
        "api_version": "the API version of Stripe that it was rendered in",
        "livemode": "whether it is of Stripe's live mode",
        "account": "the connected account of Stripe Connect",
        "delivery_id": "the delivery: the id of the envelope",
        "replayed": "whether a replay delivered it",
        "envelope": "the envelope, JSON; envelope->'detail' is the event",
    }
)
EVENTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "event_id": "the event; of a thin twin, the snapshot event that it belongs to",
        "event_type": "its type",
        "thin_event_id": "its thin twin, if that was delivered",
        "first_time": "when its first delivery reached the bus, in UTC",
        "last_time": "when its last one did",
        "deliveries": "how many deliveries it had, its thin twin's included",
        "replays": "how many of them were replays",
        "object_id": "the object that it is about",
        "customer_id": "the customer that the object is, or belongs to",
        "api_version": "the API version of Stripe that it was rendered in",
        "livemode": "whether it is of Stripe's live mode",
        "account": "the connected account of Stripe Connect",
        "envelope": "its first delivery's envelope",
    }
)
_DELIVERIES: Final = f"""
    CREATE TEMP VIEW deliveries AS
    SELECT {", ".join(DELIVERIES)} FROM lines
    WHERE NOT repeated AND time >= TIMESTAMP '{{since}}' AND time < TIMESTAMP '{{until}}'
"""  # noqa: S608 - our own column names
# More microseconds than any time has.
_LATER: Final = 2**62
# The snapshot event stands for both; only its envelope holds the object.
_EVENTS: Final = f"""
    CREATE TEMP VIEW events AS
    WITH counted AS (
        SELECT
            coalesce(snapshot_id, event_id) AS event_id,
            max(event_id) FILTER (snapshot_id IS NOT NULL) AS thin_event_id,
            min(time) AS first_time, max(time) AS last_time, count(*) AS deliveries,
            count(*) FILTER (replayed) AS replays,
            min_by(rowid, epoch_us(time) + CASE WHEN snapshot_id IS NULL THEN 0 ELSE {_LATER} END) AS line
        FROM lines
        WHERE NOT repeated AND time >= TIMESTAMP '{{since}}' AND time < TIMESTAMP '{{until}}'
        GROUP BY ALL
    )
    SELECT
        counted.event_id,
        CASE WHEN lines.snapshot_id IS NOT NULL AND starts_with(lines.event_type, '{names.THIN_PREFIX}')
            THEN lines.event_type[{len(names.THIN_PREFIX) + 1}:] ELSE lines.event_type END AS event_type,
        counted.thin_event_id, counted.first_time, counted.last_time, counted.deliveries, counted.replays,
        lines.object_id, lines.customer_id, lines.api_version, lines.livemode, lines.account, lines.envelope
    FROM lines JOIN counted ON lines.rowid = counted.line
"""  # noqa: S608 - our own prefix


def make_views(connection: duckdb.DuckDBPyConnection, since: datetime, until: datetime) -> None:
    """Make the views of what reached the bus from `since` to before `until`."""
    window = {"since": _timestamp(since), "until": _timestamp(until)}
    connection.execute(_DELIVERIES.format(**window))
    connection.execute(_EVENTS.format(**window))


def _timestamp(time: datetime) -> str:
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ")
