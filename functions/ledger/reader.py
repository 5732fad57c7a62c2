"""The ledger in S3, read back: which deliveries of which events it holds, and what one says."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from functions.ledger import keys as ledger_keys
from functions.shared import aws, names
from functions.shared.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

RESOURCE: Final = "the ledger bucket"
# Objects of one batch each take a round trip; that many are read at once, one connection each.
READERS: Final = 10
# Objects in these storage classes must be restored before they can be read.
FROZEN_CLASSES: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})
# Clocks differ by seconds: Stripe's when it makes an event, and the queue's when it takes it.
CLOCK_SKEW: Final = timedelta(minutes=5)
QUEUE_RETENTION: Final = timedelta(seconds=names.QUEUE_RETENTION_SECONDS)
# EventBridge tries to hand an event to the audit queue for so long (infra.constructs.rules).
DELIVERY_RETRIES: Final = timedelta(days=1)
# A batch has ten events of 1 MiB at most, and a character may take three times its bytes as an escape.
MAXIMUM_BYTES: Final = 32 * 1024 * 1024
_GZIP: Final = 16 + zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One delivery that the ledger holds, perhaps in two objects.

    Parameters
    ----------
    id
        Id of the envelope, by which deliveries are counted.
    key
        The object that holds it.
    time
        When the event came to the bus, in UTC: what a replay chooses by.
    replayed
        Whether a replay delivered it; an archive takes no replayed events.
    """

    id: str | None
    key: str
    event_id: str
    event_type: str
    time: datetime
    replayed: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the ledger's objects: which are to be read, and the last one listed; None at the end."""

    keys: list[str]
    last: str | None


class LedgerReader:
    """Reads the ledger in a bucket.

    Parameters
    ----------
    client
        An S3 client whose connection pool holds READERS connections; it is used by threads.
    """

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self.frozen = 0
        self.unreadable = 0

    def page(self, after: str, written_since: datetime | None = None) -> Page:
        """List up to 1,000 objects behind a key, of which those that were written before a time are left out.

        Raises
        ------
        TransientError, ConfigurationError
            S3 did not answer, or refused.
        """
        try:
            answer = self._client.list_objects_v2(
                Bucket=self._bucket, Prefix=names.LEDGER_PREFIX, StartAfter=after
            )
        except aws.AwsError as error:
            raise aws.fault(RESOURCE, error) from error
        keys, last = [], None
        for item in answer.get("Contents", []):
            last = item["Key"]
            if written_since is not None and item["LastModified"] < written_since:
                continue
            if item.get("StorageClass") in FROZEN_CLASSES:
                self.frozen += 1
            else:
                keys.append(last)
        return Page(keys, last)

    def keys_between(self, since: datetime, until: datetime) -> Iterator[list[str]]:
        """List the objects that may hold what came to the bus from ``since`` to ``until``, in pages.

        Raises as :meth:`page` does.
        """
        latest = until + DELIVERY_RETRIES
        # An event may have waited in the queue beside a message that came long after it.
        end = ledger_keys.before(latest + QUEUE_RETENTION)
        after: str | None = ledger_keys.before(since - CLOCK_SKEW)
        while after is not None and after < end:
            page = self.page(after)
            yield [key for key in page.keys if _may_hold(key, latest)]
            after = page.last

    def entries(
        self, keys: Collection[str], progress: Callable[[int], None] = lambda _: None
    ) -> Iterator[LedgerEntry]:
        """Read objects; ``progress`` is called with how many are read.

        What is no ledger line is passed over, its object logged: its event then counts as missing. A function
        can write a line that is nested more deeply than another one reads.

        Raises
        ------
        TransientError, ConfigurationError
            S3 did not answer, or refused.
        """
        with ThreadPoolExecutor(READERS) as pool:
            for number, found in enumerate(pool.map(self._entries, keys), 1):
                progress(number)
                yield from found

    def event(self, key: str, event_id: str) -> dict[str, Any] | None:
        """Return an event as an object holds it, or None. Raises as :meth:`entries` does."""
        lines, _ = self._lines(key)
        for line in lines:
            try:
                record = json.loads(line)
                if record["event_id"] == event_id:
                    return dict(record["envelope"]["detail"])
            except (ValueError, KeyError, TypeError, RecursionError):
                continue
        return None

    def _entries(self, key: str) -> list[LedgerEntry]:
        lines, damaged = self._lines(key)
        found: list[LedgerEntry] = []
        for line in lines:
            try:
                found.append(_delivery(key, line))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                damaged = True
        if damaged:
            self.unreadable += 1
            logger.warning("ledger object not readable", extra={"key": key})
        return found

    def _lines(self, key: str) -> tuple[list[bytes], bool]:
        """Return an object's lines, and whether it is damaged."""
        try:
            body = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read(MAXIMUM_BYTES + 1)
        except aws.AwsError as error:
            raise aws.fault(RESOURCE, error) from error
        if not body:
            return [], False
        unpacked = zlib.decompressobj(_GZIP)
        try:
            content = unpacked.decompress(body, MAXIMUM_BYTES)
        except zlib.error:
            return [], True
        return (content.splitlines(), False) if unpacked.eof and not unpacked.unused_data else ([], True)


class KnownEvents:
    """The events that the ledger in S3 holds, as far as asked for.

    The ledger is read forward from ``since`` on, each object at most once, and no further than until all
    events are found that are asked for. They are best asked for in the order in which they were made.

    Parameters
    ----------
    since
        Unix seconds; events made before are not looked for.
    written_since
        Objects written before are not read: somebody has looked there already.
    """

    def __init__(
        self,
        reader: LedgerReader,
        since: int,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
        *,
        written_since: datetime | None = None,
    ) -> None:
        self._reader = reader
        self._after = ledger_keys.before(datetime.fromtimestamp(since, UTC) - CLOCK_SKEW)
        self._progress = progress
        self._written_since = written_since
        self._read = 0
        self._where: dict[str, str] = {}

    def known(self, event_ids: Collection[str]) -> set[str]:
        """Return those of the events that the ledger holds."""
        wanted = set(event_ids)
        while not wanted <= self._where.keys() and self._read_on():
            pass
        return wanted & self._where.keys()

    def event(self, event_id: str) -> dict[str, Any] | None:
        """Return an event as it was delivered first, or None where the ledger lacks it."""
        if not self.known([event_id]):
            return None
        return self._reader.event(self._where[event_id], event_id)

    def _read_on(self) -> bool:
        page = self._reader.page(self._after, self._written_since)
        total = self._read + len(page.keys)
        for delivery in self._reader.entries(
            page.keys, lambda done: self._progress(self._read + done, total)
        ):
            self._where.setdefault(delivery.event_id, delivery.key)
        self._read = total
        self._after = page.last or self._after
        return page.last is not None


def _may_hold(key: str, latest: datetime) -> bool:
    span = ledger_keys.span(key)
    return span is None or span.oldest <= latest


def _delivery(key: str, line: bytes) -> LedgerEntry:
    record = json.loads(line)
    envelope = record["envelope"]
    return LedgerEntry(
        id=envelope.get("id"),
        key=key,
        event_id=record["event_id"],
        event_type=record["event_type"],
        time=_time(envelope.get("time"), record["received_at"]),
        replayed="replay-name" in envelope,
    )


def _time(of_envelope: object, received_at: str) -> datetime:
    """Read the envelope's time; what came without one is placed where the queue took it."""
    for text in (of_envelope, received_at):
        if isinstance(text, str):
            try:
                moment = datetime.fromisoformat(text)
            except ValueError:
                continue
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    raise ValueError("no time")
