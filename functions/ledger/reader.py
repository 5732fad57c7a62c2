"""Reading the ledger in S3: which deliveries and events it holds, and one event's content."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TypeVar

from botocore.exceptions import ClientError

from functions.ledger import keys as ledger_keys
from functions.shared import aws, names
from functions.shared.parallel import in_order
from functions.shared.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

RESOURCE: Final = "the ledger bucket"
# Objects that are read at once, each over its own connection.
READERS: Final = 10
# Objects in these storage classes must be restored before they can be read.
FROZEN_CLASSES: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})
# Error codes of an object that was deleted after it was listed (Amazon S3 API reference, GetObject).
GONE: Final = frozenset({"NoSuchKey", "NoSuchVersion"})
# How much Stripe's clock and the queue's may differ.
CLOCK_SKEW: Final = timedelta(minutes=5)
QUEUE_RETENTION: Final = timedelta(seconds=names.QUEUE_RETENTION_SECONDS)
# How long EventBridge retries the delivery to the audit queue (infra.constructs.rules).
DELIVERY_RETRIES: Final = timedelta(days=1)
# A compacted object is named for the newest message of a day.
COMPACTED: Final = timedelta(days=1)
# A batch has at most ten events of 1 MiB, and an escaped character may take three times its bytes.
MAXIMUM_BYTES: Final = 32 * 1024 * 1024
# What is read of one object.
Content = TypeVar("Content")
_GZIP: Final = 16 + zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One delivery in the ledger; two objects may hold the same one.

    Parameters
    ----------
    id
        Id of the envelope, which identifies the delivery.
    key
        Key of the object.
    time
        When the event reached the bus, in UTC; a replay selects events by this time.
    replayed
        Whether a replay delivered it; an archive stores no replayed events.
    snapshot_id
        Id of the snapshot event whose thin twin was delivered, else None.
    """

    id: str | None
    key: str
    event_id: str
    event_type: str
    time: datetime
    replayed: bool
    snapshot_id: str | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as a listing shows it.

    Parameters
    ----------
    etag
        It differs if the content does.
    size
        In bytes, as stored.
    """

    etag: str
    size: int


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a listing: the keys to read, and the last key listed; None at the end.

    Parameters
    ----------
    listed
        All objects of the page, also those that are not to be read.
    """

    keys: list[str]
    last: str | None
    listed: Mapping[str, Listed] = field(default_factory=dict)


