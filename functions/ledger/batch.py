"""One batch of the audit queue: parse it, write it to S3 and PostgreSQL, park what can't be stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from functions.ledger import s3
from functions.ledger.parking import park
from functions.ledger.records import LedgerRecord, parse
from functions.shared.errors import EventError, InvalidEventError
from functions.shared.settings import LedgerSettings, forget_settings, ledger_settings
from functions.shared.telemetry import logger

if TYPE_CHECKING:
    from functions.ledger.postgres import LedgerTable


def store(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Store a batch.

    A message that can never be stored is parked in the dead-letter queue after the others were stored. If
    that queue does not accept it, it is returned as a failure, and SQS moves it there after its last receive.
    For a FIFO queue AWS advises to return the messages behind it too, which keeps their order. Audit records
    need no order, and those messages would end up in the dead-letter queue as well.

    Returns
    -------
    dict
        Lambda's partial batch response, with the messages to deliver again.

    Raises
    ------
    TransientError, ConfigurationError
        S3 or PostgreSQL failed: all messages are delivered again.
    """
    messages: Sequence[Mapping[str, Any]] = batch["Records"]
    records: list[LedgerRecord] = []
    refusals: dict[str, InvalidEventError] = {}
    for message in messages:
        try:
            records.append(parse(message))
        except InvalidEventError as error:
            refusals[message["messageId"]] = error
    try:
        settings = ledger_settings()
        if records:
            refusals |= _write(records, settings)
    except EventError as error:
        logger.error("batch failed", extra={"error": type(error).__name__, "reason": error.reason})
        _reload_settings()
        raise
    not_parked = park(
        settings.dead_letter_queue_url,
        [
            (message, refusals[message["messageId"]])
            for message in messages
            if message["messageId"] in refusals
        ],
    )
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in not_parked]}


def _write(records: Sequence[LedgerRecord], settings: LedgerSettings) -> dict[str, InvalidEventError]:
    """Write the records; return the message ids of those that PostgreSQL can't store, with the reason."""
    key = s3.write(settings.bucket, records)
    refused = _table(settings.database_url).insert(records) if settings.database_url else []
    refusals = {
        record.message_id: InvalidEventError("detail", f"can't be stored in PostgreSQL; it is in {key}")
        for record in refused
    }
    for record in records:
        if record.message_id not in refusals:
            extra = {"event_id": record.event_id, "event_type": record.loggable_type, "key": key}
            logger.info("event audited", extra={"correlation_id": record.event_id, **extra})
    return refusals


def _reload_settings() -> None:
    """Read the settings again at the next batch: the database's address or password may have changed."""
    forget_settings()
    _table.cache_clear()


@cache
def _table(database_url: str) -> LedgerTable:
    # Imported here: without a database, psycopg must not slow down each cold start.
    from functions.ledger.postgres import LedgerTable

    return LedgerTable(database_url)
