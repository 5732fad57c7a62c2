"""Exporting and erasing a customer: every store, real PostgreSQL, and an erasure that ends anywhere."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from functions.compaction.bucket import LedgerBucket
from functions.compaction.day import DayCompaction
from functions.ledger.reader import LedgerReader
from functions.ledger.rewrite import COMPACTION, RewriteLease
from functions.shared import names
from ops.customer import erasure
from ops.customer.objects import FrozenError, LedgerObjects, Version
from ops.ledger import PostgresLedger
from ops.local.postgres import running_postgres
from ops.local.services import REGION
from ops.rights import Place, of_commands
from tests.emulator import roles
from tests.ops import customers
from tests.ops.command import Done, run
from tests.ops.conftest import SOURCE
from tests.ops.customers import BUCKET, JENNY, MARK, PERSONAL, TABLE, Customers, place, values
from tests.ops.dead_letters import World

Command = Callable[..., Done]
WHY = ("--reason", "request 17 of 2026-11-20")
PLACE = Place("dev", roles.ACCOUNT, REGION, SOURCE)


@pytest.fixture(scope="module")
def made(dead_letter_world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Customers]:
    with running_postgres(tmp_path_factory.mktemp("customers")) as url:
        yield customers.make(dead_letter_world, url)


@pytest.fixture
def stores(made: Customers, world: World) -> Iterator[Customers]:
    made.fill()
    yield made
    made.clear()


@pytest.fixture
def customer(stores: Customers, person: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a customer command in a shell with the database's address."""
    person.setenv("DATABASE_URL", stores.database_url)
    return lambda *arguments: run(["customer", *arguments], person, capsys)


def erased(customer: Command, *more: str) -> dict[str, Any]:
    done = customer("erase", JENNY, *WHY, "--yes", "--json", *more)
    assert done.code == 0, done.err
    document: dict[str, Any] = json.loads(done.out)
    return document


def ids(stores: Customers) -> set[str]:
    """The events that concern Jenny."""
    return {stores.envelopes[name]["detail"]["id"] for name in ("created", "updated", "paid", "disputed")}


# Export


def test_export_writes_all_that_is_held_and_nothing_of_others(
    stores: Customers, customer: Command, tmp_path: Path
) -> None:
    parked = stores.envelopes["paid"]
    stores.world.put(
        "payments-dlq", json.dumps({"parked": {"reason": "r", "error": "PermanentError"}, "envelope": parked})
    )
    file = tmp_path / "jenny.json"
    done = customer("export", JENNY, "--output", str(file), "--json")
    assert done.code == 0, done.err
    written = json.loads(file.read_text())
    assert {each["record"]["event_id"] for each in written["ledger"]["deliveries"]} == ids(stores)
    assert {row["event_id"] for row in written["postgresql"]} == ids(stores)
    assert [each["event_id"] for each in written["dead_letter_queues"]["messages"]] == [
        parked["detail"]["id"]
    ]
    # Of the two handled events: a record and an object's states. The test's effects have no real path.
    assert len(written["table"]) == 4
    assert values(PERSONAL, file.read_text()) == list(PERSONAL)
    assert MARK not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    counted = json.loads(done.out)
    assert (counted["events"], counted["objects"], counted["rows"], counted["messages"]) == (4, 3, 4, 1)
    assert values(PERSONAL, done.out + done.err) == []
    # The message is visible to others again.
    assert stores.world.counts() == (1, 0)


def test_export_changes_nothing(stores: Customers, customer: Command, tmp_path: Path) -> None:
    before = stores.everything()
    assert customer("export", JENNY, "--output", str(tmp_path / "x.json")).code == 0
    assert stores.everything() == before