class LedgerReader:
    """Reads the ledger in a bucket.

    Parameters
    ----------
    client
        An S3 client with a pool of at least `READERS` connections.
    """

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self.frozen = 0
        self.unreadable = 0
        self._unpacking = Lock()

    def page(self, after: str, written_since: datetime | None = None) -> Page:
        """List up to 1,000 objects after a key, without those written before `written_since`.

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
        listed: dict[str, Listed] = {}
        for item in answer.get("Contents", []):
            last = item["Key"]
            listed[last] = Listed(item.get("ETag", ""), item.get("Size", 0))
            if written_since is not None and item["LastModified"] < written_since:
                continue
            if item.get("StorageClass") in FROZEN_CLASSES:
                self.frozen += 1
            else:
                keys.append(last)
        return Page(keys, last, listed)

    def keys_between(self, since: datetime, until: datetime) -> Iterator[list[str]]:
        """Return the keys of `pages_between`, page by page.

        Raises
        ------
        TransientError, ConfigurationError
            S3 did not answer, or refused.
        """
        return (page.keys for page in self.pages_between(since, until))

    def pages_between(self, since: datetime, until: datetime) -> Iterator[Page]:
        """List, in pages, the objects that may hold what reached the bus from `since` to `until`.

        Raises
        ------
        TransientError, ConfigurationError
            S3 did not answer, or refused.
        """
        latest = until + DELIVERY_RETRIES
        # An event may have waited in the queue until it was batched with a much later message.
        end = ledger_keys.lower_bound(latest + QUEUE_RETENTION + COMPACTED)
        after: str | None = ledger_keys.lower_bound(since - CLOCK_SKEW)
        while after is not None and after < end:
            page = self.page(after)
            yield replace(page, keys=[key for key in page.keys if _may_hold(key, latest)])
            after = page.last

    def entries(
        self, keys: Collection[str], progress: Callable[[int], None] = lambda _: None
    ) -> Iterator[LedgerEntry]:
        """Read objects; `progress` is called with the number of objects read so far.

        A damaged line is skipped and its object is logged, so its event counts as missing. One function can
        write a line that is nested more deeply than another one can read. If a compaction has removed an
        object since it was listed, the compacted objects of its day are read instead.

        Raises
        ------
        TransientError, ConfigurationError
            S3 did not answer, or refused.
        """
        for _, found in self._read(self._entries, keys, progress):
            yield from found

    def records(
        self,
        keys: Collection[str],
        texts: Collection[bytes] = (),
        progress: Callable[[int], None] = lambda _: None,
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield each delivery in objects, as the audit function wrote it, with the object's key.

        Damaged lines, and objects that a lifecycle rule has removed, are left out. If a compaction has
        removed an object since it was listed, the compacted objects of its day are read instead.

        Parameters
        ----------
        texts
            Only lines that hold one of these; all if empty.
        progress
            Called with the number of objects read so far.

        Raises
        ------
        TransientError, ConfigurationError
            S3 did not answer, or refused.
        """
        for key, (lines, _) in self._read(self.present, keys, progress):
            yield from _records(key, lines, texts)

    def event(self, key: str, event_id: str) -> dict[str, Any] | None:
        """Return an event as an object holds it, or None; None too for one whose values were erased.

        An event that the object holds only as its thin twin is None: Stripe's list has the event whole.

        Raises
        ------
        TransientError, ConfigurationError
            S3 did not answer, or refused.
        """
        name = event_id.encode()
        for line in self._lines_now(key):
            if name not in line:
                continue
            try:
                record = json.loads(line)
                if record["event_id"] == event_id:
                    return whole(dict(record["envelope"]["detail"]))
            except (ValueError, KeyError, TypeError, RecursionError):
                continue
        return None

    def _lines_now(self, key: str) -> Iterator[bytes]:
        """Yield the lines of an object, or those of the compacted ones of its day if it is gone."""
        for _, (lines, _damaged) in self._read(self.present, [key]):
            yield from lines

    def _read(
        self,
        read: Callable[[str], Content | None],
        keys: Collection[str],
        progress: Callable[[int], None] = lambda _: None,
    ) -> Iterator[tuple[str, Content]]:
        """Yield what each object holds, with its key; if it is gone, the compacted ones of its day."""
        gone: list[str] = []
        for number, (key, content) in enumerate(zip(keys, in_order(read, keys, READERS), strict=True), 1):
            progress(number)
            if content is None:
                gone.append(key)
            else:
                yield key, content
        compacted = list(self._compacted(gone))
        for key, content in zip(compacted, in_order(read, compacted, READERS), strict=True):
            if content is not None:
                yield key, content

    def _compacted(self, gone: Iterable[str]) -> Iterator[str]:
        """Yield the keys of compacted objects that may hold what removed ones held."""
        # A compacted object never sorts before the time of an object whose lines it holds.
        first: dict[str, str] = {}
        for key in gone:
            day, _, name = key.rpartition("/")
            after = f"{day}/{name.partition('-')[0]}"
            first[day] = min(after, first.get(day, after))
        for day, start in first.items():
            after_key: str | None = start
            while after_key is not None and after_key.startswith(f"{day}/"):
                page = self.page(after_key)
                yield from (key for key in page.keys if key.startswith(day) and ledger_keys.is_compacted(key))
                after_key = page.last

    def present(self, key: str) -> tuple[list[bytes], bool] | None:
        """Return an object's lines, and whether it is damaged; None if the object is gone.

        Raises
        ------
        TransientError, ConfigurationError
            S3 did not answer, or refused.
        """
        body = self._body(key)
        return None if body is None else lines_of(body)

    def _entries(self, key: str) -> list[LedgerEntry] | None:
        """Return the deliveries that an object holds; None if the object is gone."""
        body = self._body(key)
        if body is None:
            return None
        # One after the other: content is many times as large as its body, and threads would unpack no faster.
        with self._unpacking:
            return self._entries_of(key, body)

    def _entries_of(self, key: str, body: bytes) -> list[LedgerEntry]:
        lines, damaged = lines_of(body)
        found: list[LedgerEntry] = []
        for line in lines:
            try:
                found.append(_entry(key, line))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                damaged = True
        if damaged:
            self.unreadable += 1
            logger.warning("ledger object not readable", extra={"key": key})
        return found

    def _body(self, key: str) -> bytes | None:
        """Return an object's content, still compressed; None if the object is gone."""
        try:
            return self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read(MAXIMUM_BYTES + 1)
        except aws.AwsError as error:
            if isinstance(error, ClientError) and error.response.get("Error", {}).get("Code") in GONE:
                return None
            raise aws.fault(RESOURCE, error) from error


