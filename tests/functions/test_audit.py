"""The audit function and its ledger, against S3 and a real PostgreSQL."""

from __future__ import annotations

import dataclasses
import itertools
import json
import secrets
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from functions.ledger.postgres import LedgerTable, migrate, migrations
from functions.reconciliation.heal import HealTargets
from functions.reconciliation.heal import envelope as healed
from functions.shared.errors import ConfigurationError, TransientError
from ops.local.clients import Aws
from ops.local.loopback import free_port
from ops.local.postgres import running_postgres
from ops.local.services import REGION
from tests.functions.audit import (
    SENT,
    AuditDeadLetterQueue,
    attributes,
    batch_of,
    event_id,
    failed,
    invoice_paid,
    lines_for,
    records_of,
    rows,
    stored_ids,
)
from tests.functions.conftest import BUCKET, MAXIMUM_MESSAGE_BYTES, Start, fresh
from tests.functions.function import FunctionError, metrics
from tests.functions.runtime import PATIENCE
from tests.unit import snapshots as stripe

DAY = "2026-04-01"


def test_batch_is_one_object_of_lines_and_a_row_per_event(aws: Aws, start: Start, database_url: str) -> None:
    paid = invoice_paid()
    unrouted = fresh("payout.paid", {"id": "po_1", "object": "payout"}, api_version=stripe.ACACIA)
    created = fresh("customer.created", stripe.customer())
    audit = start("audit", DATABASE_URL=database_url)
    batch = batch_of(paid, unrouted, created)
    assert audit.invoke(batch) == {"batchItemFailures": []}

    lines = [line for envelope in (paid, unrouted, created) for line in lines_for(aws, envelope)]
    assert len({line["key"] for line in lines}) == 1
    assert lines[0].pop("key").startswith(f"audit/dt={DAY}/")
    assert lines[0] == {
        "received_at": "2026-04-01T10:00:05.000+00:00",
        "message_id": batch["Records"][0]["messageId"],
        "event_id": event_id(paid),
        "event_type": "invoice.paid",
        "envelope": paid,
    }

    found = rows(database_url)
    assert set(found) == {event_id(paid), event_id(unrouted), event_id(created)}
    assert found[event_id(paid)] == {
        "event_id": event_id(paid),
        "first_seen": datetime(2026, 4, 1, 10, 0, 5, tzinfo=UTC),
        "delivery_ids": [paid["id"]],
        "deliveries": 1,
        "type": "invoice.paid",
        "object_id": paid["detail"]["data"]["object"]["id"],
        "customer_id": "cus_1",
        "api_version": stripe.CURRENT,
        "payload": paid["detail"],
    }
    assert found[event_id(unrouted)]["customer_id"] is None
    assert found[event_id(created)]["customer_id"] == created["detail"]["data"]["object"]["id"]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_delivery_and_its_copy_by_reconcile_count_once_in_any_order(
    start: Start, database_url: str, order: tuple[int, ...]
) -> None:
    """The audit was late, and reconcile sent the event meanwhile, perhaps twice."""
    original = invoice_paid()
    targets = HealTargets("aws.partner/stripe.com/ed_1", "aws", "111122223333", "eu-west-1", {}, "")
    copy = healed(original["detail"], targets)
    audit = start("audit", DATABASE_URL=database_url)
    for number in order:
        audit.invoke(batch_of((copy, original, copy)[number]))
    row = rows(database_url)[event_id(original)]
    assert (row["deliveries"], row["delivery_ids"]) == (1, [original["id"]])
    audit.invoke(batch_of(original | {"id": "second"}))
    assert rows(database_url)[event_id(original)]["delivery_ids"] == [original["id"], "second"]


