"""The redrive function with real queues, and functions that answer as their events say."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from functions.dead_letters.lease import RENEW_SECONDS, RunLease
from functions.pipeline.idempotency_table import Table, client
from functions.shared import names
from functions.shared.aws import session
from ops.local.clients import Aws
from ops.reference.huntaze import Fault, ReferenceApi
from tests import answering
from tests.functions.conftest import TABLE, Start
from tests.functions.function import FunctionError, metrics
from tests.unit import snapshots

LONG = 200.0
DEADLINE_SECONDS = 20.0
AUDIT = "audit-dlq"
FIFO = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
_numbers = itertools.count(1)


@dataclass(frozen=True)
class World:
    """Two handlers with their dead-letter queues, created for one test."""

    aws: Aws
    seen: str
    functions: dict[str, str]
    queues: dict[str, str]
    events: str
    variables: dict[str, str]

    @property
    def with_audit(self) -> dict[str, str]:
        """The variables with the audit's dead-letter queue."""
        return self.variables | {names.DEAD_LETTER_QUEUE_URLS: json.dumps(self.queues)}

    def fail(
        self,
        answer: str,
        *,
        family: str = "payments",
        error: str = "TransientError",
        note: str = "",
        about: str = "",
        created: int = 100,
        event_type: str = "invoice.paid",
    ) -> str:
        """Put an event into a dead-letter queue as Lambda does, and return its id."""
        event_id = f"evt_redrive_{next(_numbers):06}"
        envelope = snapshots.envelope(
            event_type,
            {"id": about or event_id.replace("evt", "in"), "note": note},
            id=event_id,
            answer=answer,
            created=created,
        )
        record = {
            "requestContext": {"condition": "RetriesExhausted"},
            "requestPayload": envelope,
            "responsePayload": {"errorType": error, "errorMessage": "the API answered 503"},
        }
        self.put(record, family)
        return event_id

    def put(self, record: Any, family: str = "payments") -> None:
        sqs = self.aws.client("sqs")
        sqs.send_message(QueueUrl=self.queues[family], MessageBody=json.dumps(record))

    def put_many(self, record: Any, count: int, family: str = "payments") -> None:
        for first in range(0, count, 10):
            entries = [
                {"Id": str(number), "MessageBody": json.dumps(record)}
                for number in range(first, min(first + 10, count))
            ]
            self.aws.client("sqs").send_message_batch(QueueUrl=self.queues[family], Entries=entries)

    def fail_audit(self, group: str, event_id: str = "") -> str:
        """Put an event into the audit's dead-letter queue as SQS does."""
        event_id = event_id or f"evt_redrive_{next(_numbers):06}"
        envelope = snapshots.envelope("payout.paid", {"id": "po_1"}, id=event_id)
        self.aws.client("sqs").send_message(
            QueueUrl=self.queues[AUDIT],
            MessageBody=json.dumps(envelope),
            MessageGroupId=group,
            MessageDeduplicationId=f"once-{next(_numbers)}",
        )
        return event_id

    def receive_audit(self) -> list[str]:
        """Receive and delete all events of the audit queue, and return their ids."""
        sqs = self.aws.client("sqs")
        found = []
        while messages := sqs.receive_message(QueueUrl=self.events, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                found.append(json.loads(message["Body"])["detail"]["id"])
                sqs.delete_message(QueueUrl=self.events, ReceiptHandle=message["ReceiptHandle"])
        return found

    def forget_run(self) -> None:
        """Let the next run start at once, as after some time."""
        self.aws.client("dynamodb").delete_item(TableName=TABLE, Key={"id": {"S": "redrive#run"}})

    def left(self, family: str = "payments") -> int:
        """Return how many messages are in the queue; all must be visible."""
        attributes = self.aws.client("sqs").get_queue_attributes(
            QueueUrl=self.queues[family],
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )["Attributes"]
        assert attributes["ApproximateNumberOfMessagesNotVisible"] == "0", "a message was not released"
        return int(attributes["ApproximateNumberOfMessages"])

    def invoked(self) -> list[str]:
        """Return the ids of the events that reached a handler since the last call, in order."""
        sqs = self.aws.client("sqs")
        found: list[tuple[int, str]] = []
        while messages := sqs.receive_message(
            QueueUrl=self.seen, MaxNumberOfMessages=10, MessageSystemAttributeNames=["SentTimestamp"]
        ).get("Messages"):
            for message in messages:
                sqs.delete_message(QueueUrl=self.seen, ReceiptHandle=message["ReceiptHandle"])
                found.append((int(message["Attributes"]["SentTimestamp"]), message["Body"]))
        return [event_id for _, event_id in sorted(found, key=lambda item: item[0])]


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def world(aws: Aws) -> Iterator[World]:
    number = next(_numbers)
    sqs = aws.client("sqs")
    seen = sqs.create_queue(QueueName=f"redrive-seen-{number}")["QueueUrl"]
    queues, handlers = {}, {}
    events = sqs.create_queue(QueueName=f"redrive-events-{number}.fifo", Attributes=FIFO)["QueueUrl"]
    audit = sqs.create_queue(QueueName=f"redrive-audit-{number}-dlq.fifo", Attributes=FIFO)["QueueUrl"]
    for family in ("payments", "billing"):
        name = f"redrive-{family}-{number}"
        queues[family] = sqs.create_queue(QueueName=f"{name}-dlq")["QueueUrl"]
        answering.make(aws, name, seen)
        handlers[family] = name
    variables = {
        names.HANDLER_FUNCTIONS: json.dumps(handlers),
        names.DEAD_LETTER_QUEUE_URLS: json.dumps(queues),
        names.EVENTS_QUEUE_URL: events,
        names.AUTO_REDRIVE_ATTEMPTS: "2",
        names.AUTO_REDRIVE_PER_SECOND: "50",
        names.HANDLER_SECONDS: "30",
    }
    world = World(aws, seen, handlers, queues | {AUDIT: audit}, events, variables)
    world.forget_run()
    yield world
    for name in handlers.values():
        aws.client("lambda").delete_function(FunctionName=name)


def test_transient_failures_are_redriven(world: World, start: Start) -> None:
    first = world.fail("applied", family="billing")
    second = world.fail("duplicate")
    third = world.fail("stale", family="billing")
    function = start("redrive", **world.variables)
    assert function.invoke({}, remaining_seconds=LONG) == {
        "left": 0,
        "applied": 1,
        "duplicate": 1,
        "stale": 1,
    }
    assert sorted(world.invoked()) == [first, second, third]
    assert (world.left(), world.left("billing")) == (0, 0)
    lines = function.new_lines()
    logged = [line for line in lines if line.get("message") == "event redriven"]
    assert sorted((line["correlation_id"], line["outcome"]) for line in logged) == [
        (first, "applied"),
        (second, "duplicate"),
        (third, "stale"),
    ]
    found = metrics(lines)
    assert found["EventsRedriven"][0]["value"] == [3.0]
    assert found["EventsLeft"][0]["value"] == [0.0]
    assert found["EventsGivenUp"][0]["value"] == [0.0]
    assert found["EventsRedriven"][0]["dimensions"] == {"service": "redrive", "environment": "dev"}


def test_run_redrives_more_than_its_memory_holds(world: World, start: Start) -> None:
    large = "x" * 220_000
    # One call per object at a time: the embedded Lambda throttles more than eight calls at once.
    events = {world.fail("applied", note=large, about=f"in_{number % 6}") for number in range(45)}
    function = start("redrive", **world.variables | {names.AUTO_REDRIVE_PER_SECOND: "10"})
    assert function.invoke({}, remaining_seconds=LONG) == {"left": 0, "applied": 45}
    assert set(world.invoked()) == events


def test_newest_event_of_an_object_comes_first(world: World, start: Start) -> None:
    events = [world.fail("applied", about="in_1", created=created) for created in (100, 300, 200)]
    assert start("redrive", **world.variables).invoke({}, remaining_seconds=LONG) == {"left": 0, "applied": 3}
    assert world.invoked() == [events[place] for place in (1, 2, 0)]


def test_events_of_the_audit_are_sent_to_its_queue(world: World, start: Start) -> None:
    events = [world.fail_audit(group) for group in ("billing", "payments") for _ in range(13)]
    function = start("redrive", **world.with_audit)
    assert function.invoke({}, remaining_seconds=LONG) == {"left": 0, "queued": 26}
    assert world.left(AUDIT) == 0
    assert sorted(world.receive_audit()) == sorted(events)


def test_events_of_the_audit_do_not_need_the_api(world: World, start: Start, api: ReferenceApi) -> None:
    world.fail_audit("billing")
    world.fail("applied")
    api.fail(Fault(status=503))
    function = start("redrive", **world.with_audit)
    assert function.invoke({}, remaining_seconds=LONG) == {"left": 0, "queued": 1}
    assert (world.left(), world.invoked()) == (1, [])
    # The handlers' queues were not read.
    assert "EventsLeft" not in metrics(function.new_lines())


def test_event_that_the_ledger_never_stores_is_left_to_an_operator(world: World, start: Start) -> None:
    event_id = world.fail_audit("billing")
    function = start("redrive", **world.with_audit)
    for _ in range(2):
        assert function.invoke({}, remaining_seconds=LONG)["queued"] == 1
        assert world.receive_audit() == [event_id]
        world.fail_audit("billing", event_id)
    assert function.invoke({}, remaining_seconds=LONG) == {"left": 1}
    lines = function.new_lines()
    assert [line["correlation_id"] for line in lines if line.get("message") == "left to an operator"] == [
        event_id
    ]
    assert [each["value"] for each in metrics(lines)["EventsGivenUp"]] == [[0.0], [1.0], [0.0]]


@pytest.mark.parametrize("error", ["PermanentError", "ConfigurationError", "KeyError"])
def test_failures_that_need_an_operator_stay(world: World, start: Start, error: str) -> None:
    world.fail("applied", error=error)
    world.put({"parked": {"reason": "x", "error": "InvalidEventError"}, "envelope": {}})
    world.put("no record")
    assert start("redrive", **world.variables).invoke({}, remaining_seconds=LONG) == {"left": 0}
    assert world.invoked() == []
    assert world.left() == 3


@pytest.mark.parametrize("fault", [{"status": 503}, {"reset": True}], ids=str)
def test_nothing_is_redriven_while_the_api_does_not_answer(
    world: World, start: Start, api: ReferenceApi, fault: dict[str, Any]
) -> None:
    world.fail("applied")
    api.fail(Fault(**fault))
    function = start("redrive", **world.variables)
    assert function.invoke({}, remaining_seconds=LONG) == {"left": 0}
    assert (world.left(), world.invoked()) == (1, [])
    assert metrics(function.new_lines())["EventsRedriven"][0]["value"] == [0.0]
    assert "Warning" not in function.output()
    api.clear_faults()
    assert function.invoke({}, remaining_seconds=LONG) == {"left": 0, "applied": 1}


@pytest.mark.parametrize("answer", ["transient", "configuration"])
def test_event_that_fails_while_others_are_applied_is_left_to_an_operator(
    world: World, start: Start, answer: str
) -> None:
    event_id = world.fail(answer)
    function = start("redrive", **world.variables)
    for _ in range(3):
        world.fail("applied")
        function.invoke({}, remaining_seconds=LONG)
    assert world.invoked().count(event_id) == 2
    assert world.left() == 1
    assert [line["correlation_id"] for line in function.new_logs("left to an operator")] == [event_id]


def test_api_that_fails_again_uses_no_attempt(world: World, start: Start) -> None:
    events = [world.fail("transient") for _ in range(4)]
    function = start("redrive", **world.variables)
    for _ in range(3):
        assert function.invoke({}, remaining_seconds=LONG) == {"left": 4, "failed": 4}
    assert sorted(world.invoked()) == sorted(events * 3)
    assert world.left() == 4


def test_handlers_that_time_out_fail(world: World, start: Start) -> None:
    for _ in range(3):
        world.fail("killed")
    assert start("redrive", **world.variables).invoke({}, remaining_seconds=LONG) == {"left": 3, "failed": 3}


def test_failures_delay_no_other_event(world: World, start: Start) -> None:
    for answer in ("transient", "transient", "applied", "bug", "transient", "applied"):
        world.fail(answer)
    function = start("redrive", **world.variables)
    assert function.invoke({}, remaining_seconds=LONG) == {"left": 4, "failed": 4, "applied": 2}
    assert answering.PERSONAL not in function.output()


def test_events_that_wait_are_tried_again_after_the_others(world: World, start: Start) -> None:
    for answer in ("unsettled",) * 4 + ("applied",):
        world.fail(answer, error="UnsettledError")
    function = start("redrive", **world.variables)
    assert function.invoke({}, remaining_seconds=LONG) == {"left": 4, "waiting": 8, "applied": 1}


def test_age_of_the_oldest_message_is_published_for_any_kind(world: World, start: Start) -> None:
    function = start("redrive", **world.variables)
    function.invoke({}, remaining_seconds=LONG)
    assert "OldestLetterAge" not in metrics(function.new_lines())
    world.fail("applied", error="PermanentError")
    time.sleep(1.1)
    world.fail("applied", family="billing")
    function.invoke({}, remaining_seconds=LONG)
    (age,) = metrics(function.new_lines())["OldestLetterAge"]
    assert 1.0 <= max(age["value"]) < DEADLINE_SECONDS
    assert age["dimensions"] == {"service": "redrive", "environment": "dev"}


def test_refused_key_uses_no_attempt_and_delays_no_other_queue(world: World, start: Start) -> None:
    refused = [world.fail("configuration") for _ in range(3)]
    function = start("redrive", **world.variables)
    for _ in range(3):
        applied = world.fail("applied", family="billing")
        assert function.invoke({}, remaining_seconds=LONG) == {"left": 3, "failed": 3, "applied": 1}
        assert sorted(world.invoked()) == sorted([*refused, applied])
    assert (world.left(), world.left("billing")) == (3, 0)


def test_throttled_handler_uses_no_attempt(world: World, start: Start) -> None:
    event_id = world.fail("applied")
    throttled = world.functions["payments"]
    functions = world.aws.client("lambda")
    functions.put_function_concurrency(FunctionName=throttled, ReservedConcurrentExecutions=0)
    function = start("redrive", **world.variables)
    for _ in range(3):
        assert function.invoke({}, remaining_seconds=LONG) == {"left": 1, "failed": 1}
    functions.delete_function_concurrency(FunctionName=throttled)
    assert function.invoke({}, remaining_seconds=LONG) == {"left": 0, "applied": 1}
    assert world.invoked() == [event_id]


def test_unreachable_functions_use_no_attempt(world: World, start: Start) -> None:
    for _ in range(5):
        world.fail("applied")
    variables = world.variables | {"AWS_ENDPOINT_URL_LAMBDA": "http://127.0.0.1:9"}
    function = start("redrive", **variables)
    for _ in range(3):
        assert function.invoke({}, remaining_seconds=LONG) == {"left": 5, "failed": 5}
    assert world.left() == 5
    assert start("redrive", **world.variables).invoke({}, remaining_seconds=LONG) == {"left": 0, "applied": 5}


def test_two_runs_do_not_add_their_rates(world: World, start: Start) -> None:
    for _ in range(4):
        world.fail("applied")
    first = start("redrive", **world.variables | {names.AUTO_REDRIVE_PER_SECOND: "2"})
    second = start("redrive", **world.variables)
    first.send({}, remaining_seconds=LONG)
    wait_for(lambda: first.new_logs("event redriven"))
    # It waits until the first one has ended.
    assert second.invoke({}, remaining_seconds=LONG) == {"left": 0}
    assert first.result() == {"left": 0, "applied": 4}
    assert len(world.invoked()) == 4
    world.fail("applied")
    assert second.invoke({}, remaining_seconds=LONG) == {"left": 0, "applied": 1}


def test_killed_run_delays_the_next_one_by_one_event_at_most(world: World, start: Start) -> None:
    for _ in range(8):
        world.fail("applied")
    quick = world.variables | {names.HANDLER_SECONDS: "1"}
    first = start("redrive", **quick | {names.AUTO_REDRIVE_PER_SECOND: "1"})
    first.send({}, remaining_seconds=LONG)
    wait_for(lambda: first.new_logs("event redriven"))
    first.kill()
    item = world.aws.client("dynamodb").get_item(TableName=TABLE, Key={"id": {"S": "redrive#run"}})["Item"]
    # One event takes a second, plus 20 around it and 15 until the lease is renewed.
    assert int(item["lease_until"]["N"]) / 1000 - time.time() <= 36


@pytest.fixture
def table(environment: dict[str, str], aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    """The idempotency table, without a lease."""
    aws.client("dynamodb").delete_item(TableName=TABLE, Key={"id": {"S": "redrive#run"}})
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for made in (session, client):
        made.cache_clear()
    yield Table(TABLE, 3600)
    for made in (session, client):
        made.cache_clear()


def test_lease_belongs_to_one_run_until_released_or_expired(table: Table) -> None:
    first, second, third = RunLease(table, 3 - RENEW_SECONDS), RunLease(table, 30), RunLease(table, 30)
    assert first.try_acquire()
    assert first.renew()
    assert not second.try_acquire()
    wait_for(second.try_acquire)
    first.until = 0.0
    assert not first.renew()
    first.release()
    assert not third.try_acquire()
    assert second.renew()
    second.release()
    assert third.try_acquire()
    third.release()


def test_runs_load_the_attempts_of_earlier_runs(table: Table, aws: Aws) -> None:
    first, killed, third = RunLease(table, 30), RunLease(table, 30), RunLease(table, 30)
    assert first.try_acquire()
    assert (first.count("one", 1), first.count("two", 0), first.count("one", 2)) == (1, 0, 3)
    first.release()
    assert killed.try_acquire()
    assert killed.attempts == {"one": 3, "two": 0}
    killed.forget("two")
    killed.count("three", 1)
    killed.until = 0.0
    assert killed.renew()
    key = {"id": {"S": "redrive#run"}}
    values = {":over": {"N": "0"}}
    update = {"UpdateExpression": "SET lease_until = :over", "ExpressionAttributeValues": values}
    aws.client("dynamodb").update_item(TableName=TABLE, Key=key, **update)
    assert third.acquire()
    assert third.attempts == {"one": 3, "three": 1}
    third.forget("one")
    third.forget("three")
    third.release()
    item = aws.client("dynamodb").get_item(TableName=TABLE, Key=key)["Item"]
    assert item["failed"] == {"M": {}}
    assert int(item["expiration"]["N"]) > time.time()


def test_many_permanent_failures_do_not_hide_the_others(world: World, start: Start) -> None:
    parked = {"parked": {"reason": "x", "error": "InvalidEventError"}, "envelope": {}}
    world.put_many(parked, 1010)
    event_id = world.fail("applied")
    assert start("redrive", **world.variables).invoke({}, remaining_seconds=LONG) == {"left": 0, "applied": 1}
    assert world.invoked() == [event_id]
    assert world.left() == 1010


def test_event_parked_again_leaves_one_message(world: World, start: Start) -> None:
    # The real handler has put its own message into the queue before it answers "parked".
    world.fail("parked")
    assert start("redrive", **world.variables).invoke({}, remaining_seconds=LONG) == {"left": 0, "parked": 1}
    assert world.left() == 0


def test_rate_is_kept(world: World, start: Start) -> None:
    for _ in range(5):
        world.fail("applied")
    variables = world.variables | {names.AUTO_REDRIVE_PER_SECOND: "4"}
    started = time.monotonic()
    assert start("redrive", **variables).invoke({}, remaining_seconds=LONG)["applied"] == 5
    assert time.monotonic() - started >= 1


def test_run_ends_before_its_time_out(world: World, start: Start) -> None:
    world.fail("applied")
    slow = world.variables | {names.HANDLER_SECONDS: "120"}
    assert start("redrive", **slow).invoke({}, remaining_seconds=140.0) == {"left": 0}
    assert (world.left(), world.invoked()) == (1, [])
    assert start("redrive", **world.variables).invoke({}, remaining_seconds=60.0) == {"left": 0, "applied": 1}


def test_missing_function_loses_nothing(world: World, start: Start) -> None:
    world.fail("applied")
    missing = json.dumps({"payments": "no-such-function", "billing": "no-such-function"})
    function = start("redrive", **world.variables | {names.HANDLER_FUNCTIONS: missing})
    with pytest.raises(FunctionError) as caught:
        function.invoke({}, remaining_seconds=LONG)
    assert caught.value.kind == "ConfigurationError"
    assert "the function no-such-function answered ResourceNotFoundException" in caught.value.message
    assert world.left() == 1


def test_killed_run_loses_nothing(world: World, start: Start) -> None:
    events = {world.fail("applied") for _ in range(8)}
    function = start("redrive", **world.variables | {names.AUTO_REDRIVE_PER_SECOND: "2"})
    function.send({}, remaining_seconds=68.0)
    seen: list[str] = []

    def two_seen() -> bool:
        seen.extend(world.invoked())
        return len(seen) >= 2

    wait_for(two_seen)
    function.kill()
    attributes = world.aws.client("sqs").get_queue_attributes(
        QueueUrl=world.queues["payments"],
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
    )["Attributes"]
    held = sum(int(value) for value in attributes.values())
    assert held >= len(events) - len(set(seen))


@pytest.mark.parametrize(
    "variable", ["HANDLER_FUNCTIONS", "DEAD_LETTER_QUEUE_URLS", "AUTO_REDRIVE_ATTEMPTS", "HANDLER_SECONDS"]
)
@pytest.mark.parametrize("value", ["", "0", "{}", "no json"])
def test_error_names_the_wrong_setting(world: World, start: Start, variable: str, value: str) -> None:
    with pytest.raises(FunctionError) as caught:
        start("redrive", **world.variables | {variable: value}).invoke({}, remaining_seconds=LONG)
    assert caught.value.kind == "ConfigurationError"
    assert caught.value.message.startswith(variable)
