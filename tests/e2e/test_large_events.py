"""Events close to EventBridge's size limit, on the deployed pipeline: nothing is cut or lost.

The embedded AWS has the size limits of AWS, and the queues are as Terraform created them.
"""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from functions.dead_letters.message import parse
from functions.shared.json_text import compact
from functions.shared.names import EVENT_BYTES
from ops.reference.stripe import ReferenceStripe
from tests.e2e.pipeline import Command, Pipeline, fresh, ledger_records, sample, second, target_gone, wait_for

KIB = 1024
# Up to this size every queue takes the event with what is added to it; see docs/operations.md.
EDGE = EVENT_BYTES - 16 * KIB
SIZES = [300 * KIB, 900 * KIB, EDGE]
QUEUE = "huntaze-stripe-payments-dlq-dev"
AUDIT_QUEUES = ("huntaze-stripe-audit-dlq-dev.fifo", "huntaze-stripe-audit-payments-dlq-dev")


@pytest.fixture(autouse=True)
def empty_queue(pipeline: Pipeline, working_api: None) -> None:
    pipeline.messages(QUEUE)


@pytest.fixture(params=SIZES, ids=lambda size: f"{size // KIB}KiB")
def size(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def large(event_id: str, size: int) -> dict[str, Any]:
    """Return a payment with many lines, in an envelope of `size` bytes."""
    envelope = fresh(sample("current", "payment_intent.succeeded"), event_id)
    payment = envelope["detail"]["data"]["object"]
    payment["id"] = f"pi_{event_id}"
    # It is never stored, and would make the comparison fail.
    payment["client_secret"] = None
    line = {
        "id": "li_",
        "description": "Größe “L”, 長い",
        "amount": 1000,
        "metadata": {"sku": "4006381333931"},
    }
    payment["metadata"] = {"note": ""}
    lines = payment["lines"] = [line] * ((size - 4 * KIB) // (len(compact(line).encode()) + 1) // 2)
    payment["metadata"]["note"] = "x" * (size - len(compact(envelope).encode()))
    assert len(lines) > 500
    assert len(compact(envelope).encode()) == size
    return envelope


def name(what: str, size: int) -> str:
    return f"evt_e2eLarge{what}{size}"


def stored(pipeline: Pipeline, event_id: str) -> tuple[Any, Any]:
    """Return the event as PostgreSQL holds it, and as S3 does."""
    with psycopg.connect(pipeline.deployment.services.database_url) as connection:
        query = "SELECT payload FROM stripe_event_ledger WHERE event_id = %s"
        row = connection.execute(query, (event_id,)).fetchone()
    found = [record for record in ledger_records(pipeline) if record["event_id"] == event_id]
    return row and row[0], found and found[0]["envelope"]["detail"]


def test_it_is_applied_and_in_the_ledger_whole(pipeline: Pipeline, size: int) -> None:
    envelope = large(name("Applied", size), size)
    pipeline.drive(envelope)
    event = envelope["detail"]
    (request,) = pipeline.requests(event["id"])
    assert request["body"]["metadata"] == event["data"]["object"]["metadata"]
    assert stored(pipeline, event["id"]) == (event, event)
    assert all(pipeline.observer.queue_depths()[queue] == 0 for queue in AUDIT_QUEUES)


def test_it_is_parked_with_its_reason_and_redriven(pipeline: Pipeline, dlq: Command, size: int) -> None:
    envelope = large(name("Parked", size), size)
    event_id = envelope["detail"]["id"]
    pipeline.fail(idempotency_key=event_id, status=422)
    pipeline.drive(envelope)
    (message,) = shown(dlq, event_id)
    assert (message["kind"], message["status"]) == ("permanent", 422)
    pipeline.clear_faults()
    assert redriven(dlq, event_id) == {"applied": 1}
    assert pipeline.outcomes(event_id)[-1] == "applied"
    assert pipeline.observer.queue_depths()[QUEUE] == 0


def test_it_is_redriven_after_lambda_or_eventbridge_gave_up(
    pipeline: Pipeline, dlq: Command, size: int
) -> None:
    failed, undelivered = (large(name(what, size), size) for what in ("Failed", "Undelivered"))
    pipeline.fail(idempotency_key=failed["detail"]["id"], status=503)
    pipeline.drive(failed)
    pipeline.clear_faults()
    with target_gone(pipeline):
        pipeline.drive(undelivered)
    for envelope, kind in ((failed, "transient"), (undelivered, "configuration")):
        (message,) = shown(dlq, envelope["detail"]["id"])
        assert message["kind"] == kind
        assert redriven(dlq, envelope["detail"]["id"]) == {"applied": 1}
    assert pipeline.observer.queue_depths()[QUEUE] == 0


def test_it_is_replayed(pipeline: Pipeline, command: Command, size: int) -> None:
    since = second()
    envelope = large(name("Replayed", size), size)
    event_id = envelope["detail"]["id"]
    pipeline.drive(envelope)
    rules = ("--rule", "payments", "--rule", "audit-payments")
    done = command("replay", "start", "--since", since, "--until", second(), *rules, "--yes", "--wait")
    assert done.code == 0, done.err
    wait_for(lambda: pipeline.outcomes(event_id) == ["applied", "duplicate"], "the replay")
    wait_for(lambda: pipeline.observer.queue_depths()["huntaze-stripe-events-dev.fifo"] == 0, "the audit")
    assert stored(pipeline, event_id) == (envelope["detail"], envelope["detail"])
    assert all(pipeline.observer.queue_depths()[queue] == 0 for queue in AUDIT_QUEUES)


def test_it_is_healed(pipeline: Pipeline, command: Command, stripe: ReferenceStripe, size: int) -> None:
    envelope = large(name("Healed", size), size)
    event = copy.deepcopy(envelope["detail"])
    event["created"] = int(datetime.now(UTC).timestamp()) - 60
    stripe.add_events(event)
    reconcile = ("reconcile", "--since", "1h", "--until", "0m", "--json")
    healed = command(*reconcile, "--heal")
    assert healed.code == 0, healed.err
    assert json.loads(healed.out)["missing"] == 1
    wait_for(lambda: pipeline.outcomes(event["id"]) == ["applied"], "the handler")
    wait_for(lambda: command(*reconcile).code == 0, "the ledger")
    assert stored(pipeline, event["id"]) == (event, event)


def test_the_largest_event_of_all_is_parked_whole(pipeline: Pipeline) -> None:
    """A handler accepts an envelope of 1 MiB, and packs it to make room for the reason."""
    envelope = large(name("Largest", EVENT_BYTES), EVENT_BYTES)
    pipeline.fail(idempotency_key=envelope["detail"]["id"], status=422)
    functions = pipeline.deployment.services.aws.client("lambda")
    payload = compact(envelope).encode()
    functions.invoke(FunctionName="huntaze-stripe-payments-dev", InvocationType="Event", Payload=payload)
    wait_for(lambda: pipeline.observer.queue_depths()[QUEUE] == 1, "the event is parked")
    (message,) = pipeline.messages(QUEUE)
    assert message["MessageAttributes"]["reason"]["StringValue"] == "the API answered 422"
    assert parse(message).envelope == envelope


def shown(dlq: Command, event_id: str) -> list[dict[str, Any]]:
    """Return the messages of an event, as soon as the commands see one."""
    found: list[list[dict[str, Any]]] = [[]]

    def are_there() -> bool:
        found[0] = json.loads(dlq("show", "--event-id", event_id, "--json").out)
        return bool(found[0])

    wait_for(are_there, f"the commands see {event_id}")
    return found[0]


def redriven(dlq: Command, event_id: str) -> dict[str, int]:
    """Redrive an event and return the outcomes of its messages."""
    counts: dict[str, int] = {}

    def done() -> bool:
        answer = dlq("redrive", "--event-id", event_id, "--yes", "--json")
        outcomes = json.loads(answer.out)["outcomes"] if answer.out else {}
        counts.update({outcome: count for outcome, count in outcomes.items() if count})
        return bool(counts)

    wait_for(done, f"{event_id} is redriven")
    return counts