def test_event_sent_only_by_reconcile_is_one_marked_delivery(
    aws: Aws, start: Start, database_url: str
) -> None:
    original = invoice_paid()
    targets = HealTargets("aws.partner/stripe.com/ed_1", "aws", "111122223333", "eu-west-1", {}, "")
    copy = healed(original["detail"], targets)
    audit = start("audit", DATABASE_URL=database_url)
    for _ in range(2):
        audit.invoke(batch_of(copy))
    row = rows(database_url)[event_id(original)]
    assert (row["deliveries"], row["delivery_ids"]) == (1, [f"reconcile-{event_id(original)}"])
    audit.invoke(batch_of(original))
    deliveries = {line["envelope"]["id"] for line in lines_for(aws, original)}
    assert {delivery for delivery in deliveries if not delivery.startswith("reconcile-")} == {original["id"]}


def test_delivery_that_eventbridge_sends_twice_is_one_by_its_envelope_id(
    aws: Aws, start: Start, database_url: str
) -> None:
    original = invoice_paid()
    audit = start("audit", DATABASE_URL=database_url)
    for _ in range(2):
        audit.invoke(batch_of(original))
    found = lines_for(aws, original)
    assert len({line["message_id"] for line in found}) == 2
    assert {line["envelope"]["id"] for line in found} == {original["id"]}
    assert rows(database_url)[event_id(original)]["deliveries"] == 1


def test_log_names_each_audited_event_by_its_id(start: Start) -> None:
    audit = start("audit")
    envelopes = [invoice_paid(), invoice_paid()]
    audit.invoke(batch_of(*envelopes))
    lines = audit.new_logs("event audited")
    assert [line["event_id"] for line in lines] == [event_id(envelope) for envelope in envelopes]
    assert all(line["correlation_id"] == line["event_id"] for line in lines)
    assert all(line["key"].startswith(f"audit/dt={DAY}/") for line in lines)


def test_ledger_without_a_database_is_in_s3_only(aws: Aws, start: Start) -> None:
    envelope = invoice_paid()
    assert start("audit").invoke(batch_of(envelope)) == {"batchItemFailures": []}
    assert len(lines_for(aws, envelope)) == 1


def test_batch_delivered_again_changes_nothing(aws: Aws, start: Start, database_url: str) -> None:
    envelope = invoice_paid()
    batch = batch_of(envelope)
    audit = start("audit", DATABASE_URL=database_url)
    audit.invoke(batch)
    before = rows(database_url)
    (object_before,) = lines_for(aws, envelope)
    audit.invoke(batch)
    start("audit", DATABASE_URL=database_url).invoke(batch)
    assert rows(database_url) == before
    assert lines_for(aws, envelope) == [object_before]


def test_same_lines_are_the_same_bytes(aws: Aws, start: Start) -> None:
    batch = batch_of(invoice_paid())
    audit = start("audit")
    audit.invoke(batch)
    key = audit.new_logs("event audited")[0]["key"]
    s3 = aws.client("s3")
    first = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    audit.invoke(batch)
    assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == first


def test_second_delivery_by_stripe_is_counted(start: Start, database_url: str) -> None:
    envelope = invoice_paid()
    audit = start("audit", DATABASE_URL=database_url)
    audit.invoke(batch_of(envelope | {"id": "delivery-2"}, sent=SENT + 60_000))
    audit.invoke(batch_of(envelope | {"id": "delivery-1"}, sent=SENT))
    audit.invoke(batch_of(envelope | {"id": "delivery-2"}, sent=SENT + 90_000))
    (row,) = rows(database_url).values()
    assert row["deliveries"] == 2
    assert row["delivery_ids"] == ["delivery-2", "delivery-1"]
    assert row["first_seen"] == datetime(2026, 4, 1, 10, 0, 5, tzinfo=UTC)


@pytest.fixture
def dead_letters(aws: Aws, audit_dead_letter_queue: str) -> AuditDeadLetterQueue:
    queue = AuditDeadLetterQueue(aws, audit_dead_letter_queue)
    queue.receive_all()
    return queue


