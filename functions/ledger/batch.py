"""One batch of the audit queue: read, write to S3, insert into PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from functions.ledger import s3
from functions.ledger.records import LedgerRecord, read
from functions.pipeline import config
from functions.pipeline.errors import EventError, InvalidEventError
from functions.pipeline.telemetry import logger

if TYPE_CHECKING:
    from functions.ledger.postgres import PostgresLedger


def store(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Store a batch and return Lambda's partial batch response: the messages to deliver again.

    Only a message that can't be stored itself is named there, and after its receives it ends in the
    dead-letter queue alone. AWS advises to name those behind it in a FIFO queue too, which keeps their
    order; audit records need none, and would share the way into the dead-letter queue.

    Raises
    ------
    TransientError, ConfigurationError
        S3 or PostgreSQL failed, which says nothing about the messages: all of them come again.
    """
    records: list[LedgerRecord] = []
    failed: list[str] = []
    for message in batch["Records"]:
        try:
            records.append(read(message))
        except InvalidEventError as error:
            failed.append(_not_stored(message["messageId"], error.reason))
    if records:
        try:
            failed += _write(records)
        except EventError as error:
            logger.error("batch failed", extra={"error": type(error).__name__, "reason": error.reason})
            _forget()
            raise
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _write(records: list[LedgerRecord]) -> list[str]:
    settings = config.ledger_settings()
    key = s3.write(settings.bucket, records)
    refused = _table(settings.database_url).insert(records) if settings.database_url else []
    for record in records:
        if record not in refused:
            extra = {"event_id": record.event_id, "event_type": record.event_type, "key": key}
            logger.info("event audited", extra={"correlation_id": record.event_id, **extra})
    return [_not_stored(record.message_id, f"PostgreSQL can't hold it; it is in {key}") for record in refused]


def _not_stored(message_id: str, reason: str) -> str:
    logger.error("message not stored", extra={"message_id": message_id, "reason": reason})
    return message_id


def _forget() -> None:
    """Read the settings anew at the next batch: the database's address or password may have been rotated."""
    config.forget()
    _table.cache_clear()


@cache
def _table(database_url: str) -> PostgresLedger:
    # Imported here, so that a ledger without a database does not pay for psycopg at each cold start.
    from functions.ledger.postgres import PostgresLedger

    return PostgresLedger(database_url)
