"""The ledger in S3, read back: which deliveries of which events it holds, without what they say."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from functions.pipeline import aws, names
from functions.pipeline.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Objects of one batch each take a round trip; that many are read at once, one connection each.
READERS: Final = 10
# Objects in these storage classes must be restored before they can be read.
FROZEN_CLASSES: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})
# Clocks differ by seconds: Stripe's when it makes an event, and the queue's when it takes it.
CLOCK_SKEW: Final = timedelta(minutes=5)
QUEUE_RETENTION: Final = timedelta(seconds=names.QUEUE_RETENTION_SECONDS)
# A month has thousands of objects to list: not for each batch that lacks an event.
REFRESH_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery that the ledger holds.

    Parameters
    ----------
    time
        When the event came to the bus, in UTC: what a replay chooses by.
    replayed
        Whether a replay delivered it; an archive takes no replayed events.
    """

    event_id: str
    event_type: str
    time: datetime
    replayed: bool


class LedgerReader:
    """Reads the ledger in a bucket, each object at most once.

    Parameters
    ----------
    client
        An S3 client whose connection pool holds READERS connections; it is used by threads.
    """

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self._read: set[str] = set()
        self.frozen = 0
        self.unreadable = 0

    def new_keys(self, written_since: datetime, last: date) -> list[str]:
        """List the objects that were written since then and were not listed before.

        An object is filed under the day, UTC, on which the queue took the oldest of its messages, which may
        have waited there for as long as the queue keeps one. No day after ``last`` is looked through.

        Raises
        ------
        TransientError, ConfigurationError
            S3 did not answer, or refused.
        """
        found = []
        pages = self._client.get_paginator("list_objects_v2")
        for day in _days((written_since - QUEUE_RETENTION).date(), last):
            try:
                for page in pages.paginate(Bucket=self._bucket, Prefix=f"{names.LEDGER_PREFIX}dt={day}/"):
                    for item in page.get("Contents", []):
                        if item["Key"] in self._read or item["LastModified"] < written_since:
                            continue
                        self._read.add(item["Key"])
                        if item.get("StorageClass") in FROZEN_CLASSES:
                            self.frozen += 1
                        else:
                            found.append(item["Key"])
            except aws.AwsError as error:
                raise aws.fault("the ledger bucket", error) from error
        return found

    def deliveries(
        self, keys: Collection[str], progress: Callable[[int], None] = lambda _: None
    ) -> Iterator[Delivery]:
        """Read objects; ``progress`` is called with how many are read.

        What is no ledger line is passed over, its object logged: its event then counts as missing. A function
        can write a line that is nested more deeply than another one reads.

        Raises
        ------
        TransientError, ConfigurationError
            S3 did not answer, or refused.
        """
        with ThreadPoolExecutor(READERS) as pool:
            for number, found in enumerate(pool.map(self._deliveries, keys), 1):
                progress(number)
                yield from found

    def _deliveries(self, key: str) -> list[Delivery]:
        try:
            body = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except aws.AwsError as error:
            raise aws.fault("the ledger bucket", error) from error
        found: list[Delivery] = []
        damaged = False
        try:
            lines = gzip.decompress(body).splitlines()
        except (OSError, EOFError, zlib.error):
            lines, damaged = [], True
        for line in lines:
            try:
                found.append(_delivery(line))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                damaged = True
        if damaged:
            self.unreadable += 1
            logger.warning("ledger object not readable", extra={"key": key})
        return found


class KnownEvents:
    """The events that the ledger in S3 holds, as far as asked for.

    Parameters
    ----------
    since
        Unix seconds; events made before are not looked for.
    """

    def __init__(
        self,
        reader: LedgerReader,
        since: int,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> None:
        self._reader = reader
        self._since = datetime.fromtimestamp(since, UTC) - CLOCK_SKEW
        self._next_look = 0.0
        self._progress = progress
        self._known: set[str] = set()

    def known(self, event_ids: Collection[str]) -> set[str]:
        """Return those of the events that the ledger holds.

        Reads on in the ledger only where some are not found in what was read before, and not twice in
        REFRESH_SECONDS: events that are asked for had minutes to come.
        """
        wanted = set(event_ids)
        if not wanted <= self._known and time.monotonic() >= self._next_look:
            # An event can reach the ledger long after it was made: every day up to now may hold it.
            today = datetime.now(UTC).date()
            keys = self._reader.new_keys(self._since, today)
            found = self._reader.deliveries(keys, lambda done: self._progress(done, len(keys)))
            self._known.update(delivery.event_id for delivery in found)
            self._next_look = time.monotonic() + REFRESH_SECONDS
        return wanted & self._known


def _delivery(line: bytes) -> Delivery:
    record = json.loads(line)
    envelope = record["envelope"]
    return Delivery(
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


def _days(first: date, last: date) -> Iterator[str]:
    for offset in range((last - first).days + 1):
        yield (first + timedelta(days=offset)).isoformat()