def test_poison_message_is_parked_at_once_and_alone(
    aws: Aws, start: Start, database_url: str, dead_letters: AuditDeadLetterQueue
) -> None:
    before, after = invoice_paid(), invoice_paid()
    nameless = {"detail": {"id": "evt_1", "type": "payout.paid", "email": "ada@example.com"}}
    batch = batch_of(before, "not json", after, nameless, {"detail": "nothing"})
    audit = start("audit", DATABASE_URL=database_url)
    assert audit.invoke(batch) == {"batchItemFailures": []}
    assert set(rows(database_url)) == {event_id(before), event_id(after)}
    assert len(lines_for(aws, before)) == len(lines_for(aws, after)) == 1

    parked = dead_letters.receive_all()
    poison = [batch["Records"][place] for place in (1, 3, 4)]
    assert [message["Body"] for message in parked] == [message["body"] for message in poison]
    error = {"error": "InvalidEventError"}
    assert [attributes(message) for message in parked] == [
        error | {"reason": "body is not valid JSON"},
        error | {"reason": "id must be an id", "event_id": "evt_1", "event_type": "payout.paid"},
        error | {"reason": "detail must be an object"},
    ]
    for message, original in zip(parked, poison, strict=True):
        assert message["Attributes"]["MessageGroupId"] == original["messageId"]
        assert message["Attributes"]["MessageDeduplicationId"] == original["messageId"]

    lines = audit.new_lines()
    logged = [line for line in lines if line.get("message") == "event parked"]
    assert [line["message_id"] for line in logged] == [message["messageId"] for message in poison]
    assert [line["reason"] for line in logged] == [attributes(message)["reason"] for message in parked]
    assert [line.get("correlation_id") for line in logged] == [None, "evt_1", None]
    assert metrics(lines) == {
        "EventsParked": [
            {
                "value": [1.0],
                "unit": "Count",
                "namespace": "HuntazeStripe",
                "dimensions": {"service": "audit", "environment": "dev", "event_type": "unrouted"},
            }
        ]
        * 3,
        "MessagesParked": [
            {
                "value": [1.0],
                "unit": "Count",
                "namespace": "HuntazeStripe",
                "dimensions": {"service": "audit", "environment": "dev"},
            }
        ]
        * 3,
    }


def test_batch_of_only_poison_messages_writes_nothing(
    start: Start, database_url: str, dead_letters: AuditDeadLetterQueue
) -> None:
    audit = start("audit", DATABASE_URL=database_url)
    assert audit.invoke(batch_of("not json")) == {"batchItemFailures": []}
    assert len(dead_letters.receive_all()) == 1


def test_parked_message_holds_no_client_secret(start: Start, dead_letters: AuditDeadLetterQueue) -> None:
    secretive = {"detail": {"id": "evt_1", "client_secret": "pi_1_secret_PLANTED"}}
    assert start("audit").invoke(batch_of(secretive)) == {"batchItemFailures": []}
    (message,) = dead_letters.receive_all()
    assert json.loads(message["Body"]) == {"detail": {"id": "evt_1", "client_secret": None}}


def test_poison_message_delivered_again_is_parked_once(
    start: Start, dead_letters: AuditDeadLetterQueue
) -> None:
    audit, batch = start("audit"), batch_of("not json")
    for _ in range(2):
        assert audit.invoke(batch) == {"batchItemFailures": []}
    assert len(dead_letters.receive_all()) == 1


def test_poison_message_that_cannot_be_parked_is_left_to_sqs(
    aws: Aws, start: Start, audit_dead_letter_queue: str, dead_letters: AuditDeadLetterQueue
) -> None:
    gone = audit_dead_letter_queue.replace("huntaze", "no-such")
    audit, good = start("audit", DEAD_LETTER_QUEUE_URL=gone), invoice_paid()
    batch = batch_of("not json", good, "{}")
    assert failed(audit.invoke(batch)) == [batch["Records"][0]["messageId"], batch["Records"][2]["messageId"]]
    assert len(lines_for(aws, good)) == 1
    assert len(audit.new_logs("message not parked")) == 2
    assert dead_letters.receive_all() == []