def test_export_does_not_replace_a_file_unless_forced(customer: Command, tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text("mine")
    done = customer("export", JENNY, "--output", str(file))
    assert (done.code, file.read_text()) == (2, "mine")
    assert done.err == f"error: invalid --output {file}: it exists; use another name, or add --force\n"
    assert customer("export", JENNY, "--output", str(file), "--force").code == 0
    assert json.loads(file.read_text())["customer"] == JENNY
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == ["x.json"]


def test_a_name_that_is_not_utf_8_is_refused(customer: Command, tmp_path: Path) -> None:
    done = customer("export", JENNY, "--output", f"{tmp_path}/\udcff")
    assert (done.code, "the name is not UTF-8; use another one" in done.err) == (2, True)


@pytest.mark.parametrize(("number", "said"), [(signal.SIGINT, "interrupted\n"), (signal.SIGTERM, "")])
def test_an_interrupted_export_leaves_no_file(
    customer: Command, tmp_path: Path, person: pytest.MonkeyPatch, number: int, said: str
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()

    person.setattr("ops.new_file.os.fsync", lambda _: os.kill(os.getpid(), number))
    done = customer("export", JENNY, "--output", str(folder / "x.json"))
    assert (done.code, done.err) == (128 + number, said)
    assert list(folder.iterdir()) == []


KILLED = """
import os, pathlib, signal, sys
from ops.customer import export
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
export.write(pathlib.Path(sys.argv[1]), {"name": "Jenny Rosen"}, force=False)
"""


def test_the_draft_of_a_killed_export_goes_with_the_next_one(customer: Command, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    killed = subprocess.run([sys.executable, "-c", KILLED, str(folder / "other.json")], check=False)
    [draft] = folder.iterdir()
    assert (killed.returncode, stat.S_IMODE(draft.stat().st_mode)) == (-signal.SIGKILL, 0o600)
    # The draft of a process that still writes.
    living = draft.with_suffix(f".{os.getppid()}")
    living.write_text("mine")
    file = folder / "x.json"
    assert customer("export", JENNY, "--output", str(file)).code == 0
    assert sorted(folder.iterdir()) == sorted([living, file])


def test_export_of_somebody_unknown_is_an_empty_document(customer: Command, tmp_path: Path) -> None:
    done = customer("export", "cus_Nobody", "--output", str(tmp_path / "x.json"), "--json")
    assert (done.code, json.loads(done.out)["events"]) == (0, 0)
    assert f"no store holds an event of cus_Nobody, as {tmp_path / 'x.json'} says" in done.err


def test_the_deployed_database_is_read_without_an_exported_one(
    stores: Customers, customer: Command, tmp_path: Path, person: pytest.MonkeyPatch
) -> None:
    person.delenv("DATABASE_URL")
    secrets = stores.aws.client("secretsmanager")
    secrets.put_secret_value(
        SecretId=customers.SECRET, SecretString=json.dumps({"DATABASE_URL": stores.database_url})
    )
    try:
        done = customer("export", JENNY, "--output", str(tmp_path / "x.json"), "--json")
    finally:
        secrets.put_secret_value(SecretId=customers.SECRET, SecretString=json.dumps({"DATABASE_URL": ""}))
    assert json.loads(done.out)["rows"] == 4
    done = customer("export", JENNY, "--output", str(tmp_path / "y.json"), "--json")
    assert json.loads(done.out)["rows"] is None


def test_a_row_of_postgresql_alone_is_found_by_an_expanded_object(
    stores: Customers, customer: Command, tmp_path: Path
) -> None:
    refund = {"id": "re_Jenny1", "object": "refund", "payment_intent": {"id": "pi_Jenny1", "object": "x"}}
    identity = {"id": "vs_Jenny1", "object": "identity.verification_session", "related_customer": JENNY}
    made = [customers.event("refund.updated", refund), customers.event("x.verified", identity)]
    key = stores.audit(*made)
    for version in stores.versions():
        if version["Key"] == key:
            stores.s3.delete_object(**place(version))
    file = tmp_path / "x.json"
    assert customer("export", JENNY, "--output", str(file)).code == 0
    found = {row["event_id"] for row in json.loads(file.read_text())["postgresql"]}
    assert found == ids(stores) | {each["detail"]["id"] for each in made}


# Erasure


def test_nothing_personal_is_left_in_any_store_or_version(stores: Customers, customer: Command) -> None:
    before, rows_before = stores.lines(), stores.rows()
    document = erased(customer)
    left = stores.everything()
    assert values(PERSONAL, left) == []
    assert "hash-of-a-body" not in left
    assert {
        name: document[name] for name in ("events", "objects_rewritten", "versions_deleted", "rows", "items")
    } == {
        "events": 4,
        "objects_rewritten": 3,
        "versions_deleted": 3,
        "rows": 4,
        "items": 2,
    }
    # Every event is still there, under the same keys and columns, and Mark's are as they were.
    after, rows_after = stores.lines(), stores.rows()
    assert after.keys() == before.keys()
    assert {key: row | {"payload": 0} for key, row in rows_after.items()} == {
        key: row | {"payload": 0} for key, row in rows_before.items()
    }
    for name in ("mark", "other"):
        event_id = stores.envelopes[name]["detail"]["id"]
        assert after[event_id] == before[event_id]
        assert rows_after[event_id] == rows_before[event_id]
    assert all(version["IsLatest"] for version in stores.versions())
    for event_id in ids(stores):
        event = json.loads(after[event_id])["envelope"]["detail"]
        assert event == rows_after[event_id]["payload"]
        assert (event["id"], event["livemode"]) == (event_id, False)
        assert event[names.ERASED]


def test_the_ledger_is_read_as_before_and_sends_no_erased_event(stores: Customers, customer: Command) -> None:
    reader = LedgerReader(stores.s3, BUCKET)

    def entries() -> list[Any]:
        return list(reader.entries(reader.page("audit/").keys))

    before = entries()
    erased(customer)
    assert entries() == before
    rows = PostgresLedger(stores.database_url)
    for entry in before:
        assert (rows.event(entry.event_id) is None) == (entry.event_id in ids(stores))
        sent = reader.event(entry.key, entry.event_id)
        assert (sent is None) == (entry.event_id in ids(stores))


def test_the_record_says_who_when_and_why(stores: Customers, customer: Command) -> None:
    document = erased(customer)
    [version, started] = stores.versions("erasures/")
    assert version["Key"] == document["record"]
    written = json.loads(stores.content(version))
    assert (written["state"], json.loads(stores.content(started))["state"]) == ("completed", "started")
    assert written["caller"] == stores.aws.client("sts").get_caller_identity()["Arn"]
    assert (written["customer"], written["reason"]) == (JENNY, WHY[1])
    assert set(written["events"]) == ids(stores)
    assert written["completed_at"] >= written["at"]
    assert values(PERSONAL, json.dumps(written)) == []


def test_a_dry_run_shows_everything_and_changes_nothing(stores: Customers, customer: Command) -> None:
    before = stores.everything()
    done = customer("erase", JENNY, *WHY, "--dry-run")
    assert done.code == 0, done.err
    assert "4 events; ids, types, times and amounts stay" in done.out
    assert "dry run: nothing was changed" in done.out
    document = json.loads(customer("erase", JENNY, *WHY, "--dry-run", "--json").out)
    assert (document["dry_run"], document["record"], document["versions_deleted"]) == (True, None, 3)
    assert stores.everything() == before


def test_an_erasure_that_is_repeated_has_nothing_to_do(stores: Customers, customer: Command) -> None:
    erased(customer)
    before = stores.everything()
    done = customer("erase", JENNY, *WHY, "--yes")
    assert done.code == 0, done.err
    assert f"nothing to erase: no store holds a personal value of {JENNY}" in done.out
    assert "What changes" not in done.out
    assert stores.everything() == before


def test_former_versions_and_those_of_expired_objects_are_deleted(
    stores: Customers, customer: Command
) -> None:
    keys = [version["Key"] for version in stores.versions()]
    first, last = keys[0], keys[-1]
    content = stores.s3.get_object(Bucket=BUCKET, Key=first)["Body"].read()
    stores.s3.put_object(Bucket=BUCKET, Key=first, Body=content)
    stores.s3.delete_object(Bucket=BUCKET, Key=last)
    document = erased(customer)
    assert (document["objects_rewritten"], document["versions_deleted"]) == (2, 4)
    assert values(PERSONAL, stores.everything()) == []


def test_an_event_that_arrives_again_is_erased_again(stores: Customers, customer: Command) -> None:
    erased(customer)
    stores.audit(stores.envelopes["created"])
    # PostgreSQL counts the delivery and keeps the erased payload.
    assert values(PERSONAL, json.dumps(stores.rows(), default=str)) == []
    document = erased(customer)
    assert (document["versions_deleted"], document["rows"]) == (1, 0)
    assert values(PERSONAL, stores.everything()) == []


def test_an_erasure_reaches_compacted_objects_and_what_they_replaced(
    stores: Customers, customer: Command
) -> None:
    before = stores.lines()
    compact(stores)
    assert stores.lines() == before
    document = erased(customer)
    # The compacted object is written again; it and the three small ones of Jenny go.
    assert (document["events"], document["objects_rewritten"], document["versions_deleted"]) == (4, 1, 4)
    assert values(PERSONAL, stores.everything()) == []
    assert stores.lines().keys() == before.keys()
    for name in ("mark", "other"):
        event_id = stores.envelopes[name]["detail"]["id"]
        assert stores.lines()[event_id] == before[event_id]


def test_a_compaction_brings_back_nothing_that_was_erased(stores: Customers, customer: Command) -> None:
    erased(customer)
    before = stores.lines()
    compact(stores)
    assert values(PERSONAL, stores.everything()) == []
    assert stores.lines() == before
    assert f"nothing to erase: no store holds a personal value of {JENNY}" in (
        customer("erase", JENNY, *WHY, "--yes").out
    )


def test_an_erasure_waits_for_a_compaction(stores: Customers, customer: Command) -> None:
    lease = RewriteLease(stores.aws.client("dynamodb"), TABLE, COMPACTION, 60)
    assert lease.acquire()
    before = stores.everything()
    done = customer("erase", JENNY, *WHY, "--yes")
    assert (done.code, stores.everything()) == (1, before)
    assert done.err == (
        "error: nothing was changed: the ledger is being compacted, for 20 minutes at most; repeat the "
        "command then\n"
    )
    assert customer("erase", JENNY, *WHY, "--dry-run").code == 0
    lease.release()
    erased(customer)
    assert lease.acquire()
    lease.release()


def test_an_object_that_is_compacted_under_an_erasure_stops_it(
    stores: Customers, customer: Command, person: pytest.MonkeyPatch
) -> None:
    """As after a lease that ended: the erasure has read the small objects, and finds them hidden."""
    delete = LedgerObjects.replace

    def late(self: LedgerObjects, version: Version, lines: Any) -> None:
        stores.s3.delete_object(Bucket=BUCKET, Key=version.key)
        delete(self, version, lines)

    person.setattr(LedgerObjects, "replace", late)
    done = customer("erase", JENNY, *WHY, "--yes")
    assert (done.code, "was changed or deleted meanwhile: repeat the command" in done.err) == (1, True)


def compact(stores: Customers) -> None:
    """Compact what was audited minutes ago."""
    lease = RewriteLease(stores.aws.client("dynamodb"), TABLE, COMPACTION, 60)
    assert lease.acquire()
    work = DayCompaction(LedgerBucket(stores.s3, BUCKET), lease, lambda: False)
    today = datetime.now(UTC).date()
    for day in (today - timedelta(days=1), today):
        assert work.run(day)
    lease.release()


def test_an_erasure_can_end_between_any_two_changes_and_be_repeated(
    stores: Customers, customer: Command, person: pytest.MonkeyPatch
) -> None:
    stores.world.put(
        "payments-dlq",
        json.dumps(
            {"parked": {"reason": "r", "error": "PermanentError"}, "envelope": stores.envelopes["paid"]}
        ),
    )
    changes = ("PutObject", "DeleteObject", "UpdateItem", "DeleteMessage")
    allowed = 0

    def count(model: Any, params: dict[str, Any], **_: Any) -> None:
        nonlocal allowed
        # The lease that keeps the compaction away is not a change of what is erased.
        if model.name in changes and names.LEDGER_REWRITE not in str(params["body"]):
            if not allowed:
                os.kill(os.getpid(), signal.SIGINT)
            allowed -= 1

    connect = boto3.Session

    def session(*arguments: Any, **options: Any) -> Any:
        made = connect(*arguments, **options)
        made.events.register("before-call", count)
        return made

    person.setattr("ops.environment.boto3.Session", session)
    interrupted = 0
    # Each run makes one more change than the one before, and begins where that one ended.
    for allowance in range(40):
        allowed = allowance
        done = customer("erase", JENNY, *WHY, "--yes", "--parked", "purge")
        if done.code == 0:
            break
        assert done.err.count("the erasure is not complete: repeat the same command") == (allowance > 0)
        interrupted += 1
    assert interrupted >= 5
    assert values(PERSONAL, stores.everything()) == []
    assert stores.lines().keys() == stores.rows().keys()
    assert len(stores.lines()) == 6
    assert stores.world.counts() == (0, 0)
    assert json.loads(stores.content(stores.versions("erasures/")[-1]))["customer"] == JENNY


def test_an_object_that_changed_meanwhile_is_not_overwritten(
    stores: Customers, customer: Command, person: pytest.MonkeyPatch
) -> None:
    write = erasure._write_record

    def other_first(*arguments: Any) -> Any:
        content = gzip.compress(b'{"event_id": "evt_other"}\n')
        stores.s3.put_object(Bucket=BUCKET, Key=stores.versions()[0]["Key"], Body=content)
        return write(*arguments)

    person.setattr("ops.customer.erasure._write_record", other_first)
    done = customer("erase", JENNY, *WHY, "--yes")
    assert done.code == 1
    assert "was changed or deleted meanwhile: repeat the command" in done.err
    assert "evt_other" in stores.everything()


def test_an_object_that_goes_meanwhile_is_reported(
    stores: Customers, customer: Command, person: pytest.MonkeyPatch
) -> None:
    write = erasure._write_record
    *_, gone = stores.versions()

    def gone_first(*arguments: Any) -> Any:
        stores.s3.delete_object(**place(gone))
        return write(*arguments)

    person.setattr("ops.customer.erasure._write_record", gone_first)
    done = customer("erase", JENNY, *WHY, "--yes")
    assert done.code == 1
    assert done.err == (
        "the erasure is not complete: repeat the same command, which continues it\n"
        f"error: {gone['Key']} was changed or deleted meanwhile: repeat the command\n"
    )
    person.setattr("ops.customer.erasure._write_record", write)
    erased(customer)
    assert values(PERSONAL, json.dumps(list(stores.lines().values()))) == []


def test_a_former_version_that_goes_meanwhile_is_what_is_wanted(
    stores: Customers, customer: Command, person: pytest.MonkeyPatch
) -> None:
    write = erasure._write_record
    [former, *_] = stores.versions()
    stores.s3.delete_object(Bucket=BUCKET, Key=former["Key"])

    def gone_first(*arguments: Any) -> Any:
        stores.s3.delete_object(**place(former))
        return write(*arguments)

    person.setattr("ops.customer.erasure._write_record", gone_first)
    assert erased(customer)["versions_deleted"] == 3


def test_an_object_that_is_archived_while_it_is_read_is_named(
    stores: Customers, customer: Command, person: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    read, seen = LedgerObjects.lines, set()

    def archived(objects: LedgerObjects, version: Version) -> list[bytes]:
        if version in seen:
            raise FrozenError
        seen.add(version)
        return read(objects, version)

    person.setattr(LedgerObjects, "lines", archived)
    file = tmp_path / "x.json"
    assert customer("export", JENNY, "--output", str(file)).code == 1
    assert len(json.loads(file.read_text())["ledger"]["unread"]) == 3


def test_a_message_that_others_take_meanwhile_is_reported(
    stores: Customers, customer: Command, person: pytest.MonkeyPatch
) -> None:
    stores.park(stores.envelopes["paid"])
    write = erasure._write_record

    def taken_first(*arguments: Any) -> Any:
        stores.world.sqs.receive_message(QueueUrl=stores.world.urls["payments-dlq"], VisibilityTimeout=600)
        return write(*arguments)

    person.setattr("ops.customer.erasure._write_record", taken_first)
    done = customer("erase", JENNY, *WHY, "--yes", "--parked", "purge")
    assert done.code == 1
    assert done.err == (
        "the erasure is not complete: repeat the same command, which continues it\n"
        "error: 1 message not deleted, because others hold them now\n"
    )


# Rights


# A right of `ops.rights`: the statement and the action.
Right = tuple[str, str]
# Without the first a message stays hidden for two minutes, and nothing fails; AWS asks for the second for a
# conditional write (Amazon S3, "Conditional writes"), and the embedded S3 does not.
UNNOTICED = {("LookIntoQueues", "sqs:ChangeMessageVisibility"), ("RewriteLedger", "s3:GetObject")}
# In the order in which an erasure uses them.
OF_CHANGES = [
    ("WriteErasure", "s3:PutObject"),
    ("DeleteMessages", "sqs:DeleteMessage"),
    ("RewriteLedger", "s3:PutObject"),
    ("EraseVersions", "s3:DeleteObjectVersion"),
    ("EraseHashes", "dynamodb:UpdateItem"),
]


def rights(command: str) -> list[Right]:
    statements = of_commands(PLACE)[f"customer {command}"]
    return [(statement.sid, action) for statement in statements for action in statement.actions]


def test_the_rights_are_enough_and_each_is_needed(
    stores: Customers, customer: Command, person: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stores.park(stores.envelopes["paid"])
    person.delenv("DATABASE_URL")
    stores.deployed(stores.database_url)
    number = itertools.count(1)
    known = {each.sid: each for each in of_commands(PLACE)["customer erase --parked"]}

    def run_with(some: Collection[Right], *arguments: str) -> Done:
        statements = [
            replace(known[sid], actions=[action for of, action in some if of == sid]) for sid in dict(some)
        ]
        name = f"customers-{next(number)}"
        operated = roles.session(stores.aws, roles.operator(stores.aws, name, statements))
        for variable, value in operated.credentials.environment().items():
            person.setenv(variable, value)
        return customer(*arguments)

    def refusals(enough: list[Right], *arguments: str) -> dict[Right, str]:
        """What is said without each right."""
        found = {}
        for right in sorted(set(enough) - UNNOTICED):
            done = run_with([each for each in enough if each != right], *arguments)
            if done.code:
                found[right] = done.err
        return found

    reading, erasing = rights("export"), rights("erase --parked")
    assert len(reading) >= 10
    assert set(OF_CHANGES) <= set(erasing)
    output = ("--output", str(tmp_path / "x.json"), "--force")
    asked = ("erase", JENNY, *WHY, "--parked", "purge")
    assert run_with(reading, "export", JENNY, *output).code == 0
    assert refusals(reading, "export", JENNY, *output).keys() == set(reading) - UNNOTICED
    checking = [each for each in erasing if each not in OF_CHANGES]
    assert run_with(checking, *asked, "--dry-run").code == 0
    said = refusals(checking, *asked, "--dry-run")
    assert said.keys() == set(checking) - UNNOTICED
    said |= refusals_in_order(erasing, lambda some: run_with(some, *asked, "--yes"))
    assert run_with(erasing, *asked, "--yes").code == 0
    assert values(PERSONAL, stores.everything()) == []
    for (_, action), text in said.items():
        last = text.splitlines()[-1]
        assert last.startswith("error: AWS denied "), text
        assert f": `huntaze-stripe customer erase` needs {action} on arn:aws:" in last, text


def refusals_in_order(erasing: list[Right], erase: Callable[[list[Right]], Done]) -> dict[Right, str]:
    """What an erasure says without each right to change something; each run continues the one before."""
    found = {}
    for right in OF_CHANGES:
        done = erase([each for each in erasing if each != right])
        assert done.code == 1, right
        found[right] = done.err
    return found


# Refusals


def lock(stores: Customers, mode: str, until: datetime) -> str:
    version = stores.versions()[0]
    retention = {"Mode": mode, "RetainUntilDate": until}
    stores.s3.put_object_retention(**place(version), Retention=retention)
    return str(version["Key"])


def test_a_lock_is_refused_with_its_date_before_any_change(stores: Customers, customer: Command) -> None:
    until = datetime(2041, 5, 6, 7, 8, 9, tzinfo=UTC)
    key = lock(stores, "GOVERNANCE", until)
    before = stores.everything()
    for more in ("--yes", "--dry-run"):
        done = customer("erase", JENNY, *WHY, more)
        assert done.code == 1
        assert done.err == (
            f"error: nothing was changed: {key} is locked until 2041-05-06 07:08:09 UTC (GOVERNANCE): "
            "repeat the command after that\n"
        )
    assert stores.everything() == before


def test_a_lock_of_compliance_that_has_ended_forbids_nothing(stores: Customers, customer: Command) -> None:
    # Nobody can shorten it, so it ends soon; the first command is through by then on a busy machine, too.
    lock(stores, "COMPLIANCE", datetime.now(UTC) + timedelta(seconds=10))
    assert customer("erase", JENNY, *WHY, "--yes").code == 1
    deadline = datetime.now(UTC) + timedelta(seconds=30)
    while customer("erase", JENNY, *WHY, "--yes").code:
        assert datetime.now(UTC) < deadline
    assert values(PERSONAL, stores.everything()) == []


def test_a_legal_hold_is_refused(stores: Customers, customer: Command) -> None:
    version = stores.versions()[0]
    stores.hold(version, "ON")
    before = stores.everything()
    done = customer("erase", JENNY, *WHY, "--yes")
    assert done.code == 1
    assert f"{version['Key']} is under a legal hold: have it removed, then repeat the command" in done.err
    assert stores.everything() == before


def test_each_reason_of_a_refusal_has_a_line(stores: Customers, customer: Command) -> None:
    held = [each for each in stores.versions() if PERSONAL[1] in stores.content(each)][:2]
    for version in held:
        stores.hold(version, "ON")
    paid = stores.park(stores.envelopes["paid"])
    done = customer("erase", JENNY, *WHY, "--yes")
    hold, parked, error = done.err.splitlines()
    assert (done.code, error) == (1, "error: nothing was changed, for the 2 reasons above")
    assert hold.startswith("audit/")
    assert hold.endswith(
        "is under a legal hold, and 1 other version: have it removed, then repeat the command"
    )
    assert parked.startswith("1 message of the customer in payments-dlq")
    assert paid in parked


def test_a_lock_of_somebody_else_forbids_nothing(stores: Customers, customer: Command) -> None:
    [version] = [
        each
        for each in stores.versions()
        if stores.content(each).count("\n") == 1 and MARK in stores.content(each)
    ]
    stores.hold(version, "ON")
    erased(customer)


def test_parked_messages_are_refused_unless_they_are_purged(stores: Customers, customer: Command) -> None:
    paid = stores.park(stores.envelopes["paid"])
    other = stores.world.parked()
    before = stores.everything()
    done = customer("erase", JENNY, *WHY, "--yes")
    assert done.code == 1
    assert done.err == (
        "error: nothing was changed: 1 message of the customer in payments-dlq: see `huntaze-stripe dlq show "
        f"--env dev --event-id {paid}`, then redrive, or add --parked purge to delete\n"
    )
    assert stores.everything() == before
    assert stores.world.counts() == (2, 0)
    assert erased(customer, "--parked", "purge")["messages"] == 1
    [left] = stores.world.taken("payments-dlq")
    assert other in left["Body"]


def test_a_message_whose_event_the_ledger_lacks_is_never_purged(stores: Customers, customer: Command) -> None:
    late = customers.of_jenny()["updated"]
    stores.world.put("audit-dlq.fifo", json.dumps(late), "billing")
    done = customer("erase", JENNY, *WHY, "--yes", "--parked", "purge")
    assert done.code == 1
    assert (
        "1 message of the customer in audit-dlq.fifo, whose event the ledger does not hold: run "
        "`huntaze-stripe dlq redrive --env dev --queue audit-dlq.fifo`"
    ) in done.err
    assert stores.world.counts("audit-dlq.fifo") == (1, 0)


def test_messages_that_others_hold_are_refused(stores: Customers, customer: Command, tmp_path: Path) -> None:
    stores.world.parked()
    stores.world.sqs.receive_message(QueueUrl=stores.world.urls["payments-dlq"], VisibilityTimeout=600)
    done = customer("erase", JENNY, *WHY, "--yes")
    assert done.code == 1
    assert "1 message of dead-letter queues not seen, which may be the customer's" in done.err
    # An export is written, and says what it lacks.
    file = tmp_path / "x.json"
    done = customer("export", JENNY, "--output", str(file))
    assert (done.code, json.loads(file.read_text())["dead_letter_queues"]["unseen"]) == (1, 1)


def test_an_object_in_glacier_must_be_restored_or_left_out(
    stores: Customers, customer: Command, tmp_path: Path
) -> None:
    key = stores.audit(customers.of_mark(), age=90 * 86_400)
    content = stores.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    [version] = [each for each in stores.versions() if each["Key"] == key]
    stores.s3.put_object(Bucket=BUCKET, Key=key, Body=content, StorageClass="GLACIER")
    stores.s3.delete_object(Bucket=BUCKET, Key=key, VersionId=version["VersionId"])
    done = customer("erase", JENNY, *WHY, "--yes")
    assert done.code == 1
    assert f"1 object of the ledger in an archive storage class, {key} first: restore" in done.err
    file = tmp_path / "x.json"
    assert customer("export", JENNY, "--output", str(file)).code == 1
    assert json.loads(file.read_text())["ledger"]["unread"] == [key]
    assert erased(customer, "--since", "30d")["versions_deleted"] == 3


def test_a_damaged_object_is_refused(stores: Customers, customer: Command) -> None:
    stores.s3.put_object(Bucket=BUCKET, Key="audit/dt=2026-04-01/damaged", Body=b"not gzip")
    done = customer("erase", JENNY, *WHY, "--yes")
    assert done.code == 1
    assert "1 damaged object of the ledger, audit/dt=2026-04-01/damaged first" in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("erase", JENNY, "--reason", " ", "--yes"), "invalid --reason '': write why the customer is erased"),
        (("erase", "cus 1", *WHY, "--yes"), "invalid customer 'cus 1': expected the id of a Stripe customer"),
        (("erase", JENNY, *WHY, "--yes", "--parked", "keep"), "invalid --parked 'keep': expected purge"),
        (("erase", JENNY, *WHY, "--yes", "--since", "soon"), "invalid --since 'soon'"),
        (("erase", JENNY, *WHY), "not a terminal: pass --yes to skip the confirmation"),
        (("export", "x@example.com"), "invalid customer 'x@example.com'"),
        (("export", JENNY, "--output", "missing/x.json"), "its folder does not exist; create missing first"),
    ],
)
def test_a_mistake_is_one_line(
    person: pytest.MonkeyPatch, capsys: Any, arguments: tuple[str, ...], said: str
) -> None:
    done = run(["customer", *arguments], person, capsys)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert said in done.err


@pytest.mark.parametrize(("typed", "code"), [(JENNY, 0), ("yes", 1), ("", 1)])
def test_only_the_customers_id_confirms(
    stores: Customers, customer: Command, person: pytest.MonkeyPatch, typed: str, code: int
) -> None:
    person.setattr("ops.console.require_terminal", lambda **_: None)
    person.setattr("ops.commands.customer.require_terminal", lambda **_: None)
    asked = []

    def answer(question: str, **_: Any) -> str:
        asked.append(question)
        return typed

    person.setattr("ops.console.typer.prompt", answer)
    done = customer("erase", JENNY, *WHY)
    assert done.code == code
    assert asked == ["Erase 4 events for ever? Type the customer's id"]
    assert (values(PERSONAL, stores.everything()) == []) == (code == 0)
