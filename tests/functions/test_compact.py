"""The compaction of the ledger on an embedded S3 with versions, and with object lock."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest

from functions.compaction.bucket import LedgerBucket
from functions.compaction.day import DAMAGED, REMOVED, TAKEN, WRITTEN, DayCompaction
from functions.compaction.run import days
from functions.ledger import keys as ledger_keys
from functions.ledger.keys import object_key
from functions.ledger.reader import KnownEvents, LedgerReader
from functions.ledger.records import LedgerRecord, parse
from functions.ledger.rewrite import CLOCK_SKEW_SECONDS, COMPACTION, ERASURE, RewriteLease
from functions.shared import names
from functions.shared.errors import TransientError
from ops.local.clients import Aws
from ops.local.services import REGION
from tests.functions.conftest import Start
from tests.functions.function import Function

DAY = datetime.now(UTC).date() - timedelta(days=3)
MORNING = datetime.combine(DAY, time(8), UTC)
LONG = 300.0

_numbers = itertools.count(1)


class Killed(BaseException):
    """The run ends here, as Lambda ends one."""


def record(received: datetime, *, size: int = 0) -> LedgerRecord:
    number = next(_numbers)
    envelope = {
        "id": f"00000000-0000-4000-8000-{number:012}",
        "time": received.isoformat(),
        "detail": {"id": f"evt_compact{number}", "type": "invoice.paid", "text": "x" * size},
    }
    sent = str(int(received.timestamp() * 1000))
    message = {"messageId": f"message-{number}", "body": json.dumps(envelope)}
    return parse(message | {"attributes": {"SentTimestamp": sent}})


@dataclass
class World:
    """A bucket and a table of their own."""

    aws: Aws
    start: Start
    name: str

    @property
    def s3(self) -> Any:
        return self.aws.client("s3")

    def audit(self, *records: LedgerRecord) -> str:
        key = object_key(records)
        body = gzip.compress("".join(f"{each.line}\n" for each in records).encode(), mtime=0)
        self.s3.put_object(Bucket=self.name, Key=key, Body=body)
        return key

    def fill(self, count: int = 5) -> list[LedgerRecord]:
        """Audit single events, the newest first, and one batch of two."""
        made = [record(MORNING + timedelta(minutes=each)) for each in range(count, 0, -1)]
        for each in made:
            self.audit(each)
        pair = [record(MORNING + timedelta(seconds=each)) for each in (90, 30)]
        self.audit(*pair)
        return [*made, *pair]

    def listed(self) -> list[str]:
        return [each["Key"] for each in self.s3.list_objects_v2(Bucket=self.name).get("Contents", [])]

    def versions(self) -> list[tuple[str, str]]:
        found = self.s3.list_object_versions(Bucket=self.name).get("Versions", [])
        return [(each["Key"], each["VersionId"]) for each in found]

    def content(self, key: str) -> bytes:
        body: bytes = self.s3.get_object(Bucket=self.name, Key=key)["Body"].read()
        return body

    def lines(self) -> list[str]:
        return [
            line for key in self.listed() for line in gzip.decompress(self.content(key)).decode().splitlines()
        ]

    def lease(self, kind: str = COMPACTION) -> RewriteLease:
        return RewriteLease(self.aws.client("dynamodb"), self.name, kind, 120)

    def compaction(self, s3: Any = None, is_short: Callable[[], bool] = lambda: False) -> DayCompaction:
        lease = self.lease()
        assert lease.acquire()
        return DayCompaction(LedgerBucket(s3 or self.s3, self.name), lease, is_short)

    def compact(self) -> dict[str, int]:
        work = self.compaction()
        assert work.run(DAY)
        work.lease.release()
        return dict(work.counts)

    def function(self) -> Function:
        variables = {names.LEDGER_BUCKET: self.name, names.IDEMPOTENCY_TABLE: self.name}
        return self.start("compact", **variables)


def new_world(aws: Aws, start: Start, *, locked: bool = False) -> World:
    name = f"compact-{next(_numbers)}-test"
    s3 = aws.client("s3")
    s3.create_bucket(
        Bucket=name,
        CreateBucketConfiguration={"LocationConstraint": REGION},
        ObjectLockEnabledForBucket=locked,
    )
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    if locked:
        retention = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 365}}
        s3.put_object_lock_configuration(
            Bucket=name, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": retention}
        )
    aws.client("dynamodb").create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return World(aws, start, name)


@pytest.fixture(params=[False, True], ids=["versions", "object lock"])
def world(request: pytest.FixtureRequest, aws: Aws, start: Start) -> World:
    return new_world(aws, start, locked=request.param)


@pytest.fixture
def plain(aws: Aws, start: Start) -> World:
    return new_world(aws, start)


def by_time(records: list[LedgerRecord]) -> list[str]:
    return [each.line for each in sorted(records, key=lambda each: (each.received_at, each.delivery_id))]


def test_a_days_objects_become_one_that_is_sorted_by_time(world: World) -> None:
    records = world.fill()
    before = world.versions()
    assert world.compact() == {TAKEN: 6, WRITTEN: 1, REMOVED: 6}
    (key,) = world.listed()
    assert ledger_keys.is_compacted(key)
    assert ledger_keys.span(key) == ledger_keys.Span(
        MORNING + timedelta(seconds=30), MORNING + timedelta(minutes=5)
    )
    assert world.lines() == by_time(records)
    # Nothing is deleted for ever: the bucket keeps what it hides, for as long as it keeps versions.
    assert set(before) <= set(world.versions())


def test_a_second_run_changes_nothing(world: World) -> None:
    world.fill()
    world.compact()
    before = world.versions()
    assert world.compact() == {}
    assert world.versions() == before


def test_the_same_objects_give_the_same_bytes(aws: Aws, start: Start) -> None:
    worlds = [new_world(aws, start) for _ in range(2)]
    records = worlds[0].fill()
    for each in reversed(records[:-2]):
        worlds[1].audit(each)
    worlds[1].audit(*records[-2:])
    for world in worlds:
        world.compact()
    (first,), (second,) = (each.listed() for each in worlds)
    assert first == second
    assert worlds[0].content(first) == worlds[1].content(second)


CALLS = ("ListObjectsV2", "GetObject", "PutObject", "DeleteObjects")


def test_a_run_can_end_before_or_after_any_call(aws: Aws, start: Start) -> None:
    """Each line is seen at every moment, and the run after it ends with the same object."""
    records: list[LedgerRecord] = []
    for moment in ("before-call", "after-call"):
        for number in itertools.count(1):
            world = new_world(aws, start)
            if not records:
                records = world.fill()
            else:
                for each in records[:-2]:
                    world.audit(each)
                world.audit(*records[-2:])
            left = number

            def end(model: Any, **_: Any) -> None:
                nonlocal left
                left -= model.name in CALLS
                if not left:
                    raise Killed

            s3 = world.s3
            s3.meta.events.register(f"{moment}.s3", end)
            work = world.compaction(s3)
            try:
                work.run(DAY)
            except Killed:
                s3.meta.events.unregister(f"{moment}.s3", end)
            else:
                break
            assert set(world.lines()) == {each.line for each in records}
            work.lease.release()
            world.compact()
            assert world.lines() == by_time(records)
        # Two listings, six objects, and to write, read back and remove.
        assert number > 10


def test_what_arrives_late_is_compacted_by_a_later_run(world: World) -> None:
    records = world.fill()
    world.compact()
    late = record(MORNING + timedelta(minutes=2, seconds=1))
    world.audit(late)
    assert world.compact() == {TAKEN: 1, WRITTEN: 1, REMOVED: 1}
    assert sorted(world.lines()) == sorted(each.line for each in [*records, late])
    assert all(map(ledger_keys.is_compacted, world.listed()))


def test_a_batch_that_is_written_again_is_only_removed(world: World) -> None:
    records = world.fill()
    world.compact()
    world.audit(records[0])
    assert world.compact() == {REMOVED: 1}
    assert world.lines() == by_time(records)


def test_one_object_alone_stays(plain: World) -> None:
    key = plain.audit(record(MORNING))
    assert plain.compact() == {}
    assert plain.listed() == [key]


def test_a_damaged_object_stays_and_is_counted(world: World) -> None:
    records = world.fill()
    cut = f"{ledger_keys.lower_bound(MORNING)}-0-{'ab' * 16}.jsonl.gz"
    no_time = f"{ledger_keys.lower_bound(MORNING)}-0-{'cd' * 16}.jsonl.gz"
    world.s3.put_object(Bucket=world.name, Key=cut, Body=gzip.compress(b"{}\n")[:-5])
    world.s3.put_object(Bucket=world.name, Key=no_time, Body=gzip.compress(b'{"event_id":"evt_1"}\n'))
    other = f"{ledger_keys.day_prefix(DAY)}notes.txt"
    world.s3.put_object(Bucket=world.name, Key=other, Body=b"by hand")
    assert world.compact() == {TAKEN: 6, WRITTEN: 1, REMOVED: 6, DAMAGED: 2}
    assert {cut, no_time, other} < set(world.listed())
    compacted = next(key for key in world.listed() if ledger_keys.is_compacted(key))
    assert gzip.decompress(world.content(compacted)).decode().splitlines() == by_time(records)


def test_a_compacted_object_has_a_limit(plain: World) -> None:
    records = [record(MORNING + timedelta(seconds=each), size=900_000) for each in range(10)]
    for each in records:
        plain.audit(each)
    assert plain.compact()[WRITTEN] == 5
    assert plain.lines() == by_time(records)


def test_a_run_without_time_is_continued_by_the_next(plain: World) -> None:
    records = [record(MORNING + timedelta(seconds=each), size=900_000) for each in range(10)]
    for each in records:
        plain.audit(each)
    work = plain.compaction(is_short=lambda: True)
    assert not work.run(DAY)
    assert work.counts[WRITTEN] == 1
    work.lease.release()
    assert plain.compact()[WRITTEN] == 4
    assert sorted(plain.lines()) == sorted(each.line for each in records)


def test_an_object_that_changes_after_it_was_read_is_not_removed(plain: World) -> None:
    plain.fill()
    changed = plain.listed()[0]

    def change(model: Any, **_: Any) -> None:
        if model.name == "DeleteObjects":
            plain.s3.put_object(Bucket=plain.name, Key=changed, Body=gzip.compress(b"{}\n"))

    s3 = plain.s3
    s3.meta.events.register("before-call.s3", change)
    work = plain.compaction(s3)
    work.run(DAY)
    s3.meta.events.unregister("before-call.s3", change)
    assert work.counts[REMOVED] == 5
    assert changed in plain.listed()


def test_a_compacted_object_that_was_not_written_as_it_should_removes_nothing(plain: World) -> None:
    plain.fill()
    before = plain.listed()

    def truncate(model: Any, params: dict[str, Any], **_: Any) -> None:
        if model.name == "PutObject":
            params["body"] = gzip.compress(b"")

    s3 = plain.s3
    s3.meta.events.register("before-call.s3", truncate)
    work = plain.compaction(s3)
    with pytest.raises(TransientError, match="does not hold what was written"):
        work.run(DAY)
    s3.meta.events.unregister("before-call.s3", truncate)
    assert set(before) < set(plain.listed())


# Beside others


def test_a_reader_that_listed_before_finds_what_was_compacted_meanwhile(plain: World) -> None:
    records = plain.fill()
    reader = LedgerReader(plain.s3, plain.name)
    listed = reader.page("").keys
    plain.compact()
    assert {entry.event_id for entry in reader.entries(listed)} == {each.event_id for each in records}
    found = reader.event(listed[0], records[-1].event_id)
    assert found is not None
    assert found["id"] == records[-1].event_id
    assert reader.unreadable == 0


def test_every_event_is_known_before_and_after(plain: World) -> None:
    records = plain.fill()
    ids = {each.event_id for each in records}

    def known() -> set[str]:
        reader = LedgerReader(plain.s3, plain.name)
        return KnownEvents(reader, int(MORNING.timestamp())).known(ids)

    def between() -> set[str]:
        reader = LedgerReader(plain.s3, plain.name)
        pages = reader.keys_between(MORNING, MORNING + timedelta(hours=1))
        return {entry.event_id for page in pages for entry in reader.entries(page)}

    assert known() == between() == ids
    plain.compact()
    assert known() == between() == ids


def known_events(reader: LedgerReader, ids: set[str]) -> set[str]:
    return KnownEvents(reader, int(MORNING.timestamp())).known(ids)


def entries(reader: LedgerReader, _ids: set[str]) -> set[str]:
    pages = reader.keys_between(MORNING, MORNING + timedelta(hours=1))
    return {entry.event_id for page in pages for entry in reader.entries(page)}


def whole_records(reader: LedgerReader, _ids: set[str]) -> set[str]:
    pages = reader.keys_between(MORNING, MORNING + timedelta(hours=1))
    return {record["event_id"] for page in pages for _, record in reader.records(page)}


def contents(reader: LedgerReader, ids: set[str]) -> set[str]:
    events = KnownEvents(reader, int(MORNING.timestamp()))
    return {event_id for event_id in sorted(ids) if events.event(event_id)}


@pytest.mark.parametrize("read", [known_events, entries, whole_records, contents])
def test_a_compaction_at_any_moment_hides_nothing_from_a_reader(
    aws: Aws, start: Start, read: Callable[[LedgerReader, set[str]], set[str]]
) -> None:
    for number in itertools.count(1):
        world = new_world(aws, start)
        next_day = record(MORNING + timedelta(days=1))
        world.audit(next_day)
        ids = {each.event_id for each in [*world.fill(3), next_day]}
        s3 = world.s3
        calls = itertools.count(1)

        def before(
            params: dict[str, Any],
            model: Any,
            world: World = world,
            moment: int = number,
            calls: Iterator[int] = calls,
            **_: Any,
        ) -> None:
            if model.name == "ListObjectsV2":
                # The second page holds an object that is compacted and one behind it, which is not.
                params["MaxKeys"] = 3
            if next(calls) == moment:
                world.compact()

        s3.meta.events.register("provide-client-params.s3", before)
        found = read(LedgerReader(s3, world.name), ids)
        s3.meta.events.unregister("provide-client-params.s3", before)
        assert found == ids, f"before call {number}"
        if next(calls) <= number:
            break
    # Two pages and five objects.
    assert number > 7


def test_compaction_and_erasure_exclude_each_other(plain: World) -> None:
    compaction, erasure = plain.lease(), plain.lease(ERASURE)
    assert compaction.acquire()
    assert not erasure.acquire()
    assert not plain.lease().acquire()
    compaction.release()
    assert erasure.acquire()
    assert not compaction.acquire()
    erasure.release()
    assert compaction.acquire()


def test_an_erasure_follows_a_killed_one(plain: World) -> None:
    killed, following = plain.lease(ERASURE), plain.lease(ERASURE)
    assert killed.acquire()
    assert following.acquire()
    killed.until = 0
    assert not killed.renew()


def test_no_compaction_begins_while_one_of_two_erasures_is_at_work(plain: World) -> None:
    """Nobody knows whether the erasure that was followed was killed: its objects may be half rewritten."""
    first, second = plain.lease(ERASURE), plain.lease(ERASURE)
    assert first.acquire()
    assert second.acquire()
    second.release()
    compaction = plain.lease()
    assert not compaction.acquire()
    first.release()
    compaction.clock = lambda: first.until + CLOCK_SKEW_SECONDS
    assert not compaction.acquire()
    compaction.clock = lambda: second.until + CLOCK_SKEW_SECONDS + 1
    assert compaction.acquire()


def test_an_erasure_after_one_that_ended_releases_its_lease(plain: World) -> None:
    for _ in range(2):
        erasure = plain.lease(ERASURE)
        assert erasure.acquire()
        erasure.release()
    assert plain.lease().acquire()


def test_a_lease_ends_by_itself(plain: World) -> None:
    killed = plain.lease()
    assert killed.acquire()
    later = plain.lease(ERASURE)
    later.clock = lambda: killed.until + CLOCK_SKEW_SECONDS + 1
    assert later.acquire()


def test_a_clock_that_is_ahead_ends_no_lease_of_another(plain: World) -> None:
    compaction = plain.lease()
    assert compaction.acquire()
    erasure = plain.lease(ERASURE)
    erasure.clock = lambda: datetime.now(UTC).timestamp() + CLOCK_SKEW_SECONDS
    assert not erasure.acquire()


def test_a_run_that_lost_its_lease_writes_and_removes_nothing(plain: World) -> None:
    plain.fill()
    before = plain.versions()
    work = plain.compaction()
    work.lease.until = 0
    work.lease.holder = "somebody else"
    with pytest.raises(TransientError, match="lease"):
        work.run(DAY)
    assert plain.versions() == before


# The function


def test_the_function_compacts_the_days_that_are_over(plain: World) -> None:
    records = plain.fill()
    today = plain.audit(record(datetime.now(UTC))), plain.audit(record(datetime.now(UTC)))
    function = plain.function()
    result = function.invoke({}, remaining_seconds=LONG)
    assert result == {TAKEN: 6, WRITTEN: 1, REMOVED: 6, DAMAGED: 0, "complete": True}
    (line,) = function.new_logs("compaction finished")
    assert line[WRITTEN] == 1
    assert function.invoke({}, remaining_seconds=LONG)[WRITTEN] == 0
    assert set(today) < set(plain.listed())
    assert len(plain.listed()) == 3
    assert set(by_time(records)) < set(plain.lines())


def test_the_function_waits_for_an_erasure(plain: World) -> None:
    plain.fill()
    erasure = plain.lease(ERASURE)
    assert erasure.acquire()
    function = plain.function()
    assert function.invoke({}, remaining_seconds=LONG) == {}
    assert function.new_logs("nothing compacted")
    erasure.release()
    assert function.invoke({}, remaining_seconds=LONG)[WRITTEN] == 1


def test_days_are_those_in_which_a_message_can_still_arrive() -> None:
    found = list(days(datetime(2026, 4, 20, 0, 59, tzinfo=UTC)))
    assert (found[0], found[-1]) == (date(2026, 4, 4), date(2026, 4, 18))
    assert list(days(datetime(2026, 4, 20, 1, tzinfo=UTC)))[-1] == date(2026, 4, 19)