class KnownEvents:
    """Which events the ledger in S3 holds, read as far as needed.

    The ledger is read forward from `since`, each object at most once, until all requested events are found.
    This is fastest for events in the order in which they were created.

    Parameters
    ----------
    since
        Unix seconds; events created before are not found.
    written_since
        Objects written before are not read, because they were read before.
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
        self._after = ledger_keys.lower_bound(datetime.fromtimestamp(since, UTC) - CLOCK_SKEW)
        self._progress = progress
        self._written_since = written_since
        self._read = 0
        self._where: dict[str, str] = {}

    def known(self, event_ids: Collection[str]) -> set[str]:
        """Return the ids of those events that the ledger holds."""
        wanted = set(event_ids)
        while not wanted <= self._where.keys() and self._read_page():
            pass
        return wanted & self._where.keys()

    def event(self, event_id: str) -> dict[str, Any] | None:
        """Return an event as it was first delivered, or None if the ledger does not hold it whole."""
        if not self.known([event_id]):
            return None
        return self._reader.event(self._where[event_id], event_id)

    def _read_page(self) -> bool:
        page = self._reader.page(self._after, self._written_since)
        total = self._read + len(page.keys)
        for entry in self._reader.entries(page.keys, lambda done: self._progress(self._read + done, total)):
            self._where.setdefault(entry.event_id, entry.key)
            if entry.snapshot_id is not None:
                # Stripe lists the snapshot event, and the ledger holds it as its thin twin.
                self._where.setdefault(entry.snapshot_id, entry.key)
        self._read = total
        self._after = page.last or self._after
        return page.last is not None


def lines_of(body: bytes, most: int = MAXIMUM_BYTES) -> tuple[list[bytes], bool]:
    """Return the lines of an object's content, at most `most` bytes, and whether it is damaged."""
    if not body:
        return [], False
    decompressor = zlib.decompressobj(_GZIP)
    try:
        content = decompressor.decompress(body, most)
    except zlib.error:
        return [], True
    complete = decompressor.eof and not decompressor.unused_data
    return (content.splitlines(), False) if complete else ([], True)


def whole(event: dict[str, Any]) -> dict[str, Any] | None:
    """Return an event of the ledger to send it, or None if its values were erased: it is not Stripe's."""
    return None if names.ERASED in event else event


def _records(
    key: str, lines: Iterable[bytes], texts: Collection[bytes]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for line in lines:
        if texts and not any(text in line for text in texts):
            continue
        try:
            record = json.loads(line)
            _ = record["event_id"], record["received_at"], record["envelope"]["detail"].items()
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
        yield key, record


def _may_hold(key: str, latest: datetime) -> bool:
    span = ledger_keys.span(key)
    return span is None or span.oldest <= latest


def _entry(key: str, line: bytes) -> LedgerEntry:
    return entry_of(key, json.loads(line))


def entry_of(key: str, record: Mapping[str, Any]) -> LedgerEntry:
    """Return the delivery that a line holds; a damaged one raises what reading it raises."""
    envelope = record["envelope"]
    detail = envelope.get("detail")
    snapshot_id = detail.get("snapshot_event") if isinstance(detail, dict) else None
    return LedgerEntry(
        id=envelope.get("id"),
        key=key,
        event_id=record["event_id"],
        event_type=record["event_type"],
        time=_time(envelope.get("time"), record["received_at"]),
        replayed="replay-name" in envelope,
        snapshot_id=snapshot_id if isinstance(snapshot_id, str) else None,
    )


def _time(of_envelope: object, received_at: str) -> datetime:
    """Return the envelope's time, or else the time at which the queue received the message."""
    for text in (of_envelope, received_at):
        if isinstance(text, str):
            try:
                time = datetime.fromisoformat(text)
            except ValueError:
                continue
            return time if time.tzinfo else time.replace(tzinfo=UTC)
    raise ValueError("the line has no time")
