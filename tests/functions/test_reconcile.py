"""The scheduled reconciliation with S3, DynamoDB, Lambda, SQS and the reference Stripe API."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from functions.reconciliation.gap import BATCH_SIZE
from functions.reconciliation.job import OVERLAP_SECONDS
from functions.shared import names
from ops.errors import OperatorError
from ops.ledger import PostgresLedger
from ops.local.clients import Aws
from ops.reference.stripe import Fault, ReferenceStripe
from tests.emulator import resources, roles
from tests.functions.conftest import Start
from tests.functions.function import Function, FunctionError, metrics
from tests.functions.reconciling import (
    DAY,
    HOUR,
    KEY,
    LONG,
    MINUTE,
    PERSONAL,
    SHORT,
    SOURCE,
    World,
    event,
    new_world,
)

# Sends what it is invoked with to the queue in its variable.
ECHO = """
import boto3, json, os
def handler(event, context):
    boto3.client("sqs").send_message(QueueUrl=os.environ["QUEUE"], MessageBody=json.dumps(event))
"""


@pytest.fixture
def world(aws: Aws, start: Start) -> Iterator[World]:
    with ReferenceStripe(KEY) as stripe:
        yield new_world(aws, stripe, start)


def missing_ids(function: Function) -> dict[str, list[str]]:
    return {line["event_type"]: line["event_ids"] for line in function.new_logs("events missing")}


def test_missing_event_is_logged_and_counted(world: World) -> None:
    audited, lost, paid, young = event(3 * HOUR), event(2 * HOUR), event(HOUR, "invoice.paid"), event(300)
    world.stripe.add_events(audited, lost, paid, young)
    world.audit(audited)
    function = world.function()
    answer = function.invoke({}, remaining_seconds=LONG)
    assert (answer["compared"], answer["missing"], answer["healed"]) == (3, 2, 0)
    assert answer["complete"] is True
    lines = function.new_lines()
    assert {
        line["event_type"]: line["event_ids"] for line in lines if line.get("message") == "events missing"
    } == {
        "customer.updated": [lost["id"]],
        "invoice.paid": [paid["id"]],
    }
    assert metrics(lines)["EventsMissing"] == [
        {
            "value": [2.0],
            "unit": "Count",
            "namespace": "HuntazeStripe",
            "dimensions": {"environment": "dev", "service": "reconcile"},
        }
    ]
    for hidden in (PERSONAL, KEY):
        assert hidden not in function.output()


def test_complete_ledger_has_zero_missing(world: World) -> None:
    events = [event(HOUR * number + HOUR) for number in range(5)]
    world.stripe.add_events(*events)
    world.audit(*events[:3])
    world.audit(*events[3:])
    function = world.function()
    assert function.invoke({}, remaining_seconds=LONG)["missing"] == 0
    assert [found["value"] for found in metrics(function.new_lines())["EventsMissing"]] == [[0.0]]


def test_unrouted_type_is_not_compared(world: World) -> None:
    world.stripe.add_events(event(HOUR, "payout.paid"))
    assert world.function().invoke({}, remaining_seconds=LONG)["compared"] == 0


def test_first_run_starts_at_the_set_time_and_the_next_one_overlaps(world: World) -> None:
    before = int(time.time())
    function = world.function(**{names.RECONCILE_FROM: str(before - 2 * DAY)})
    first = function.invoke({}, remaining_seconds=LONG)
    assert world.asked_since()[0] == before - 2 * DAY
    assert world.checkpoint() == (first["compared_until"], True)
    assert 0 <= first["compared_until"] - (before - 599) <= MINUTE

    asked = len(world.asked_since())
    function.invoke({}, remaining_seconds=LONG)
    assert world.asked_since()[asked] == first["compared_until"] - OVERLAP_SECONDS


def test_first_run_starts_at_the_first_deploy(world: World) -> None:
    """Events created before were not meant for this pipeline."""
    world.stripe.add_events(event(2 * HOUR), event(11 * MINUTE))
    function = world.function(**{names.RECONCILE_FROM: ""})
    answer = function.invoke({}, remaining_seconds=LONG)
    assert (answer["compared"], answer["missing"], answer["complete"]) == (0, 0, True)
    assert world.checkpoint() is None
    assert world.stripe.requests() == ()


def test_later_start_time_drops_missing_events_from_before(world: World) -> None:
    early, late = event(20 * HOUR), event(2 * HOUR)
    world.stripe.add_events(early, late)
    assert world.function().invoke({}, remaining_seconds=LONG)["missing"] == 2
    raised = world.function(**{names.RECONCILE_FROM: str(early["created"] + 1)})
    assert raised.invoke({}, remaining_seconds=LONG)["missing"] == 1
    assert missing_ids(raised) == {"customer.updated": [late["id"]]}


def test_run_that_ends_early_is_continued_without_loss(world: World) -> None:
    # Batches end in the middle of a second, because each second has three events.
    events = [event(5 * HOUR - number // 3) for number in range(3 * BATCH_SIZE)]
    world.stripe.add_events(*events)
    function = world.function()
    answers = [function.invoke({}, remaining_seconds=SHORT)]
    assert answers[0]["complete"] is False
    assert world.checkpoint() == (answers[0]["compared_until"], False)
    seen = [event_id for ids in missing_ids(function).values() for event_id in ids]
    while not answers[-1]["complete"]:
        answers.append(function.invoke({}, remaining_seconds=SHORT))
        seen += [event_id for ids in missing_ids(function).values() for event_id in ids]
        assert len(answers) < 50
        assert answers[-1]["compared_until"] > answers[-2]["compared_until"]
    assert set(seen) == {each["id"] for each in events}
    assert world.checkpoint() == (answers[-1]["compared_until"], True)


def test_failure_of_stripe_keeps_the_checkpoint_reached(world: World) -> None:
    early, late = event(20 * HOUR), event(HOUR)
    world.stripe.add_events(early, late)
    function = world.function()
    world.stripe.fail(Fault(path="/v1/events", status=401, every=6))
    with pytest.raises(FunctionError) as caught:
        function.invoke({}, remaining_seconds=LONG)
    assert caught.value.kind == "ConfigurationError"
    reached = world.checkpoint()
    assert reached is not None
    assert early["created"] < reached[0] <= late["created"]
    assert missing_ids(function) == {"customer.updated": [early["id"]]}

    world.stripe.clear_faults()
    answer = function.invoke({}, remaining_seconds=LONG)
    assert (answer["compared"], answer["complete"]) == (1, True)
    assert missing_ids(function) == {"customer.updated": [early["id"], late["id"]]}


def test_run_that_cannot_start_publishes_no_metric(world: World) -> None:
    world.stripe.fail(Fault(path="/v1/events", status=401))
    function = world.function()
    with pytest.raises(FunctionError):
        function.invoke({}, remaining_seconds=LONG)
    lines = function.new_lines()
    assert "EventsMissing" not in metrics(lines)
    (logged,) = [line for line in lines if line.get("message") == "reconciliation failed"]
    assert "STRIPE_SECRET_KEY" in logged["reason"]
    assert world.checkpoint() is None


def test_gap_older_than_stripes_list_is_logged(world: World) -> None:
    long_ago = int(time.time()) - 40 * 24 * HOUR
    world.aws.client("dynamodb").put_item(
        TableName=world.name,
        Item={
            "id": {"S": "reconcile#checkpoint"},
            "compared_until": {"N": str(long_ago)},
            "complete": {"BOOL": True},
        },
    )
    function = world.function(**{names.RECONCILE_FROM: str(long_ago - DAY)})
    function.invoke({}, remaining_seconds=LONG)
    reasons = [line["reason"] for line in function.new_logs("reconciliation gap")]
    assert any(str(long_ago - OVERLAP_SECONDS) in reason for reason in reasons)


def test_damaged_ledger_object_does_not_hide_the_others(world: World) -> None:
    held = event(HOUR)
    world.stripe.add_events(held)
    today = datetime.now(UTC).date().isoformat()
    s3 = world.aws.client("s3")
    for number, body in enumerate((b"", b"no gzip", gzip.compress(b"no json\n"), gzip.compress(b"{}\n"))):
        s3.put_object(Bucket=world.name, Key=f"audit/dt={today}/{number}.jsonl.gz", Body=body)
    world.audit(held)
    function = world.function()
    assert function.invoke({}, remaining_seconds=LONG)["missing"] == 0
    # An empty object has no line, so it is not damaged.
    assert len(function.new_logs("ledger object not readable")) == 3


@dataclass
class Handlers:
    """Two functions that send what they are invoked with to a queue, and a FIFO queue."""

    variables: dict[str, str]
    echoes: str
    queue: str
    sqs: Any

    def receive(self, queue: str, count: int) -> list[dict[str, Any]]:
        """Wait for messages of a queue, and delete them."""
        found: list[dict[str, Any]] = []
        deadline = time.monotonic() + 30
        while len(found) < count and time.monotonic() < deadline:
            for message in self.sqs.receive_message(
                QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1, AttributeNames=["All"]
            ).get("Messages", []):
                found.append(message)
                self.sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return found


@pytest.fixture(scope="module")
def handlers(aws: Aws) -> Handlers:
    roles.administrator(aws)
    sqs = aws.client("sqs")
    echoes = sqs.create_queue(QueueName="reconcile-echoes")["QueueUrl"]
    queue = sqs.create_queue(
        QueueName="reconcile.fifo", Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    )["QueueUrl"]
    for handler in ("payments", "billing"):
        resources.function(aws, ECHO, f"reconcile-{handler}", Environment={"Variables": {"QUEUE": echoes}})
    variables = {
        names.RECONCILE: "heal",
        names.EVENT_SOURCE_NAME: SOURCE,
        names.EVENTS_QUEUE_URL: queue,
        names.HANDLER_FUNCTIONS: json.dumps(
            {"payments": "reconcile-payments", "billing": "reconcile-billing"}
        ),
    }
    return Handlers(variables, echoes, queue, sqs)


def test_missing_events_are_sent_to_their_handler_and_message_group(world: World, handlers: Handlers) -> None:
    billed, paid = event(2 * HOUR), event(HOUR, "payment_intent.succeeded")
    world.stripe.add_events(billed, paid)
    function = world.function(**handlers.variables)
    answer = function.invoke({}, remaining_seconds=LONG)
    assert (answer["missing"], answer["healed"], answer["complete"]) == (2, 2, True)
    queued = handlers.receive(handlers.queue, 2)
    assert {
        (message["Attributes"]["MessageGroupId"], json.loads(message["Body"])["detail"]["id"])
        for message in queued
    } == {("billing", billed["id"]), ("payments", paid["id"])}
    invoked = [json.loads(message["Body"]) for message in handlers.receive(handlers.echoes, 2)]
    assert sorted(invoked, key=str) == sorted((json.loads(message["Body"]) for message in queued), key=str)
    (envelope_of_bill,) = [each for each in invoked if each["detail"]["id"] == billed["id"]]
    assert envelope_of_bill["detail"] == billed
    assert envelope_of_bill["source"] == SOURCE
    assert envelope_of_bill["detail-type"] == "customer.updated"
    assert PERSONAL not in function.output()


def test_missing_event_of_a_connected_account_is_sent_with_its_account(
    world: World, handlers: Handlers
) -> None:
    world.stripe.add_events({**event(2 * HOUR), "account": "acct_1Healed"})
    function = world.function(**handlers.variables, **{names.RECONCILE_ACCOUNTS: "acct_1Healed"})
    assert function.invoke({}, remaining_seconds=LONG)["accounts"] == 1
    for queue in (handlers.queue, handlers.echoes):
        (message,) = handlers.receive(queue, 1)
        assert json.loads(message["Body"])["detail"]["account"] == "acct_1Healed"


def test_event_that_failed_to_heal_is_healed_by_the_next_run(world: World, handlers: Handlers) -> None:
    lost = event(2 * HOUR)
    world.stripe.add_events(lost)
    gone = handlers.variables | {names.EVENTS_QUEUE_URL: handlers.queue.replace("reconcile", "gone")}
    with pytest.raises(FunctionError):
        world.function(**gone).invoke({}, remaining_seconds=LONG)
    reached = world.checkpoint()
    assert reached is not None
    assert reached[0] <= lost["created"]
    answer = world.function(**handlers.variables).invoke({}, remaining_seconds=LONG)
    assert answer["healed"] == 1
    assert len(handlers.receive(handlers.queue, 1)) == 1
    assert len(handlers.receive(handlers.echoes, 2)) == 2


def test_missing_event_is_logged_by_each_run_until_the_ledger_has_it(world: World) -> None:
    lost, late = event(5 * HOUR), event(4 * HOUR)
    world.stripe.add_events(lost, late)
    function = world.function()
    for _ in range(3):
        answer = function.invoke({}, remaining_seconds=LONG)
        assert (answer["missing"], answer["complete"]) == (2, True)
        assert missing_ids(function) == {"customer.updated": [lost["id"], late["id"]]}
    world.audit(late)
    assert function.invoke({}, remaining_seconds=LONG)["missing"] == 1
    assert missing_ids(function) == {"customer.updated": [lost["id"]]}
    world.audit(lost)
    assert [function.invoke({}, remaining_seconds=LONG)["missing"] for _ in range(2)] == [0, 0]


def test_reported_events_are_healed_once_healing_is_on(world: World, handlers: Handlers) -> None:
    lost, unhandled = event(5 * HOUR), event(9 * HOUR)
    world.stripe.add_events(lost, unhandled)
    world.audit(unhandled)
    reported = world.function().invoke({}, remaining_seconds=LONG)
    assert (reported["missing"], reported["unhandled"]["missing"]) == (1, 1)
    healed = world.function(**handlers.variables).invoke({}, remaining_seconds=LONG)
    assert (healed["healed"], healed["unhandled"]["healed"]) == (1, 1)
    assert len(handlers.receive(handlers.queue, 1)) == 1
    assert {json.loads(each["Body"])["detail"]["id"] for each in handlers.receive(handlers.echoes, 2)} == {
        lost["id"],
        unhandled["id"],
    }


def test_unhandled_event_is_logged_and_counted(world: World) -> None:
    applied, refused, unhandled = event(9 * HOUR), event(10 * HOUR), event(11 * HOUR, "invoice.paid")
    young, expired = event(6 * HOUR), event(8 * HOUR)
    events = (applied, refused, unhandled, young, expired)
    world.stripe.add_events(*events)
    world.audit(*events)
    world.handle(applied)
    world.handle(refused, "RELEASED")
    world.handle(expired, expires=-1)
    function = world.function()
    answer = function.invoke({}, remaining_seconds=LONG)
    assert answer["missing"] == 0
    assert (answer["unhandled"]["compared"], answer["unhandled"]["missing"]) == (4, 2)
    lines = function.new_lines()
    assert {
        line["event_type"]: line["event_ids"] for line in lines if line.get("message") == "events unhandled"
    } == {"invoice.paid": [unhandled["id"]], "customer.updated": [expired["id"]]}
    assert [found["value"] for found in metrics(lines)["EventsUnhandled"]] == [[2.0]]
    assert world.checkpoint("reconcile#handled") == (answer["unhandled"]["compared_until"], True)
    world.handle(unhandled)
    world.handle(expired)
    assert function.invoke({}, remaining_seconds=LONG)["unhandled"]["missing"] == 0
    assert PERSONAL not in function.output()


def test_event_of_a_type_no_longer_routed_is_not_unhandled(world: World) -> None:
    made = event(9 * HOUR, "payout.paid")
    world.stripe.add_events(made)
    missing = json.dumps([[made["id"], made["type"], made["created"]]])
    world.aws.client("dynamodb").put_item(
        TableName=world.name,
        Item={
            "id": {"S": "reconcile#handled"},
            "compared_until": {"N": str(made["created"] + 1)},
            "complete": {"BOOL": True},
            "looked_at": {"N": str(made["created"] + 1)},
            "lacking": {"S": missing},
        },
    )
    assert world.function().invoke({}, remaining_seconds=LONG)["unhandled"]["missing"] == 0


def test_unhandled_event_is_sent_as_the_ledger_holds_it(world: World, handlers: Handlers) -> None:
    as_delivered, unaudited = event(9 * HOUR), event(8.5 * HOUR)
    # Stripe's list renders an event in the account's version at that time.
    world.stripe.add_events(as_delivered | {"api_version": "2019-01-01"}, unaudited)
    world.audit(as_delivered)
    answer = world.function(**handlers.variables).invoke({}, remaining_seconds=LONG)
    assert (answer["missing"], answer["unhandled"]["healed"]) == (1, 2)
    invoked = [json.loads(each["Body"])["detail"] for each in handlers.receive(handlers.echoes, 3)]
    assert sorted(invoked, key=str) == sorted([as_delivered, unaudited, unaudited], key=str)
    # The ledger already has the other one.
    queued = [json.loads(each["Body"])["detail"]["id"] for each in handlers.receive(handlers.queue, 1)]
    assert queued == [unaudited["id"]]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        (names.RECONCILE, ""),
        (names.RECONCILE, "off"),
        (names.LEDGER_BUCKET, ""),
        (names.IDEMPOTENCY_TABLE, ""),
        (names.HANDLED_WITHIN_SECONDS, ""),
        (names.RECONCILE_FROM, "yesterday"),
        (names.EVENT_SOURCE_NAME, ""),
        (names.EVENTS_QUEUE_URL, ""),
        (names.HANDLER_FUNCTIONS, ""),
        (names.HANDLER_FUNCTIONS, "[]"),
        (names.HANDLER_FUNCTIONS, '{"payments": "only-one"}'),
        (names.STRIPE_SECRET_KEY, ""),
        ("STRIPE_API_URL", "http://example.com"),
    ],
)
def test_error_names_the_wrong_variable(world: World, handlers: Handlers, variable: str, value: str) -> None:
    function = world.function(**(handlers.variables | {variable: value}))
    with pytest.raises(FunctionError, match=variable) as caught:
        function.invoke({}, remaining_seconds=LONG)
    assert caught.value.kind == "ConfigurationError"


def test_key_of_the_other_mode_compares_nothing(world: World) -> None:
    world.stripe.add_events(event(HOUR))
    with pytest.raises(FunctionError) as caught:
        world.function(**{names.LIVEMODE: "true"}).invoke({}, remaining_seconds=LONG)
    assert caught.value.kind == "ConfigurationError"
    assert caught.value.message.startswith("STRIPE_SECRET_KEY is a test key")
    assert world.checkpoint() is None
    assert world.stripe.requests() == ()


def test_key_fixed_in_the_secret_is_used_by_the_next_run(world: World) -> None:
    secrets = world.aws.client("secretsmanager")
    secrets.create_secret(Name=world.name, SecretString=json.dumps({names.STRIPE_SECRET_KEY: "sk_live_x"}))
    function = world.function(**{names.STRIPE_SECRET_KEY: "", names.SECRET_IDS: world.name})
    with pytest.raises(FunctionError) as caught:
        function.invoke({}, remaining_seconds=LONG)
    assert caught.value.kind == "ConfigurationError"
    secrets.put_secret_value(SecretId=world.name, SecretString=json.dumps({names.STRIPE_SECRET_KEY: KEY}))
    assert function.invoke({}, remaining_seconds=LONG)["complete"] is True


def test_database_without_the_table_is_not_an_empty_ledger(database_url: str) -> None:
    with pytest.raises(OperatorError, match=r"^the database of DATABASE_URL has no table"):
        PostgresLedger(database_url).known(["evt_1"])
