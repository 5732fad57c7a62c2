"""The dlq commands with real queues and functions of an embedded AWS: nothing is lost, nobody is exposed."""

from __future__ import annotations

import io
import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from functions.dead_letters.message import DeadLetterMessage
from functions.dead_letters.queue import DeadLetterQueue
from functions.dead_letters.redrive import QUEUED, AuditQueueTarget, HandlerTarget, RedriveResult
from functions.shared.errors import TransientError
from ops import ROOT
from ops.dlq.held import holding
from ops.dlq.interrupts import interruption
from ops.dlq.queues import NamedQueue
from tests.ops.command import Done, run
from tests.ops.dead_letters import AUDIT, PERSONAL, REQUIRED, World, full, personal_in

DEADLINE_SECONDS = 60.0


class Terminal(io.StringIO):
    """A person's keyboard."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def dlq(person: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a dlq command in this process."""

    def command(*arguments: str) -> Done:
        return run(["dlq", *arguments], person, capsys)

    return command


def begin(variables: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    """Start a dlq command as a program of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "ops", "dlq", *arguments],
        cwd=ROOT,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(condition: Any) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def fill(world: World) -> dict[str, str]:
    """Put each shape of a dead-letter message, and garbage, into the queues; return event ids by shape."""
    made = {
        "transient": world.failed(),
        "bug": world.failed(queue="billing-dlq", error="KeyError"),
        "configuration": world.failed(queue="billing-dlq", error="ConfigurationError"),
        "parked": world.parked(),
        "throttled": world.undelivered(),
        "lane": world.undelivered("audit-other-dlq", event_type="payout.paid"),
        "audit": world.audited(),
    }
    for garbage in ("no json [red]", "{}", '"text"', "[" * 5000, '{"detail": null}'):
        world.put("billing-dlq", garbage)
    return made


def test_list_groups_by_queue_kind_reason_and_type_and_releases_everything(world: World, dlq: Any) -> None:
    fill(world)
    for _ in range(12):
        world.failed()
    done = dlq("list", "--json")
    document = json.loads(done.out)
    assert (done.code, document["environment"], document["letters"]) == (0, "dev", 24)
    groups = {
        (group["queue"], group["kind"], group["reason"], group["event_type"]): group["letters"]
        for group in document["groups"]
    }
    assert groups == {
        ("payments-dlq", "transient", "the API answered 503", "invoice.paid"): 13,
        (
            "payments-dlq",
            "permanent",
            "detail.id must match [A-Za-z0-9_-]{1,255}",
            "payment_intent.succeeded",
        ): 1,
        (
            "payments-dlq",
            "transient",
            "EventBridge could not deliver the event (THROTTLING: Rate exceeded)",
            "invoice.paid",
        ): 1,
        ("billing-dlq", "unknown", "the function ended with KeyError", "invoice.paid"): 1,
        ("billing-dlq", "configuration", "the API answered 503", "invoice.paid"): 1,
        ("billing-dlq", "unknown", "the message is not valid JSON", None): 2,
        ("billing-dlq", "unknown", "the message is not a failure record", None): 2,
        ("billing-dlq", "unknown", "the message does not say why it is here", None): 1,
        (
            "audit-other-dlq",
            "transient",
            "EventBridge could not deliver the event (THROTTLING: Rate exceeded)",
            "payout.paid",
        ): 1,
        ("audit-dlq.fifo", "transient", "the ledger did not store the event", "invoice.paid"): 1,
    }
    assert [queue["queue"] for queue in document["queues"]] == list(REQUIRED)
    assert {queue["unseen"] for queue in document["queues"]} == {0}
    assert world.counts() == (15, 0)
    assert world.counts("billing-dlq") == (7, 0)


def test_list_is_a_table_for_people(world: World, dlq: Any) -> None:
    fill(world)
    done = dlq("list")
    assert (done.code, done.err) == (0, "")
    assert "detail.id must match [A-Za-z0-9_-]{1,255}" in done.out
    assert "the ledger did not store the event" in done.out


def test_list_prints_a_line_for_each_message_with_the_code_of_the_apis_answer(world: World, dlq: Any) -> None:
    event_id = world.parked(answered='{"error": {"code": "event_rejected", "message": "unknown"}}')
    world.put("payments-dlq", "garbage")
    *_, parked, garbage = dlq("list", "--messages").out.splitlines()
    assert f"  payments-dlq  permanent  {event_id}  payment_intent.succeeded  " in parked
    assert parked.endswith("(422 event_rejected)")
    assert "payments-dlq  unknown  -  -  " in garbage
    document = json.loads(dlq("list", "--messages", "--json").out)
    assert [each["api_code"] for each in document["messages"]] == ["event_rejected", None]
    (shown,) = json.loads(dlq("show", "--json", "--event-id", event_id).out)
    assert shown["api_code"] == "event_rejected"
    assert shown["event_time"] == shown["message"]["envelope"]["time"] != shown["failed_at"]


def test_messages_of_a_fifo_queue_that_wait_behind_others_are_counted(world: World, dlq: Any) -> None:
    for _ in range(13):
        world.audited()
    done = dlq("list")
    assert done.code == 0
    assert "audit-dlq.fifo: 3 more messages not seen" in done.out
    assert world.counts("audit-dlq.fifo") == (13, 0)


def test_message_that_the_audit_parks_again_is_redriven_once(
    world: World, dlq: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.audited()

    def parked_again(_queue: AuditQueueTarget, message: DeadLetterMessage) -> RedriveResult:
        world.put("audit-dlq.fifo", message.body, "billing")
        return RedriveResult(QUEUED)

    monkeypatch.setattr(AuditQueueTarget, "send", parked_again)
    done = dlq("redrive", "--queue", "audit-dlq.fifo", "--yes", "--rate", "100", "--json")
    document = json.loads(done.out)
    assert (done.code, document["outcomes"]["queued"], len(document["letters"])) == (0, 1, 1)
    assert world.counts("audit-dlq.fifo") == (1, 0)


@pytest.mark.parametrize(
    ("filters", "chosen"),
    [
        (["--kind", "permanent"], {"parked"}),
        (["--kind", "transient", "--queue", "payments-dlq"], {"transient", "throttled"}),
        (["--queue", "audit-other-dlq", "--queue", "audit-dlq.fifo"], {"lane", "audit"}),
        (["--queue", full("audit-other-dlq")], {"lane"}),
        (["--reason", "KEYERROR"], {"bug"}),
        (["--type", "payout.paid", "--type", "payment_intent.succeeded"], {"lane", "parked"}),
        (["--event-id", "{transient}", "--event-id", "{audit}"], {"transient", "audit"}),
        (["--older-than", "1h"], set()),
        (["--older-than", "2100-01-01", "--kind", "configuration"], {"configuration"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_filters_choose(world: World, dlq: Any, filters: list[str], chosen: set[str]) -> None:
    made = fill(world)
    done = dlq("show", "--json", *(each.format(**made) for each in filters))
    assert done.code == 0
    assert {message["event_id"] for message in json.loads(done.out)} == {made[name] for name in chosen}


def test_show_masks_whatever_may_be_personal(world: World, dlq: Any) -> None:
    world.failed(error="KeyError")
    world.parked()
    world.undelivered()
    world.audited()
    world.put("payments-dlq", f"garbage of {PERSONAL[0]}")
    world.put(
        "payments-dlq", json.dumps({"detail": {PERSONAL[0]: 1985, "id": PERSONAL[1]}}), note=PERSONAL[1]
    )
    for arguments in (
        ["show"],
        ["show", "--json"],
        ["list"],
        ["list", "--json"],
        ["list", "--messages"],
        ["list", "--messages", "--json"],
    ):
        done = dlq(*arguments)
        assert done.code == 0
        assert personal_in(done.out + done.err) == []
    messages = json.loads(dlq("show", "--json").out)
    assert len(messages) == 6
    envelope = messages[0]["message"]["requestPayload"]
    assert envelope["source"] == "aws.partner/stripe.com/ed_test_unit"
    shown = envelope["detail"]["data"]["object"]
    assert (shown["id"], shown["object"], shown["email"], shown["client_secret"]) == (
        "cus_1",
        "customer",
        "***",
        "***",
    )
    assert (shown["amount"], shown["currency"], shown["status"], shown["delinquent"]) == (
        2599,
        "eur",
        "active",
        False,
    )
    assert shown["metadata"] == {"*** 1": "***", "*** 2": "***", "*** 3": "***"}
    assert shown["dob"] == {"year": "***"}
    assert envelope["detail"]["created"] == 1_775_037_600
    context = messages[0]["message"]["requestContext"]
    assert context == {"condition": "RetriesExhausted", "approximateInvokeCount": 3}
    assert messages[0]["message"]["responsePayload"] == {
        "errorType": "KeyError",
        "errorMessage": "***",
        "stackTrace": ["***"],
    }
    assert messages[1]["message"]["parked"]["answer"] == "***"
    assert messages[1]["message"]["parked"]["endpoint"] == "/api/billing/payment-succeeded"
    assert messages[2]["attributes"]["ERROR_CODE"] == "THROTTLING"
    assert messages[2]["attributes"]["RULE_ARN"].startswith("arn:aws:events:")
    by_reason = {message["reason"]: message for message in messages}
    assert by_reason["the message is not valid JSON"]["message"] == "***"


def test_show_reveals_on_request(world: World, dlq: Any) -> None:
    event_id = world.parked()
    world.put("payments-dlq", f"garbage of {PERSONAL[0]}")
    revealed = dlq("show", "--json", "--reveal").out
    assert personal_in(revealed) == [*PERSONAL]
    messages = json.loads(revealed)
    assert messages[0]["event_id"] == event_id
    assert messages[0]["message"]["parked"]["answer"] == f"{PERSONAL[0]} is unknown"
    assert messages[0]["message"]["envelope"]["detail"]["data"]["object"]["name"] == PERSONAL[1]
    assert messages[1]["message"] == f"garbage of {PERSONAL[0]}"
    assert world.counts() == (2, 0)


def test_redrive_sends_every_message_oldest_first(world: World, dlq: Any) -> None:
    first = world.failed(queue="billing-dlq")
    second = world.undelivered()
    third = world.parked()
    lanes = [world.undelivered(queue, event_type="payout.paid") for queue in AUDIT[:3]]
    audited = [world.audited() for _ in range(13)] + [world.audited("payments", event_type="charge.failed")]
    done = dlq("redrive", "--yes", "--json", "--rate", "100")
    document = json.loads(done.out)
    assert (done.code, document["left"], document["unseen"]) == (0, 0, 0)
    outcomes = {name: count for name, count in document["outcomes"].items() if count}
    assert outcomes == {"applied": 3, "queued": 17}
    assert world.invoked() == [first, second, third]
    messages = world.taken("events.fifo")
    assert sorted(json.loads(message["Body"])["detail"]["id"] for message in messages) == sorted(
        lanes + audited
    )
    groups = {json.loads(m["Body"])["detail-type"]: m["Attributes"]["MessageGroupId"] for m in messages}
    assert groups == {"payout.paid": "other", "invoice.paid": "billing", "charge.failed": "payments"}
    assert all(world.counts(queue) == (0, 0) for queue in REQUIRED)


def test_redrive_reports_each_outcome_and_keeps_what_failed(world: World, dlq: Any) -> None:
    for answer in ("applied", "recorded", "duplicate", "stale", "parked", "transient", "bug", "nonsense"):
        world.failed(answer)
    world.put("payments-dlq", "garbage")
    done = dlq("redrive", "--yes", "--rate", "100", "--json")
    document = json.loads(done.out)
    assert document["outcomes"] == {
        "applied": 1,
        "recorded": 1,
        "duplicate": 1,
        "stale": 1,
        "queued": 0,
        "parked": 1,
        "failed": 4,
    }
    assert {failure["reason"] for failure in document["failures"]} == {
        "the API answered 503",
        "the function ended with KeyError",
        "the function's answer has no known outcome",
        "the message has no envelope: purge it, which saves it to a file",
    }
    # The handler answers "parked" when it has put a new message into the queue: here it does not.
    assert (done.code, document["left"]) == (1, 5)
    assert done.err.splitlines()[-1].startswith("error: 5 messages left in the queues")
    assert world.counts() == (4, 0)
    assert PERSONAL[0] not in done.out + done.err


def test_failing_heads_of_a_fifo_queue_do_not_block_the_redrive_of_others(world: World, dlq: Any) -> None:
    for _ in range(3):
        world.put("audit-dlq.fifo", "garbage", "billing")
    events = [world.audited() for _ in range(12)]
    done = dlq("redrive", "--yes", "--json", "--rate", "100")
    document = json.loads(done.out)
    assert (done.code, document["outcomes"]["queued"], document["left"]) == (1, 12, 3)
    messages = world.taken("events.fifo")
    assert [json.loads(message["Body"])["detail"]["id"] for message in messages] == events
    assert world.counts("audit-dlq.fifo") == (3, 0)


def test_redrive_touches_only_what_is_chosen(world: World, dlq: Any) -> None:
    chosen = world.failed()
    world.parked()
    assert dlq("redrive", "--yes", "--event-id", chosen).code == 0
    assert world.invoked() == [chosen]
    assert world.counts() == (1, 0)


def test_dry_runs_change_nothing(world: World, dlq: Any, tmp_path: Path) -> None:
    world.failed()
    for command in (["redrive"], ["purge", "--include-unsettled", "--file", str(tmp_path / "new.jsonl")]):
        done = dlq(*command, "--dry-run", "--json")
        document = json.loads(done.out)
        assert (done.code, document["dry_run"], document["letters"]) == (0, True, 1)
        assert document["groups"][0]["reason"] == "the API answered 503"
    assert (world.counts(), world.invoked(), list(tmp_path.glob("*.jsonl"))) == ((1, 0), [], [])


def test_rate_is_kept(world: World, dlq: Any) -> None:
    for _ in range(5):
        world.failed()
    started = time.monotonic()
    assert dlq("redrive", "--yes", "--rate", "2", "--queue", "payments-dlq").code == 0
    assert time.monotonic() - started >= 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_redrive_releases_what_it_has_not_sent(
    world: World, variables: dict[str, str], number: int, code: int
) -> None:
    events = [world.failed() for _ in range(30)]
    process = begin(variables, "redrive", "--yes", "--json", "--rate", "4")
    seen: list[str] = []
    until(lambda: len(seen.extend(world.invoked()) or seen) >= 3)  # type: ignore[func-returns-value]
    process.send_signal(number)
    out, err = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == code, err
    assert "interrupted: finishing the current step" in err
    assert "Traceback" not in err
    document = json.loads(out)
    seen += world.invoked()
    applied = document["outcomes"]["applied"]
    assert document["interrupted"] is True
    assert 3 <= applied < 30
    assert seen == events[:applied]
    assert document["not_tried"] == 30 - applied
    assert world.counts() == (30 - applied, 0)


def test_interrupt_lets_the_current_event_finish(world: World, variables: dict[str, str]) -> None:
    world.failed("slow")
    world.failed()
    process = begin(variables, "redrive", "--yes")
    seen: list[str] = []
    until(lambda: bool(seen.extend(world.invoked()) or seen))  # type: ignore[func-returns-value]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=DEADLINE_SECONDS)
    assert (process.returncode, world.counts()) == (130, (1, 0)), err
    assert "not tried" in out


def test_interrupted_list_releases_everything(world: World, variables: dict[str, str]) -> None:
    for _ in range(5):
        world.failed()
    process = begin(variables, "list")
    until(lambda: world.counts()[1] == 5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=DEADLINE_SECONDS)
    assert (process.returncode, world.counts()) == (130, (5, 0)), err
    assert "Traceback" not in err
    assert "Dead-letter messages" not in out


def test_two_runs_at_once_send_nothing_twice(world: World, variables: dict[str, str]) -> None:
    events = [world.failed() for _ in range(24)]
    processes = [begin(variables, "redrive", "--yes", "--json", "--rate", "50") for _ in range(2)]
    documents = [json.loads(process.communicate(timeout=DEADLINE_SECONDS)[0]) for process in processes]
    assert sorted(world.invoked()) == sorted(events)
    assert sum(document["outcomes"]["applied"] for document in documents) == 24
    assert sum(document["left"] for document in documents) == 0
    assert world.counts() == (0, 0)


def test_held_messages_are_reported_as_unseen(world: World, dlq: Any) -> None:
    for _ in range(2):
        world.failed()
    world.sqs.receive_message(QueueUrl=world.urls["payments-dlq"], VisibilityTimeout=60)
    done = dlq("redrive", "--yes", "--json")
    document = json.loads(done.out)
    assert (done.code, document["outcomes"]["applied"], document["unseen"]) == (1, 1, 1)
    assert done.err.splitlines()[-1].startswith("error: not seen: 1 message;")


def test_purge_writes_messages_whole_and_deletes_them(world: World, dlq: Any, tmp_path: Path) -> None:
    event_id = world.undelivered()
    world.put("payments-dlq", "garbage [red]", note="x")
    audited = [world.audited() for _ in range(12)]
    file = tmp_path / "purged {1} [2].jsonl"
    done = dlq("purge", "--yes", "--include-unsettled", "--json", "--file", str(file))
    assert done.code == 0
    document = json.loads(done.out)
    assert (document["file"], document["written"], document["deleted"], document["left"]) == (
        str(file),
        14,
        14,
        0,
    )
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["event_id"] for line in lines] == [event_id, None, *audited]
    assert lines[0]["attributes"]["ERROR_CODE"] == "THROTTLING"
    assert json.loads(lines[0]["body"])["detail"]["data"]["object"]["email"] == PERSONAL[0]
    assert (lines[1]["body"], lines[1]["attributes"]) == ("garbage [red]", {"note": "x"})
    assert lines[2]["system_attributes"]["MessageGroupId"] == "billing"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert all(world.counts(queue) == (0, 0) for queue in REQUIRED)


def test_purge_writes_no_client_secret(world: World, dlq: Any, tmp_path: Path) -> None:
    world.failed()
    world.undelivered()
    world.put("payments-dlq", '{"client_secret": "hk_secret_of_a_person", garbage')
    file = tmp_path / "purged.jsonl"
    assert dlq("purge", "--yes", "--include-unsettled", "--file", str(file)).code == 0
    assert len(file.read_text().splitlines()) == 3
    assert PERSONAL[4] not in file.read_text()


def test_messages_are_on_the_disk_before_the_first_is_deleted(
    world: World, dlq: Any, person: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    events = [world.failed() for _ in range(3)]
    file = tmp_path / "purged.jsonl"
    synced: list[int] = []
    found: list[list[str]] = []
    fsync, delete = os.fsync, DeadLetterQueue.delete

    def noted_fsync(descriptor: int) -> None:
        fsync(descriptor)
        synced.append(descriptor)

    def noted_delete(queue: DeadLetterQueue, message: Any) -> None:
        assert len(synced) == 2, "the file and its folder"
        found.append([json.loads(line)["event_id"] for line in file.read_text().splitlines()])
        delete(queue, message)

    person.setattr("ops.dlq.purge.os.fsync", noted_fsync)
    person.setattr(DeadLetterQueue, "delete", noted_delete)
    assert dlq("purge", "--yes", "--include-unsettled", "--file", str(file)).code == 0
    assert found == [events] * 3


def test_full_disk_keeps_every_message(
    world: World, dlq: Any, person: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world.failed()

    def full_disk(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    person.setattr("ops.dlq.purge.os.fsync", full_disk)
    done = dlq("purge", "--yes", "--include-unsettled", "--file", str(tmp_path / "purged.jsonl"))
    assert (done.code, world.counts()) == (1, (1, 0))
    assert "purged.jsonl (No space left on device): use another --file" in done.err


def test_purge_goes_to_build_by_default(
    world: World, dlq: Any, person: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    person.chdir(tmp_path)
    world.failed()
    assert dlq("purge", "--yes", "--include-unsettled").code == 0
    (file,) = (tmp_path / "build" / "purged").iterdir()
    assert file.name.startswith("dev-2")
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_purge_of_nothing_writes_no_file(world: World, dlq: Any, tmp_path: Path) -> None:
    world.failed()
    file = tmp_path / "purged.jsonl"
    done = dlq("purge", "--yes", "--json", "--kind", "permanent", "--file", str(file))
    assert (done.code, json.loads(done.out)["file"], file.exists()) == (0, None, False)
    assert world.counts() == (1, 0)


def test_purge_keeps_events_of_unknown_outcome_and_says_how_to_settle_them(
    world: World, dlq: Any, tmp_path: Path
) -> None:
    world.failed()
    world.failed(error="KeyError")
    world.parked(error="DoubtfulRefusalError")
    refused = world.parked()
    world.put("payments-dlq", "garbage")
    done = dlq("purge", "--yes", "--file", str(tmp_path / "first.jsonl"))
    assert done.code == 0
    assert world.counts() == (3, 0)
    lines = [json.loads(line) for line in (tmp_path / "first.jsonl").read_text().splitlines()]
    assert [line["event_id"] for line in lines] == [refused, None]
    output = " ".join(done.out.split())
    assert "3 messages of unknown outcome left alone" in output
    assert "To settle them, run `huntaze-stripe dlq redrive --env dev --settle`" in output
    document = json.loads(dlq("purge", "--yes", "--json", "--kind", "permanent").out)
    assert (document["deleted"], document["unsettled_spared"], document["left"]) == (0, 1, 0)


@pytest.mark.parametrize("option", ["--event-id", "--include-unsettled"])
def test_purge_deletes_an_event_of_unknown_outcome_on_request(
    world: World, dlq: Any, tmp_path: Path, option: str
) -> None:
    event_id = world.parked(error="DoubtfulRefusalError")
    named = [option, event_id] if option == "--event-id" else [option]
    done = dlq("purge", "--yes", "--file", str(tmp_path / "purged.jsonl"), *named)
    assert (done.code, world.counts()) == (0, (0, 0))
    assert "left alone" not in done.out


@pytest.mark.parametrize(
    ("options", "settles"), [([], False), (["--settle"], True), (["--event-id", "{event_id}"], True)], ids=str
)
def test_redrive_settles_nothing_unless_it_is_asked_to(
    world: World, dlq: Any, person: pytest.MonkeyPatch, options: list[str], settles: bool
) -> None:
    event_id = world.parked(error="DoubtfulRefusalError")
    sent: list[bool] = []

    def asked(self: HandlerTarget, _message: DeadLetterMessage) -> RedriveResult:
        sent.append(self.settle)
        return RedriveResult("applied")

    person.setattr(HandlerTarget, "send", asked)
    person.setattr(sys, "stdin", Terminal("y\n"))
    done = dlq("redrive", *(each.format(event_id=event_id) for each in options))
    assert (done.code, sent) == (0, [settles])
    question = " ".join(done.out.split())
    assert ("as final for 1 event of unknown outcome?" in question) is settles


@pytest.mark.parametrize(("answer", "code", "left"), [("y\n", 0, 0), ("n\n", 1, 1), ("", 1, 1)])
def test_redrive_asks(
    world: World, dlq: Any, person: pytest.MonkeyPatch, answer: str, code: int, left: int
) -> None:
    world.failed()
    person.setattr(sys, "stdin", Terminal(answer))
    done = dlq("redrive")
    assert (done.code, world.counts()) == (code, (left, 0))
    assert "Redrive 1 message?" in done.out


def test_nothing_to_do_asks_no_question(world: World, dlq: Any, person: pytest.MonkeyPatch) -> None:
    world.failed()
    person.setattr(sys, "stdin", Terminal(""))
    done = dlq("redrive", "--kind", "permanent")
    assert (done.code, world.counts()) == (0, (1, 0))
    assert "Redrive " not in done.out


def test_event_that_is_parked_again_is_left(world: World, dlq: Any) -> None:
    world.failed("parked")
    done = dlq("redrive", "--yes", "--json")
    document = json.loads(done.out)
    assert (done.code, document["outcomes"]["parked"], document["left"]) == (1, 1, 1)


def test_second_interrupt_ends_at_once_and_loses_nothing(world: World, variables: dict[str, str]) -> None:
    for answer in ("slow", "applied", "applied"):
        world.failed(answer)
    process = begin(variables, "redrive", "--yes")
    until(lambda: bool(world.invoked()))
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=DEADLINE_SECONDS)
    assert (process.returncode, world.counts()) == (130, (3, 0)), err
    assert "Traceback" not in err


def test_queues_of_the_bus_and_of_its_log_are_there_where_they_are_deployed(world: World, dlq: Any) -> None:
    for name in ("bus-dlq", "log-dlq"):
        world.urls[name] = world.sqs.create_queue(QueueName=full(name))["QueueUrl"]
    try:
        routed = world.undelivered("bus-dlq", event_type="invoice.paid")
        other = world.undelivered("bus-dlq", event_type="payout.paid")
        world.undelivered("log-dlq")
        queues = [queue["queue"] for queue in json.loads(dlq("list", "--json").out)["queues"]]
        assert queues == [*REQUIRED, "bus-dlq", "log-dlq"]
        done = dlq("redrive", "--yes", "--json", "--rate", "100")
        document = json.loads(done.out)
        assert (done.code, document["outcomes"]["applied"], document["outcomes"]["queued"]) == (1, 1, 1)
        assert document["failures"][0]["reason"].startswith("only EventBridge writes to the log")
        assert world.invoked() == [routed]
        bodies = [json.loads(message["Body"])["detail"]["id"] for message in world.taken("events.fifo")]
        assert bodies == [routed, other]
        assert (world.counts("bus-dlq"), world.counts("log-dlq")) == ((0, 0), (1, 0))
    finally:
        for name in ("bus-dlq", "log-dlq"):
            world.sqs.delete_queue(QueueUrl=world.urls.pop(name))


def test_aws_that_stops_answering_ends_the_run_and_everything_is_released(
    world: World, dlq: Any, person: pytest.MonkeyPatch
) -> None:
    for _ in range(6):
        world.failed()

    def away(_self: HandlerTarget, _message: Any) -> None:
        raise TransientError("the function could not be reached (ReadTimeoutError)")

    person.setattr(HandlerTarget, "send", away)
    done = dlq("redrive", "--yes", "--json", "--rate", "100")
    document = json.loads(done.out)
    assert (done.code, document["outcomes"]["failed"], document["not_tried"], document["left"]) == (
        1,
        3,
        3,
        6,
    )
    assert "could not be reached (ReadTimeoutError): repeat the command" in done.err.splitlines()[-1]
    assert world.counts() == (6, 0)


def test_messages_are_held_as_long_as_the_work_takes(world: World) -> None:
    world.failed()
    queue = NamedQueue("payments-dlq", DeadLetterQueue("payments", world.urls["payments-dlq"], world.sqs))
    with interruption() as interrupted, holding(2) as held:
        held.receive([queue], interrupted, lambda _count: None)
        for _ in range(6):
            time.sleep(0.5)
            held.extend()
            assert world.counts() == (0, 1)
    assert world.counts() == (1, 0)


def test_message_that_cannot_be_serialised_stays_and_does_not_block_others(
    world: World, dlq: Any, person: pytest.MonkeyPatch
) -> None:
    deep = world.failed()
    world.failed()
    send = HandlerTarget.send

    def nested(self: HandlerTarget, message: Any) -> Any:
        if message.event_id == deep:
            raise RecursionError
        return send(self, message)

    person.setattr(HandlerTarget, "send", nested)
    document = json.loads(dlq("redrive", "--yes", "--json").out)
    assert (document["outcomes"]["applied"], document["left"]) == (1, 1)
    assert document["failures"][0]["reason"].startswith("the envelope is nested too deeply")
    assert world.counts() == (1, 0)