def test_unreachable_dead_letter_queue_is_called_once_per_batch(aws: Aws, start: Start) -> None:
    closed = f"http://127.0.0.1:{free_port()}/000000000000/audit-dlq.fifo"
    audit, good = start("audit", AWS_ENDPOINT_URL_SQS=closed, DEAD_LETTER_QUEUE_URL=closed), invoice_paid()
    batch = batch_of("not json", good, *["{}"] * 8)
    before = time.monotonic()
    assert len(failed(audit.invoke(batch))) == 9
    assert time.monotonic() - before < 10
    assert len(lines_for(aws, good)) == 1
    (line,) = audit.new_logs("message not parked")
    assert line["reason"] == "the dead-letter queue could not be reached (EndpointConnectionError)"


def test_message_that_the_dead_letter_queue_refuses_is_left_to_sqs(
    start: Start, dead_letters: AuditDeadLetterQueue
) -> None:
    # Larger than a message may be, even packed. Unlike AWS, the embedded SQS does not count attributes.
    batch = batch_of(secrets.token_hex(2 * int(MAXIMUM_MESSAGE_BYTES)), "not json")
    assert failed(start("audit").invoke(batch)) == [batch["Records"][0]["messageId"]]
    assert len(dead_letters.receive_all()) == 1


@pytest.mark.parametrize(
    "detail",
    [
        {"data": {"object": stripe.customer(name="a NUL \u0000")}},
        {"data": {"object": stripe.customer(name="half a pair \ud800")}},
        {"type": "half.a.pair\ud800"},
        {"type": "a.nul\u0000"},
        {"api_version": "half a pair \ud800"},
        {"api_version": "a NUL \u0000"},
    ],
    ids=ascii,
)
def test_event_that_postgresql_cannot_store_is_parked_alone_and_is_in_s3(
    aws: Aws, start: Start, database_url: str, dead_letters: AuditDeadLetterQueue, detail: dict[str, Any]
) -> None:
    good, bad = invoice_paid(), invoice_paid(**detail)
    batch = batch_of(bad, good)
    audit = start("audit", DATABASE_URL=database_url)
    assert audit.invoke(batch) == {"batchItemFailures": []}
    assert set(rows(database_url)) == {event_id(good)}
    assert len(lines_for(aws, bad)) == 1
    (message,) = dead_letters.receive_all()
    assert json.loads(message["Body"]) == bad
    about = attributes(message)
    assert about["event_id"] == event_id(bad)
    assert about.get("event_type") == (None if "type" in detail else "invoice.paid")
    assert about["reason"].startswith("detail can't be stored in PostgreSQL; it is in audit/dt=")
    lines = audit.new_lines()
    assert [line["event_id"] for line in lines if line.get("message") == "event audited"] == [event_id(good)]
    (line,) = [line for line in lines if line.get("message") == "event parked"]
    assert (line["correlation_id"], line["reason"]) == (event_id(bad), about["reason"])
    assert "Logging error" not in audit.output()
    assert "Traceback" not in audit.output()


def test_invalid_type_is_stored_and_not_logged(aws: Aws, start: Start, database_url: str) -> None:
    odd = invoice_paid(type="ada@example.com")
    audit = start("audit", DATABASE_URL=database_url)
    assert audit.invoke(batch_of(odd)) == {"batchItemFailures": []}
    assert rows(database_url)[event_id(odd)]["type"] == "ada@example.com"
    assert len(lines_for(aws, odd)) == 1
    assert "ada@example.com" not in audit.output()


