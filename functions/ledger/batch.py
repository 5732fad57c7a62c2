"""One batch of the audit queue: read, write to S3, insert into PostgreSQL, park what can't be stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from functions.ledger import s3
from functions.ledger.parking import park
from functions.ledger.records import LedgerRecord, read
from functions.shared.errors import EventError, InvalidEventError
from functions.shared.settings import LedgerSettings, forget_settings, ledger_settings
from functions.shared.telemetry import logger

if TYPE_CHECKING:
    from functions.ledger.postgres import LedgerTable


def store(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Store a batch and return Lambda's partial batch response: the messages to deliver again.

    A message that can never be stored is put into the dead-letter queue here, after its neighbours were
    stored; only where that queue does not take it, it is named in the response, and SQS moves it there
    alone, after its receives. AWS advises to name those behind it in a FIFO queue too, which keeps their
    order; audit records need none, and would share the way into the dead-letter queue.

    Raises
    ------
    TransientError, ConfigurationError
        S3 or PostgreSQL failed, which says nothing about the messages: all of them come again.
    """
    messages: Sequence[Mapping[str, Any]] = batch["Records"]
    records: list[LedgerRecord] = []
    refusals: dict[str, InvalidEventError] = {}
    for message in messages:
        try:
            records.append(read(message))
        except InvalidEventError as error:
            refusals[message["messageId"]] = error
    try:
        settings = ledger_settings()
        if records:
            refusals |= _write(records, settings)
    except EventError as error:
        logger.error("batch failed", extra={"error": type(error).__name__, "reason": error.reason})
        _forget()
        raise
    left = park(
        settings.dead_letter_queue_url,
        [
            (message, refusals[message["messageId"]])
            for message in messages
            if message["messageId"] in refusals
        ],
    )
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in left]}


def _write(records: Sequence[LedgerRecord], settings: LedgerSettings) -> dict[str, InvalidEventError]:
    """Write the records and return why which of their messages can't be stored whole."""
    key = s3.write(settings.bucket, records)
    refused = _table(settings.database_url).insert(records) if settings.database_url else []
    refusals = {
        record.message_id: InvalidEventError("detail", f"can't be held by PostgreSQL; it is in {key}")
        for record in refused
    }
    for record in records:
        if record.message_id not in refusals:
            extra = {"event_id": record.event_id, "event_type": record.loggable_type, "key": key}
            logger.info("event audited", extra={"correlation_id": record.event_id, **extra})
    return refusals


def _forget() -> None:
    """Read the settings anew at the next batch: the database's address or password may have been rotated."""
    forget_settings()
    _table.cache_clear()


@cache
def _table(database_url: str) -> LedgerTable:
    # Imported here, so that a ledger without a database does not pay for psycopg at each cold start.
    from functions.ledger.postgres import LedgerTable

    return LedgerTable(database_url)
