"""Reading the ledger back: which objects are read, and how often."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Any

import pytest

from functions.ledger import reader
from functions.ledger.reader import Delivery, KnownEvents, LedgerReader

NOW = datetime.now(UTC)
TODAY = NOW.date()


class Bucket:
    """A bucket with ledger objects, and what was asked of it."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, datetime, str]] = {}
        self.read: list[str] = []
        self.listed: list[str] = []

    def add(
        self,
        key: str,
        *event_ids: str,
        day: date = TODAY,
        written: datetime = NOW,
        storage: str = "STANDARD",
        more: Mapping[str, Any] = MappingProxyType({}),
    ) -> str:
        lines = [
            {
                "received_at": "2026-04-01T10:00:05.123+00:00",
                "event_id": event_id,
                "event_type": "invoice.paid",
                "envelope": {"time": "2026-04-01T10:00:04Z", **more},
            }
            for event_id in event_ids
        ]
        body = gzip.compress("".join(f"{json.dumps(line)}\n" for line in lines).encode())
        name = f"audit/dt={day.isoformat()}/{key}.jsonl.gz"
        self.objects[name] = (body, written, storage)
        return name

    def get_paginator(self, _operation: str) -> Bucket:
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> Iterator[dict[str, Any]]:  # noqa: N803 (S3's names)
        assert Bucket == "ledger"
        self.listed.append(Prefix)
        yield {
            "Contents": [
                {"Key": key, "LastModified": written, "StorageClass": storage}
                for key, (_, written, storage) in self.objects.items()
                if key.startswith(Prefix)
            ]
        }

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803 (S3's names)
        assert Bucket == "ledger"
        self.read.append(Key)
        return {"Body": self._Body(self.objects[Key][0])}

    class _Body:
        def __init__(self, content: bytes) -> None:
            self._content = content

        def read(self) -> bytes:
            return self._content


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


def ledger(bucket: Bucket) -> LedgerReader:
    client: Any = bucket
    return LedgerReader(client, "ledger")


def known(bucket: Bucket, since: datetime = NOW - timedelta(hours=2)) -> KnownEvents:
    return KnownEvents(ledger(bucket), int(since.timestamp()))


def test_each_object_is_read_once_and_only_where_something_is_not_found(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "REFRESH_SECONDS", 0.0)
    first = bucket.add("first", "evt_1", "evt_2")
    events = known(bucket)
    assert events.known(["evt_1"]) == {"evt_1"}
    listed = len(bucket.listed)
    assert events.known(["evt_2", "evt_1"]) == {"evt_1", "evt_2"}
    assert len(bucket.listed) == listed
    second = bucket.add("second", "evt_3")
    assert events.known(["evt_3", "evt_4"]) == {"evt_3"}
    assert bucket.read == [first, second]


def test_bucket_is_not_listed_again_at_once(bucket: Bucket) -> None:
    events = known(bucket)
    for number in range(5):
        assert events.known([f"evt_{number}"]) == set()
    assert len(bucket.listed) == len(set(bucket.listed))


def test_object_that_was_written_before_the_window_is_not_read(bucket: Bucket) -> None:
    since = NOW - timedelta(hours=2)
    bucket.add("old", "evt_old", day=since.date(), written=since - reader.CLOCK_SKEW - timedelta(seconds=2))
    late = bucket.add(
        "late", "evt_late", day=since.date(), written=since - reader.CLOCK_SKEW + timedelta(minutes=1)
    )
    assert known(bucket, since).known(["evt_old", "evt_late"]) == {"evt_late"}
    assert bucket.read == [late]


def test_days_up_to_today_are_looked_through(bucket: Bucket) -> None:
    since = NOW - timedelta(days=3)
    bucket.add("today", "evt_1")
    assert known(bucket, since).known(["evt_1"]) == {"evt_1"}
    first = (since - reader.CLOCK_SKEW - reader.QUEUE_RETENTION).date()
    days = [first + timedelta(days=number) for number in range((TODAY - first).days + 1)]
    assert bucket.listed == [f"audit/dt={day.isoformat()}/" for day in days]


def test_object_that_is_filed_under_an_older_messages_day_is_read(bucket: Bucket) -> None:
    since = NOW - timedelta(hours=2)
    oldest = (since - reader.CLOCK_SKEW - reader.QUEUE_RETENTION).date()
    bucket.add("over midnight", "evt_1", day=since.date() - timedelta(days=1))
    bucket.add("beside a message that waited", "evt_2", day=oldest)
    bucket.add("of that time", "evt_3", day=oldest, written=since - timedelta(days=14))
    assert known(bucket, since).known(["evt_1", "evt_2", "evt_3"]) == {"evt_1", "evt_2"}
    assert len(bucket.read) == 2


def test_objects_in_an_archive_class_are_counted_and_not_read(bucket: Bucket) -> None:
    for number, storage in enumerate(("GLACIER", "DEEP_ARCHIVE", "STANDARD_IA", "GLACIER_IR")):
        bucket.add(str(number), f"evt_{number}", storage=storage)
    read = ledger(bucket)
    keys = read.new_keys(NOW - timedelta(days=1), TODAY)
    assert {delivery.event_id for delivery in read.deliveries(keys)} == {"evt_2", "evt_3"}
    assert (read.frozen, read.unreadable) == (2, 0)


def test_line_that_cannot_be_read_hides_no_other(bucket: Bucket) -> None:
    body, written, storage = bucket.objects[bucket.add("deep", "evt_1", "evt_2")]
    first, second = gzip.decompress(body).splitlines()
    odd = b'{"envelope": "text"}'
    deep = b'{"envelope":' + b"[" * 100_000
    name = bucket.add("damaged")
    bucket.objects[name] = (gzip.compress(b"\n".join([first, odd, deep, second])), written, storage)
    read = ledger(bucket)
    assert [delivery.event_id for delivery in read.deliveries([name])] == ["evt_1", "evt_2"]
    assert read.unreadable == 1


def test_delivery_tells_time_and_whether_a_replay_brought_it(bucket: Bucket) -> None:
    bucket.add("live", "evt_1")
    bucket.add("replayed", "evt_2", more={"replay-name": "again"})
    bucket.add("timeless", "evt_3", more={"time": None})
    read = ledger(bucket)
    found = list(read.deliveries(read.new_keys(NOW - timedelta(days=1), TODAY)))
    at = datetime(2026, 4, 1, 10, 0, 4, tzinfo=UTC)
    received = datetime(2026, 4, 1, 10, 0, 5, 123000, tzinfo=UTC)
    assert found == [
        Delivery("evt_1", "invoice.paid", at, replayed=False),
        Delivery("evt_2", "invoice.paid", at, replayed=True),
        Delivery("evt_3", "invoice.paid", received, replayed=False),
    ]


def test_progress_tells_how_many_are_read(bucket: Bucket) -> None:
    keys = [bucket.add(str(number), f"evt_{number}") for number in range(30)]
    told: list[int] = []
    assert len(list(ledger(bucket).deliveries(keys, told.append))) == 30
    assert told == list(range(1, 31))
