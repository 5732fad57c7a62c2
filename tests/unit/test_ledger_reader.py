"""Reading the ledger in S3: which objects are read, and how often."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.ledger import keys as ledger_keys
from functions.ledger import reader
from functions.ledger.reader import KnownEvents, LedgerEntry, LedgerReader

NOW = datetime.now(UTC).replace(microsecond=0)
PAGE = 1000


class Bucket:
    """A bucket with ledger objects, which records what is listed and read."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, datetime, str]] = {}
        self.read: list[str] = []
        self.listed: list[str] = []

    def add(
        self,
        name: str,
        *event_ids: str,
        newest: datetime = NOW,
        waited: int = 0,
        written: datetime = NOW,
        storage: str = "STANDARD",
        more: Mapping[str, Any] = MappingProxyType({}),
    ) -> str:
        """Add an object with its newest message at `newest`, and its oldest `waited` seconds before."""
        lines = [
            {
                "received_at": "2026-04-01T10:00:05.123+00:00",
                "event_id": event_id,
                "event_type": "invoice.paid",
                "envelope": {"id": f"id-{event_id}", "time": "2026-04-01T10:00:04Z", **more},
            }
            for event_id in event_ids
        ]
        body = gzip.compress("".join(f"{json.dumps(line)}\n" for line in lines).encode())
        digest = hashlib.sha256(name.encode()).hexdigest()[:32]
        key = f"{ledger_keys.lower_bound(newest)}-{waited}-{digest}.jsonl.gz"
        self.objects[key] = (body, written, storage)
        return key

    def list_objects_v2(
        self,
        *,
        Bucket: str,  # noqa: N803 (S3's names)
        Prefix: str,  # noqa: N803
        StartAfter: str,  # noqa: N803
    ) -> dict[str, Any]:
        assert (Bucket, Prefix) == ("ledger", "audit/")
        self.listed.append(StartAfter)
        found = sorted(key for key in self.objects if key > StartAfter)[:PAGE]
        return {
            "Contents": [
                {"Key": key, "LastModified": self.objects[key][1], "StorageClass": self.objects[key][2]}
                for key in found
            ]
        }

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803 (S3's names)
        assert Bucket == "ledger"
        self.read.append(Key)
        return {"Body": self._Body(self.objects[Key][0])}

    class _Body:
        def __init__(self, content: bytes) -> None:
            self._content = content

        def read(self, amount: int) -> bytes:
            return self._content[:amount]


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


def ledger(bucket: Bucket) -> LedgerReader:
    client: Any = bucket
    return LedgerReader(client, "ledger")


def known(bucket: Bucket, since: datetime = NOW - timedelta(hours=2), **options: Any) -> KnownEvents:
    return KnownEvents(ledger(bucket), int(since.timestamp()), **options)


TIMES = st.datetimes(datetime(2020, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC))


@given(times=st.lists(TIMES, min_size=2, max_size=6))
def test_names_sort_by_time(times: list[datetime]) -> None:
    names = [f"{ledger_keys.lower_bound(time)}-0-{'f' * 32}.jsonl.gz" for time in times]
    in_milliseconds = [time.replace(microsecond=time.microsecond // 1000 * 1000) for time in times]
    by_name = [time for _, time in sorted(zip(names, in_milliseconds, strict=True))]
    assert by_name == sorted(in_milliseconds)
    for name, time in zip(names, in_milliseconds, strict=True):
        assert ledger_keys.span(name) == ledger_keys.Span(time, time)
        assert ledger_keys.lower_bound(time) < name


@pytest.mark.parametrize(
    "key",
    [
        "audit/dt=2026-04-01/0123456789abcdef0123456789abcdef.jsonl.gz",
        "audit/dt=2026-13-01/100005123-0-ff.jsonl.gz",
        "audit/dt=2026-04-01/995005123-0-ff.jsonl.gz",
        "audit/readme",
    ],
)
def test_key_of_another_form_has_no_span(key: str) -> None:
    assert ledger_keys.span(key) is None


def test_snapshot_event_is_known_by_its_thin_twin_but_not_whole(bucket: Bucket) -> None:
    bucket.add("thin", "evt_thin", more={"detail": {"id": "evt_thin", "snapshot_event": "evt_1"}})
    events = known(bucket)
    assert events.known(["evt_thin", "evt_1", "evt_2"]) == {"evt_thin", "evt_1"}
    assert events.event("evt_1") is None


def test_each_object_is_read_once_and_only_if_needed(bucket: Bucket) -> None:
    first = bucket.add("first", "evt_1", "evt_2")
    events = known(bucket)
    assert events.known(["evt_1"]) == {"evt_1"}
    listed = len(bucket.listed)
    assert events.known(["evt_2", "evt_1"]) == {"evt_1", "evt_2"}
    assert len(bucket.listed) == listed
    second = bucket.add("second", "evt_3", newest=NOW + timedelta(seconds=1))
    assert events.known(["evt_3", "evt_4"]) == {"evt_3"}
    assert bucket.read == [first, second]


def test_listing_continues_after_the_last_key(bucket: Bucket) -> None:
    events = known(bucket)
    last = bucket.add("last", "evt_1")
    for number in range(5, 8):
        assert events.known([f"evt_{number}"]) == set()
    assert bucket.listed[0] == ledger_keys.lower_bound(NOW - timedelta(hours=2) - reader.CLOCK_SKEW)
    assert set(bucket.listed[1:]) == {last}
    assert bucket.read == [last]


def test_only_objects_since_the_start_are_listed_and_read(bucket: Bucket) -> None:
    """Two weeks of older objects cost no call."""
    since = NOW - timedelta(hours=2)
    for number in range(5 * PAGE):
        age = timedelta(hours=3, minutes=4 * number)
        bucket.add(f"old {number}", f"evt_old{number}", newest=NOW - age, written=NOW)
    new = [
        bucket.add(f"new {number}", f"evt_{number}", newest=since + timedelta(minutes=number))
        for number in range(100)
    ]
    wanted = [f"evt_{number}" for number in range(100)]
    assert known(bucket, since).known([*wanted, "evt_lost"]) == set(wanted)
    assert sorted(bucket.read) == sorted(new)
    assert len(bucket.listed) == 2


def test_ledger_is_read_only_as_far_as_needed(bucket: Bucket) -> None:
    for number in range(3 * PAGE):
        bucket.add(f"{number}", f"evt_{number}", newest=NOW - timedelta(hours=2) + timedelta(seconds=number))
    events = known(bucket)
    assert events.known([f"evt_{number}" for number in range(100)])
    assert (len(bucket.listed), len(bucket.read)) == (1, PAGE)
    assert events.known([f"evt_{PAGE + 1}"])
    assert (len(bucket.listed), len(bucket.read)) == (2, 2 * PAGE)


def test_event_batched_with_one_that_waited_for_days_is_found(bucket: Bucket) -> None:
    bucket.add("beside", "evt_1", newest=NOW, waited=13 * 24 * 3600)
    assert known(bucket).known(["evt_1"]) == {"evt_1"}


def test_object_written_before_the_last_check_is_not_read(bucket: Bucket) -> None:
    bucket.add("read", "evt_1", newest=NOW - timedelta(minutes=50), written=NOW - timedelta(minutes=50))
    late = bucket.add("late", "evt_2", newest=NOW - timedelta(minutes=51), written=NOW)
    events = known(bucket, written_since=NOW - timedelta(minutes=5))
    assert events.known(["evt_1", "evt_2"]) == {"evt_2"}
    assert bucket.read == [late]


def test_past_window_includes_only_late_arrivals(bucket: Bucket) -> None:
    since, until = NOW - timedelta(days=20), NOW - timedelta(days=19)
    day = timedelta(days=1)
    bucket.add("before", "evt_1", newest=since - timedelta(minutes=6))
    wanted = [
        bucket.add("in", "evt_2", newest=since),
        bucket.add("late", "evt_3", newest=until + day),
        bucket.add("beside a later one", "evt_4", newest=until + 5 * day, waited=5 * 24 * 3600),
    ]
    bucket.add("after", "evt_5", newest=until + day + timedelta(seconds=1))
    bucket.add("long after", "evt_6", newest=NOW)
    found = [key for keys in ledger(bucket).keys_between(since, until) for key in keys]
    assert found == wanted


def test_objects_in_an_archive_class_are_counted_and_not_read(bucket: Bucket) -> None:
    for number, storage in enumerate(("GLACIER", "DEEP_ARCHIVE", "STANDARD_IA", "GLACIER_IR")):
        bucket.add(str(number), f"evt_{number}", storage=storage)
    read = ledger(bucket)
    keys = read.page("").keys
    assert {entry.event_id for entry in read.entries(keys)} == {"evt_2", "evt_3"}
    assert (read.frozen, read.unreadable) == (2, 0)


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(b" " * 200),
        gzip.compress(b"{}\n")[:-1],
        gzip.compress(b"{}\n") + b"more",
        b"\x1f\x8b\x08",
    ],
    ids=["too large", "truncated", "trailing bytes", "header only"],
)
def test_object_that_is_too_large_or_truncated_is_damaged(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    monkeypatch.setattr(reader, "MAXIMUM_BYTES", 199)
    key = bucket.add("bomb")
    bucket.objects[key] = (body, NOW, "STANDARD")
    read = ledger(bucket)
    assert list(read.entries([key])) == []
    assert read.unreadable == 1


def test_largest_object_is_read(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    key = bucket.add("large", "evt_1")
    monkeypatch.setattr(reader, "MAXIMUM_BYTES", len(gzip.decompress(bucket.objects[key][0])))
    assert [entry.event_id for entry in ledger(bucket).entries([key])] == ["evt_1"]


def test_event_is_returned_as_first_delivered(bucket: Bucket) -> None:
    first, second = {"id": "evt_1", "first": True}, {"id": "evt_1"}
    bucket.add("first", "evt_0", "evt_1", newest=NOW - timedelta(seconds=9), more={"detail": first})
    bucket.add("second", "evt_1", more={"detail": second})
    bucket.add("empty", "evt_3", newest=NOW + timedelta(seconds=1), more={"detail": None})
    events = known(bucket)
    assert events.event("evt_1") == first
    assert events.event("evt_2") is None
    assert events.event("evt_3") is None


def test_damaged_line_does_not_hide_the_others(bucket: Bucket) -> None:
    body, written, storage = bucket.objects[bucket.add("deep", "evt_1", "evt_2")]
    first, second = gzip.decompress(body).splitlines()
    odd = b'{"envelope": "text"}'
    deep = b'{"envelope":' + b"[" * 100_000
    name = bucket.add("damaged")
    bucket.objects[name] = (gzip.compress(b"\n".join([first, odd, deep, second])), written, storage)
    read = ledger(bucket)
    assert [entry.event_id for entry in read.entries([name])] == ["evt_1", "evt_2"]
    assert read.unreadable == 1


def test_entry_has_its_time_and_whether_a_replay_delivered_it(bucket: Bucket) -> None:
    second = timedelta(seconds=1)
    bucket.add("live", "evt_1", newest=NOW - 2 * second)
    bucket.add("replayed", "evt_2", newest=NOW - second, more={"replay-name": "again"})
    bucket.add("timeless", "evt_3", more={"time": None})
    read = ledger(bucket)
    keys = read.page("").keys
    found = {entry.event_id: entry for entry in read.entries(keys)}
    at = datetime(2026, 4, 1, 10, 0, 4, tzinfo=UTC)
    received = datetime(2026, 4, 1, 10, 0, 5, 123000, tzinfo=UTC)
    expected = [("evt_1", at, False), ("evt_2", at, True), ("evt_3", received, False)]
    assert list(found) == [event_id for event_id, _, _ in expected]
    for event_id, time, replayed in expected:
        key = found[event_id].key
        assert key in keys
        assert found[event_id] == LedgerEntry(
            f"id-{event_id}", key, event_id, "invoice.paid", time, replayed=replayed
        )


def test_progress_counts_objects(bucket: Bucket) -> None:
    keys = [bucket.add(str(number), f"evt_{number}") for number in range(30)]
    progress: list[int] = []
    assert len(list(ledger(bucket).entries(keys, progress.append))) == 30
    assert progress == list(range(1, 31))
