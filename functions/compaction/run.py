"""One scheduled compaction: the days that are over, oldest first, as long as there is time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from functions.compaction.bucket import LedgerBucket
from functions.compaction.day import DAMAGED, REMOVED, TAKEN, WRITTEN, DayCompaction
from functions.ledger.reader import QUEUE_RETENTION, READERS
from functions.ledger.rewrite import COMPACTION, RewriteLease
from functions.shared import aws, names
from functions.shared.errors import EventError
from functions.shared.settings import required
from functions.shared.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_lambda_powertools.utilities.typing import LambdaContext

# A day is over this long after midnight: the audit function writes a batch seconds after its receipt.
SETTLED: Final = timedelta(hours=1)
# An object of a day can still be written while the queue keeps a message of that day.
DAYS: Final = QUEUE_RETENTION.days + 1
# A compacted object takes seconds: it is read as up to a few thousand small ones, ten at a time.
RESERVE_MILLISECONDS: Final = 60_000
# To hide a thousand objects in one request takes S3 longer than to answer about one.
READ_SECONDS: Final = 20
# Half of it is left when a write begins: more than three attempts at it take. A killed run keeps an erasure
# waiting for all of it, and for what clocks may differ by (functions.ledger.rewrite).
LEASE_SECONDS: Final = 300


def compact(context: LambdaContext) -> dict[str, Any]:
    """Compact the days of the last two weeks that are over.

    Later runs take what arrived late: small objects beside compacted ones.

    Returns
    -------
    dict
        Numbers of objects (`functions.compaction.day`), and `complete`: whether the time was enough; if not,
        the next run continues. Empty if an erasure or another run rewrites the ledger.

    Raises
    ------
    EventError
        S3 or the table failed. Nothing is lost, and the next run continues.
    """
    try:
        lease = RewriteLease(
            _client("dynamodb"), required(names.IDEMPOTENCY_TABLE), COMPACTION, LEASE_SECONDS
        )
        if not lease.acquire():
            logger.info("nothing compacted", extra={"reason": "an erasure or another run is active"})
            return {}
        try:
            result = _compact(lease, context)
        finally:
            lease.release()
    except EventError as error:
        logger.error("compaction failed", extra={"error": type(error).__name__, "reason": error.reason})
        raise
    logger.info("compaction finished", extra=result)
    return result


def _compact(lease: RewriteLease, context: LambdaContext) -> dict[str, Any]:
    def is_short() -> bool:
        return context.get_remaining_time_in_millis() < RESERVE_MILLISECONDS

    bucket = LedgerBucket(_client("s3"), required(names.LEDGER_BUCKET))
    work = DayCompaction(bucket, lease, is_short)
    complete = True
    for day in days(datetime.now(UTC)):
        complete = work.run(day)
        if not complete or is_short():
            break
    counts = {name: work.counts[name] for name in (TAKEN, WRITTEN, REMOVED, DAMAGED)}
    return {**counts, "complete": complete}


def days(now: datetime) -> Iterator[date]:
    """Yield the days to compact, oldest first."""
    last = (now - SETTLED).date()
    return (last - timedelta(days=each) for each in range(DAYS, 0, -1))


@cache
def _client(service: str) -> Any:
    from botocore.config import Config

    own = Config(max_pool_connections=READERS, read_timeout=READ_SECONDS)
    make: Any = aws.session().client
    return make(service, config=aws.config().merge(own))
