"""`ledger query` and `ledger export` over the embedded S3: what they read, print, keep and refuse."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from functions.ledger.reader import LedgerReader
from ops.ledger_copy import folder
from ops.local.services import isolated_environment, running_emulator
from tests.ops import ledgers
from tests.ops.command import Done, run
from tests.ops.ledgers import ACCOUNT, NOW, LedgerBucket, delivery
from tests.unit import snapshots

Command = Callable[..., Done]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LedgerBucket]:
    with running_emulator(tmp_path_factory.mktemp("ledger-aws")) as url:
        yield ledgers.make(url)


@pytest.fixture
def bucket(made: LedgerBucket) -> Iterator[LedgerBucket]:
    yield made
    made.clear()


@pytest.fixture
def ledger(
    bucket: LedgerBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run a ledger command with a copy of its own."""
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    variables = isolated_environment(tmp_path) | {"AWS_ENDPOINT_URL": bucket.aws.url}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(folder, "FOLDER", tmp_path / "build" / "ledger")
    return lambda *arguments: run(["ledger", *arguments], monkeypatch, capsys)


@pytest.fixture
def copy(tmp_path: Path) -> folder.LedgerCopy:
    return folder.LedgerCopy(tmp_path / "build" / "ledger" / "dev", ACCOUNT)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys that are read from now on."""
    read: list[str] = []
    present = LedgerReader.present

    def noted(reader: LedgerReader, key: str) -> tuple[list[bytes], bool] | None:
        read.append(key)
        return present(reader, key)

    monkeypatch.setattr(LedgerReader, "present", noted)
    return read


def rows(done: Done) -> list[dict[str, Any]]:
    assert done.code == 0, done.err
    found: list[dict[str, Any]] = json.loads(done.out)
    return found


# Query


def test_deliveries_have_their_columns(bucket: LedgerBucket, ledger: Command) -> None:
    sent = delivery("invoice.paid", age=120, object=snapshots.invoice("2025-03-31.basil", id="in_lq"))
    bucket.store(sent)
    replayed = sent | {"id": "20000000-0000-4000-8000-000000000001", "replay-name": "replay-dev-1"}
    bucket.store(replayed)
    [first, second] = rows(ledger("query", "SELECT * FROM deliveries ORDER BY replayed", "--json"))
    detail = sent["detail"]
    reached = (NOW - timedelta(seconds=120)).strftime("%Y-%m-%dT%H:%M:%S")
    received = (NOW - timedelta(seconds=119)).strftime("%Y-%m-%dT%H:%M:%S")
    assert first | {"envelope": json.loads(first["envelope"])} == {
        "received_at": received,
        "time": reached,
        "event_id": detail["id"],
        "event_type": "invoice.paid",
        "object_id": "in_lq",
        "customer_id": detail["data"]["object"]["customer"],
        "api_version": detail["api_version"],
        "livemode": detail["livemode"],
        "account": None,
        "delivery_id": sent["id"],
        "replayed": False,
        "envelope": sent,
    }
    assert (second["delivery_id"], second["replayed"]) == (replayed["id"], True)


def test_events_join_thin_twins_and_count_deliveries(bucket: LedgerBucket, ledger: Command) -> None:
    sent = delivery("payment_intent.succeeded")
    thin = snapshots.thin(sent) | {"id": "20000000-0000-4000-8000-000000000002", "time": sent["time"]}
    bucket.store(thin)
    bucket.store(sent, sent | {"id": "20000000-0000-4000-8000-000000000003"})
    other = snapshots.thin(delivery("payment_intent.canceled"))
    bucket.store(other | {"time": sent["time"]})
    columns = "event_id, event_type, thin_event_id, deliveries, envelope->>'$.id' AS id"
    query = f"SELECT {columns} FROM events ORDER BY deliveries"
    assert rows(ledger("query", query, "--json")) == [
        {
            "event_id": other["detail"]["snapshot_event"],
            "event_type": "payment_intent.canceled",
            "thin_event_id": other["detail"]["id"],
            "deliveries": 1,
            "id": other["id"],
        },
        {
            "event_id": sent["detail"]["id"],
            "event_type": "payment_intent.succeeded",
            "thin_event_id": thin["detail"]["id"],
            "deliveries": 3,
            "id": sent["id"],
        },
    ]


def test_only_the_window_is_fetched_and_seen(bucket: LedgerBucket, ledger: Command, reads: list[str]) -> None:
    hour = 3600
    bucket.store(delivery("invoice.paid", age=50 * hour))
    kept = bucket.store(delivery("invoice.paid", age=hour))
    query = "SELECT count(*) AS count FROM deliveries"
    assert rows(ledger("query", query, "--json")) == [{"count": 1}]
    assert reads == [kept]
    assert rows(ledger("query", query, "--since", "3d", "--json")) == [{"count": 2}]
    assert rows(ledger("query", query, "--since", "3d", "--until", "2h", "--json")) == [{"count": 1}]
    # What an earlier command has fetched is not seen outside the window.
    assert rows(ledger("query", query, "--since", "2h", "--json")) == [{"count": 1}]
    assert len(reads) == 2


def test_an_object_is_fetched_once_and_again_when_it_was_rewritten(
    bucket: LedgerBucket, ledger: Command, reads: list[str], copy: folder.LedgerCopy
) -> None:
    secret = "jenny.rosen@example.com"
    sent = delivery("customer.updated", object=snapshots.customer(email=secret, id="cus_lq"))
    key = bucket.store(sent)
    query = "SELECT envelope->>'$.detail.data.object.email' AS email FROM deliveries"
    assert rows(ledger("query", query, "--json")) == [{"email": secret}]
    assert rows(ledger("query", query, "--json")) == [{"email": secret}]
    assert reads == [key]
    sent["detail"]["data"]["object"]["email"] = None
    bucket.put(key, [ledgers.record(sent).line.encode()])
    assert rows(ledger("query", query, "--json")) == [{"email": None}]
    assert reads == [key, key]
    # Nothing of it is left on the disk.
    left = b"".join(each.read_bytes() for each in copy.folder.iterdir())
    assert secret.encode() not in left


def test_what_the_bucket_no_longer_holds_goes_from_the_copy(bucket: LedgerBucket, ledger: Command) -> None:
    keys = [bucket.store(delivery("invoice.paid", age=age)) for age in (300, 200, 100)]
    query = "SELECT count(*) AS count FROM deliveries"
    assert rows(ledger("query", query, "--json")) == [{"count": 3}]
    for key in (keys[0], keys[2]):
        bucket.delete(key)
    assert rows(ledger("query", query, "--json")) == [{"count": 1}]
    bucket.delete(keys[1])
    assert rows(ledger("query", query, "--json")) == [{"count": 0}]


def test_a_delivery_in_two_objects_counts_once_before_while_and_after_a_compaction(
    bucket: LedgerBucket, ledger: Command
) -> None:
    sent = [delivery("invoice.paid", age=age) for age in (300, 200)]
    small = [bucket.store(each) for each in sent]
    query = "SELECT delivery_id FROM deliveries ORDER BY time"
    expected = [{"delivery_id": each["id"]} for each in sent]
    assert rows(ledger("query", query, "--json")) == expected
    bucket.store(*sent)
    assert rows(ledger("query", query, "--json")) == expected
    bucket.delete(small[0])
    assert rows(ledger("query", query, "--json")) == expected
    bucket.delete(small[1])
    assert rows(ledger("query", query, "--json")) == expected


def test_damaged_lines_and_objects_are_named_and_the_rest_is_read(
    bucket: LedgerBucket, ledger: Command
) -> None:
    good = ledgers.record(delivery("invoice.paid")).line.encode()
    key = bucket.store(delivery("invoice.paid", age=90))
    bucket.put(key, [good, b"{", b'{"event_id": "evt_1"}'])
    damaged = bucket.put_damaged()
    for _ in range(2):
        done = ledger("query", "SELECT count(*) AS count FROM deliveries", "--json")
        assert rows(done) == [{"count": 1}]
        assert f"{key}: 2 lines can't be read\n{damaged} can't be read\n" in done.err
    bucket.delete(damaged)
    assert damaged not in ledger("query", "SELECT 1", "--json").err


def test_hostile_content_is_kept_and_printed_harmlessly(bucket: LedgerBucket, ledger: Command) -> None:
    half = delivery("invoice.paid", object=snapshots.payment_intent(description="\ud800", id="pi_x"))
    bucket.store(half)
    bucket.store(delivery("\x1b[31m<b>‮\udc00"))
    done = ledger("query", "SELECT event_type FROM deliveries ORDER BY 1")
    assert (done.code, "\x1b" in done.out, "<b>" in done.out) == (0, False, True)
    query = (
        "SELECT envelope->>'$.detail.data.object.description' AS d FROM deliveries WHERE object_id = 'pi_x'"
    )
    assert rows(ledger("query", query, "--json")) == [{"d": "?"}]


def test_large_events_that_compress_well_are_asked_within_the_limit_of_memory(
    bucket: LedgerBucket, ledger: Command
) -> None:
    """Forty megabytes in one object and thirty objects, which are stored as forty thousandths of that."""
    large = snapshots.payment_intent(id="pi_large", description="a" * 900_000)
    bucket.store(*[delivery("invoice.paid", object=large) for _ in range(10)])
    for _ in range(30):
        bucket.store(delivery("charge.failed", object=large))
    query = "SELECT event_type, count(*) AS count FROM events GROUP BY 1 ORDER BY 1"
    done = ledger("query", query, "--json")
    assert done.code == 0, done.err
    assert rows(done) == [
        {"event_type": "charge.failed", "count": 30},
        {"event_type": "invoice.paid", "count": 10},
    ]
    assert ledger("query", "SELECT sum(length(envelope)) FROM deliveries").code == 0


def test_a_table_is_bounded_and_csv_and_json_are_not(
    bucket: LedgerBucket, ledger: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.store(*(delivery("invoice.paid") for _ in range(5)))
    monkeypatch.setattr("ops.commands.ledger.SHOWN_ROWS", 3)
    query = "SELECT event_id, 1.5 AS number, NULL AS nothing FROM deliveries ORDER BY 1"
    done = ledger("query", query)
    assert done.out.count("evt_lq") == 3
    assert done.out.endswith("the first 3 rows: add LIMIT and OFFSET, or --json or --csv for all\n")
    lines = list(csv.reader(io.StringIO(ledger("query", query, "--csv").out)))
    assert (lines[0], len(lines), lines[1][1:]) == (["event_id", "number", "nothing"], 6, ["1.5", ""])
    assert len(rows(ledger("query", query, "--json"))) == 5


@pytest.mark.parametrize(
    "statement",
    [
        "COPY (SELECT 1) TO '{file}'",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{copy}'",
        "INSERT INTO lines SELECT * FROM lines",
        "DELETE FROM lines",
        "CREATE TABLE mine (a INTEGER)",
        "ATTACH '{file}' AS other",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "PRAGMA enable_profiling",
        "EXPORT DATABASE '{file}'",
        "SELECT 1; SELECT 2",
        "",
    ],
)
def test_other_statements_than_one_select_are_refused_before_anything_is_fetched(
    ledger: Command, reads: list[str], tmp_path: Path, copy: folder.LedgerCopy, statement: str
) -> None:
    done = ledger("query", statement.format(file=tmp_path / "made", copy=copy.file))
    assert (done.code, done.out, reads) == (2, "", [])
    assert "expected one statement that reads" in done.err
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "source",
    [
        "read_text('{file}')",
        "read_csv('{file}')",
        "'{file}'",
        "glob('{folder}/*')",
        "read_json('https://example.com/x.json')",
        "query('COPY (SELECT 1) TO ''{folder}/made''')",
        "enable_logging(storage = 'file')",
        "duckdb_secrets()",
        "variable_of_this_process",
    ],
)
def test_no_select_reaches_a_file_the_network_or_the_process(
    bucket: LedgerBucket, ledger: Command, tmp_path: Path, source: str
) -> None:
    bucket.store(delivery("invoice.paid"))
    file = tmp_path / "secret.txt"
    file.write_text("a,b\n1,hunter2\n")
    variable_of_this_process = [1]
    done = ledger("query", f"SELECT * FROM {source.format(file=file, folder=tmp_path)}")
    assert (done.code, "hunter2" in done.out) == (2, False)
    assert done.err.splitlines()[-1].startswith("error: DuckDB refused the SQL: ")
    assert not (tmp_path / "made").exists()
    assert variable_of_this_process == [1]


def test_now_is_utc_as_the_columns_are(
    bucket: LedgerBucket, ledger: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.store(delivery("invoice.paid", age=1200))
    bucket.store(delivery("invoice.paid", age=5400))
    query = "SELECT count(*) AS count FROM deliveries WHERE time > now() - INTERVAL 1 HOUR"
    for zone in ("America/New_York", "Asia/Tokyo"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        try:
            assert rows(ledger("query", query, "--json")) == [{"count": 1}]
        finally:
            monkeypatch.delenv("TZ")
            time.tzset()


def test_wrong_sql_is_one_line(bucket: LedgerBucket, ledger: Command) -> None:
    bucket.store(delivery("invoice.paid"))
    done = ledger("query", "SELECT nothing FROM deliveries")
    assert done.code == 2
    assert 'Referenced column "nothing" not found' in done.err.splitlines()[-1]
    done = ledger("query", "SELECT 1 AS a, 2 AS a", "--json")
    assert (done.code, "two columns are named 'a'" in done.err) == (2, True)


ENDLESS = "SELECT count(*) FROM range(100000000000) AS a WHERE a.range % 7 = 3"


def test_a_statement_ends_at_its_limit(ledger: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    done = ledger("query", ENDLESS, "--timeout", "1")
    assert done.code == 1
    assert "the query took longer than 1 seconds" in done.err


def test_ctrl_c_ends_a_statement(ledger: Command) -> None:
    timer = threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    done = ledger("query", ENDLESS)
    timer.join()
    assert (done.code, done.err.splitlines()[-1]) == (130, "interrupted")


def test_the_copy_is_private_and_its_removal_is_said(
    bucket: LedgerBucket, ledger: Command, copy: folder.LedgerCopy
) -> None:
    bucket.store(delivery("invoice.paid"))
    done = ledger("query", "SELECT 1")
    assert f"holds personal data: remove it with rm -r {folder.shown(copy.folder)}" in done.out
    assert stat.S_IMODE(copy.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(copy.file.stat().st_mode) == 0o600


def test_a_torn_copy_is_made_again(bucket: LedgerBucket, ledger: Command, copy: folder.LedgerCopy) -> None:
    bucket.store(delivery("invoice.paid"))
    query = "SELECT count(*) AS count FROM deliveries"
    ledger("query", query)
    copy.file.write_bytes(copy.file.read_bytes()[:1000])
    assert rows(ledger("query", query, "--json")) == [{"count": 1}]


KILLED = """
import os, signal, sys
from ops import cli
from ops.ledger_copy import refresh
store = refresh._store
def killed(*arguments):
    store(*arguments)
    if len(killed.done) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    killed.done.append(1)