def test_deeply_nested_event_does_not_fail_its_batch(
    aws: Aws, start: Start, database_url: str, dead_letters: AuditDeadLetterQueue
) -> None:
    # In a bucket of its own: other tests read theirs whole, and may fail at such a depth.
    aws.client("s3").create_bucket(
        Bucket="huntaze-ledger-deep", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    # On a busy machine a slow server would fail the batch like an outage.
    patient = {"LEDGER_BUCKET": "huntaze-ledger-deep", PATIENCE: "60"}
    audit = start("audit", DATABASE_URL=database_url, **patient)
    depths = range(880, 1000, 7)
    for depth in depths:
        good, deep = invoice_paid(), invoice_paid(nested=None)
        body = json.dumps(deep).replace('"nested": null', f'"nested": {"[" * depth}{"]" * depth}')
        assert audit.invoke(batch_of(body, good)) == {"batchItemFailures": []}
        assert event_id(good) in stored_ids(database_url)
    parked = dead_letters.receive_all()
    assert len(stored_ids(database_url)) + len(parked) == 2 * len(depths)
    assert 0 < len(parked) < len(depths)


def test_row_beyond_a_limit_of_the_server_fails_alone(database_url: str) -> None:
    good, other = records_of(invoice_paid(), invoice_paid())
    # Longer than an index entry may be. No message is, but a server limit must not fail a whole batch.
    huge = dataclasses.replace(other, event_type=secrets.token_hex(8000))
    ledger = LedgerTable(database_url)
    assert ledger.insert([huge, good]) == [huge]
    assert set(rows(database_url)) == {good.event_id}
    ledger.close()


def test_batch_takes_three_round_trips_to_postgresql(database_url: str, tmp_path: Path) -> None:
    ledger = LedgerTable(database_url)
    ledger.insert(records_of(invoice_paid()))
    assert ledger._connection is not None
    with (tmp_path / "messages").open("w+") as file:
        ledger._connection.pgconn.trace(file.fileno())
        assert ledger.insert(records_of(*(invoice_paid() for _ in range(10)))) == []
        ledger._connection.pgconn.untrace()
        file.seek(0)
        # libpq, PQtrace: time, F for what the client sends or B for the answer, message.
        senders = [columns[1] for columns in (line.split("\t") for line in file) if len(columns) > 3]
    answered = [
        sender for sender, following in itertools.pairwise(senders) if (sender, following) == ("F", "B")
    ]
    assert len(answered) == 3, "BEGIN, everything else, COMMIT"
    assert len(rows(database_url)) == 11
    ledger.close()


def test_missing_bucket_fails_the_whole_batch(start: Start) -> None:
    audit = start("audit", LEDGER_BUCKET="no-such-bucket")
    with pytest.raises(FunctionError) as caught:
        audit.invoke(batch_of(invoice_paid()))
    assert caught.value.kind == "ConfigurationError"
    assert "NoSuchBucket" in caught.value.message
    (line,) = audit.new_logs("batch failed")
    assert line["error"] == "ConfigurationError"


def test_batch_is_stored_once_the_database_is_back(aws: Aws, start: Start, tmp_path: Path) -> None:
    port = free_port()
    envelope = invoice_paid()
    batch = batch_of(envelope)
    with running_postgres(tmp_path / "server", port) as url:
        audit = start("audit", DATABASE_URL=url)
        assert audit.invoke(batch_of(invoice_paid())) == {"batchItemFailures": []}
    with pytest.raises(FunctionError) as caught:
        audit.invoke(batch)
    assert caught.value.kind == "TransientError"
    assert caught.value.message.startswith("PostgreSQL failed (")
    assert len(lines_for(aws, envelope)) == 1, "S3 has it already"
    with running_postgres(tmp_path / "server", port) as url:
        assert audit.invoke(batch) == {"batchItemFailures": []}
        assert rows(url)[event_id(envelope)]["deliveries"] == 1


def test_rotated_database_url_is_read_without_a_cold_start(aws: Aws, start: Start, database_url: str) -> None:
    secrets = aws.client("secretsmanager")
    user, _, address = database_url.rpartition("@")
    wrong = f"{user.rpartition(':')[0]}:outdated@{address}"
    secrets.create_secret(Name="rotated-database", SecretString=json.dumps({"DATABASE_URL": wrong}))
    audit, envelope = start("audit", SECRET_IDS="rotated-database"), invoice_paid()
    with pytest.raises(FunctionError) as caught:
        audit.invoke(batch_of(envelope))
    assert caught.value.kind == "TransientError"
    assert caught.value.message.endswith("if this persists, check DATABASE_URL")
    rotated = json.dumps({"DATABASE_URL": database_url})
    secrets.put_secret_value(SecretId="rotated-database", SecretString=rotated)
    assert audit.invoke(batch_of(envelope)) == {"batchItemFailures": []}
    assert set(rows(database_url)) == {event_id(envelope)}


def test_connection_closed_by_the_server_is_replaced(database_url: str) -> None:
    ledger = LedgerTable(database_url)
    ledger.insert(records_of(invoice_paid()))
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert ledger.insert(records_of(invoice_paid())) == []
    assert len(rows(database_url)) == 2
    ledger.close()


def test_dropped_table_is_created_again(database_url: str) -> None:
    ledger = LedgerTable(database_url)
    ledger.insert(records_of(invoice_paid()))
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DROP TABLE stripe_event_ledger")
    assert ledger.insert(records_of(invoice_paid())) == []
    assert len(rows(database_url)) == 1
    ledger.close()


def test_functions_that_start_together_create_the_table_once(database_url: str) -> None:
    barrier = threading.Barrier(6)
    errors: list[Exception] = []

    def start_cold() -> None:
        try:
            with psycopg.connect(database_url, autocommit=True) as connection:
                barrier.wait(10)
                migrate(connection)
        except (psycopg.Error, threading.BrokenBarrierError) as error:
            errors.append(error)

    threads = [threading.Thread(target=start_cold) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    assert rows(database_url) == {}


def test_batches_of_the_same_events_in_another_order_do_not_block_each_other(database_url: str) -> None:
    envelopes = [invoice_paid() for _ in range(20)]
    errors: list[Exception] = []

    def insert(order: list[dict[str, Any]], number: int) -> None:
        ledger = LedgerTable(database_url)
        try:
            ledger.insert(records_of(*(envelope | {"id": f"delivery-{number}"} for envelope in order)))
        except TransientError as error:
            errors.append(error)
        finally:
            ledger.close()

    threads = [
        threading.Thread(target=insert, args=(envelopes[:: 1 if number % 2 else -1], number))
        for number in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    assert {row["deliveries"] for row in rows(database_url).values()} == {6}


def test_role_without_create_rights_works_with_an_existing_table(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        migrate(connection)
        connection.execute("REVOKE CREATE ON SCHEMA public FROM public")
        connection.execute("CREATE ROLE ledger_writer LOGIN PASSWORD 'writer'")
        connection.execute("GRANT SELECT, INSERT, UPDATE ON stripe_event_ledger TO ledger_writer")
    address = database_url.rpartition("@")[2]
    ledger = LedgerTable(f"postgresql://ledger_writer:writer@{address}")
    assert ledger.insert(records_of(invoice_paid())) == []
    ledger.close()
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("REVOKE INSERT ON stripe_event_ledger FROM ledger_writer")
    with pytest.raises(ConfigurationError, match=r"InsufficientPrivilege.*check DATABASE_URL"):
        LedgerTable(f"postgresql://ledger_writer:writer@{address}").insert(records_of(invoice_paid()))
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DROP OWNED BY ledger_writer")
        connection.execute("DROP ROLE ledger_writer")


def test_lock_on_the_table_is_a_transient_failure(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("functions.ledger.postgres.STATEMENT_MILLISECONDS", 200)
    ledger = LedgerTable(database_url)
    ledger.insert(records_of(invoice_paid()))
    started = time.monotonic()
    with psycopg.connect(database_url) as connection:
        connection.execute("LOCK TABLE stripe_event_ledger")
        with pytest.raises(TransientError, match="QueryCanceled"):
            ledger.insert(records_of(invoice_paid()))
    assert time.monotonic() - started < 10
    ledger.close()


def test_migration_is_safe_to_run_again(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        for _ in range(2):
            for migration in migrations():
                connection.execute(migration)
    assert rows(database_url) == {}