killed.done = []
refresh._store = killed
refresh.BATCH_OBJECTS = 2
from pathlib import Path
from ops.ledger_copy import folder
folder.FOLDER = Path(sys.argv.pop(1))
cli.main()
"""


def test_a_killed_refresh_leaves_whole_batches_and_the_next_one_continues(
    bucket: LedgerBucket, ledger: Command, reads: list[str], copy: folder.LedgerCopy
) -> None:
    keys = [bucket.store(delivery("invoice.paid", age=600 - 10 * number)) for number in range(6)]
    query = "SELECT count(*) AS count FROM deliveries"
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(copy.folder.parent), "ledger", "query", query],
        check=False,
        capture_output=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert rows(ledger("query", query, "--json")) == [{"count": 6}]
    assert sorted(reads) == keys[2:]


STOPPED = """
import os, signal, sys
from pathlib import Path
from ops import cli
from ops.ledger_copy import folder, refresh
page = refresh._Refresh._page
def stopped(*arguments):
    page(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
refresh._Refresh._page = stopped
folder.FOLDER = Path(sys.argv.pop(1))
cli.main()
"""


def test_a_refresh_that_is_killed_after_its_last_object_leaves_nothing_erased_and_nothing_twice(
    bucket: LedgerBucket, ledger: Command, copy: folder.LedgerCopy
) -> None:
    secret = "jenny.rosen@example.com"
    sent = delivery("customer.updated", object=snapshots.customer(email=secret, id="cus_lq"))
    key = bucket.store(sent)
    query = "SELECT count(*) AS count FROM deliveries"
    assert rows(ledger("query", query, "--json")) == [{"count": 1}]
    sent["detail"]["data"]["object"]["email"] = None
    bucket.put(key, [ledgers.record(sent).line.encode()])
    # As a compaction that is under way: one delivery in two objects.
    bucket.store(sent, delivery("invoice.paid", age=30))
    killed = subprocess.run(
        [sys.executable, "-c", STOPPED, str(copy.folder.parent), "ledger", "query", query],
        check=False,
        capture_output=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert rows(ledger("query", query, "--json")) == [{"count": 2}]
    left = b"".join(each.read_bytes() for each in copy.folder.iterdir())
    assert secret.encode() not in left


def compacting(bucket: LedgerBucket, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Move what a refresh has listed to an object with another name before it is read, so many times."""
    present = LedgerReader.present
    moved: list[str] = []

    def read(reader: LedgerReader, key: str) -> tuple[list[bytes], bool] | None:
        if len(moved) < times:
            moved.append(key)
            body = bucket.s3.get_object(Bucket=ledgers.BUCKET, Key=key)["Body"].read()
            # Before the former one, so that only the next listing finds it.
            name = f"{key.rpartition('-')[0]}-{times - len(moved):032x}.jsonl.gz"
            bucket.s3.put_object(Bucket=ledgers.BUCKET, Key=name, Body=body)
            bucket.delete(key)
        return present(reader, key)

    monkeypatch.setattr(LedgerReader, "present", read)


def test_a_query_beside_a_compaction_sees_every_delivery_or_says_that_it_does_not(
    bucket: LedgerBucket, ledger: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.store(delivery("invoice.paid"))
    query = "SELECT count(*) AS count FROM deliveries"
    compacting(bucket, monkeypatch, 5)
    done = ledger("query", query, "--json")
    assert (done.code, done.out) == (1, "")
    assert "so the copy is not complete: a compaction is at work" in done.err
    compacting(bucket, monkeypatch, 4)
    assert rows(ledger("query", query, "--json")) == [{"count": 1}]


def test_a_query_waits_while_another_one_writes(
    bucket: LedgerBucket, ledger: Command, copy: folder.LedgerCopy, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.store(delivery("invoice.paid"))
    ledger("query", "SELECT 1")
    waiting = threading.Event()
    sleep = time.sleep

    def noted(seconds: float) -> None:
        waiting.set()
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", noted)
    entered = threading.Event()

    def hold() -> None:
        with copy.writing():
            entered.set()
            assert waiting.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    assert entered.wait(30)
    assert ledger("query", "SELECT 1", "--json").code == 0
    holder.join()
    monkeypatch.setattr(folder, "WAIT_SECONDS", 0)
    with copy.writing():
        done = ledger("query", "SELECT 1")
    assert (done.code, "another command has used" in done.err) == (1, True)


def test_times_and_options_are_checked(ledger: Command) -> None:
    assert "before it begins" in ledger("query", "SELECT 1", "--since", "1h", "--until", "2h").err
    assert "exclude each other" in ledger("query", "SELECT 1", "--json", "--csv").err
    assert (
        "invalid --format 'xml': expected jsonl" in ledger("export", "--since", "1h", "--format", "xml").err
    )


# Export


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_an_export_holds_the_deliveries_in_order_and_nothing_personal(
    bucket: LedgerBucket, ledger: Command, tmp_path: Path, form: str
) -> None:
    secret = "jenny.rosen@example.com"
    customer = delivery("customer.updated", age=100, object=snapshots.customer(email=secret, id="cus_lq"))
    paid = delivery("invoice.paid", age=200)
    bucket.store(customer)
    bucket.store(paid)
    file = tmp_path / f"x.{form}"
    done = ledger("export", "--since", "1h", "--format", form, "--output", str(file), "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out) | {"since": 0, "until": 0} == {
        **{"since": 0, "until": 0, "deliveries": 2, "revealed": False, "file": str(file)}
    }
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT event_id, livemode, envelope, time FROM '{file}'").fetchall()
    assert [each[0] for each in found] == [paid["detail"]["id"], customer["detail"]["id"]]
    assert [each[1] for each in found] == [False, False]
    assert secret not in str(found)
    done = ledger("export", "--since", "1h", "--format", form, "--output", str(file), "--reveal", "--force")
    assert (done.code, "which holds personal data" in done.out) == (0, True)
    with duckdb.connect() as connection:
        assert secret in str(connection.execute(f"SELECT envelope FROM '{file}'").fetchall())
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == [file.name]


def test_an_export_replaces_no_file_unless_forced(ledger: Command, tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text("mine")
    done = ledger("export", "--since", "1h", "--output", str(file))
    assert (done.code, file.read_text()) == (2, "mine")
    assert "add --force" in done.err
    assert ledger("export", "--since", "1h", "--output", str(file), "--force").code == 0
    assert file.read_text() == ""


@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_a_forced_export_replaces_nothing_but_a_file(ledger: Command, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "x.jsonl"
    {"pipe": os.mkfifo, "folder": os.mkdir, "link": lambda it: it.symlink_to(os.devnull)}[kind](file)
    before = file.lstat()
    done = ledger("export", "--since", "1h", "--output", str(file), "--force")
    assert (done.code, file.lstat()) == (2, before)
    assert f"error: invalid --output {file}: it exists; name a file, not a " in done.err


def test_an_interrupted_export_leaves_no_file(
    bucket: LedgerBucket, ledger: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.store(delivery("invoice.paid"))
    target = tmp_path / "out"
    target.mkdir()
    monkeypatch.setattr("ops.ledger_copy.export._masked", lambda _: os.kill(os.getpid(), signal.SIGINT))
    done = ledger("export", "--since", "1h", "--format", "csv", "--output", str(target / "x.csv"))
    assert done.code == 130
    assert list(target.iterdir()) == []
