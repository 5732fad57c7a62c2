"""The dlq commands on the deployed pipeline, with messages that the pipeline itself put into the queues."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.pipeline import Command, Pipeline, fresh, sample, target_gone, wait_for
from tests.ops.command import Done

QUEUE = "huntaze-stripe-payments-dlq-dev"
AUDIT_QUEUE = "huntaze-stripe-audit-dlq-dev.fifo"
PAYMENTS_RULE = "huntaze-stripe-payments-dev"
PLANTED = "planted.person@example.com"


@pytest.fixture(autouse=True)
def empty_queues(pipeline: Pipeline, working_api: None) -> None:
    for queue in (QUEUE, AUDIT_QUEUE):
        pipeline.messages(queue)


def payment(event_id: str) -> dict[str, Any]:
    envelope = fresh(sample("current", "payment_intent.succeeded"), event_id)
    envelope["detail"]["data"]["object"]["receipt_email"] = PLANTED
    return envelope


def failed_in_each_way(pipeline: Pipeline) -> dict[str, str]:
    """Park one event in each of the three ways; return the kinds by event id."""
    pipeline.fail(idempotency_key="evt_e2eDlqParked", status=422)
    pipeline.fail(idempotency_key="evt_e2eDlqOutage", status=503)
    pipeline.drive(payment("evt_e2eDlqParked"), payment("evt_e2eDlqOutage"))
    with target_gone(pipeline):
        pipeline.drive(payment("evt_e2eDlqTarget"))
    pipeline.clear_faults()
    return {
        "evt_e2eDlqParked": "permanent",
        "evt_e2eDlqOutage": "transient",
        "evt_e2eDlqTarget": "configuration",
    }


def test_events_that_failed_in_each_way_are_shown_and_redriven(pipeline: Pipeline, dlq: Command) -> None:
    kinds = failed_in_each_way(pipeline)

    def shown() -> list[dict[str, Any]]:
        done = dlq("show", "--queue", "payments-dlq", "--json")
        assert done.code == 0, done.err
        assert PLANTED not in done.out
        found: list[dict[str, Any]] = json.loads(done.out)
        return found

    wait_for(lambda: len(shown()) == len(kinds), "the commands see three messages")
    assert {message["event_id"]: message["kind"] for message in shown()} == kinds
    assert PLANTED in dlq("show", "--reveal", "--event-id", "evt_e2eDlqParked").out
    assert json.loads(dlq("list", "--queue", "payments-dlq", "--json").out)["letters"] == len(kinds)
    one = dlq("redrive", "--event-id", "evt_e2eDlqOutage", "--yes", "--json")
    assert json.loads(one.out)["outcomes"]["applied"] == 1, one.err
    # The others were released at once.
    done = dlq("redrive", "--queue", "payments-dlq", "--yes", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["outcomes"]["applied"] == len(kinds) - 1
    for event_id in kinds:
        assert pipeline.requests(event_id)[-1]["status"] == 200
    assert pipeline.observer.queue_depths()[QUEUE] == 0


def test_event_that_the_api_still_refuses_is_in_the_queue_once(pipeline: Pipeline, dlq: Command) -> None:
    pipeline.fail(idempotency_key="evt_e2eDlqAgain", status=422)
    pipeline.drive(payment("evt_e2eDlqAgain"))
    found: list[Done] = []

    def parked_again() -> bool:
        found.append(dlq("redrive", "--event-id", "evt_e2eDlqAgain", "--yes", "--json"))
        return bool(json.loads(found[-1].out)["outcomes"].get("parked"))

    wait_for(parked_again, "the event is parked again")
    assert found[-1].code == 1
    (message,) = pipeline.messages(QUEUE)
    assert message["MessageAttributes"]["status"]["StringValue"] == "422"


def test_refusal_in_doubt_is_settled_by_an_operators_redrive(pipeline: Pipeline, dlq: Command) -> None:
    key = "evt_e2eDlqDoubt"
    pipeline.fail(idempotency_key=key, status=503, times=1)
    pipeline.fail(idempotency_key=key, status=404)
    pipeline.drive(payment(key))
    errors: list[str] = []

    def settled() -> bool:
        found = json.loads(dlq("show", "--event-id", key, "--json").out)
        errors.extend(message["error"] for message in found)
        if not found or errors[-1] == "PermanentError":
            # If none is shown, the redrive function has received it.
            return bool(found)
        dlq("redrive", "--event-id", key, "--yes", "--json")
        return False

    wait_for(settled, "the refusal is final")
    assert errors[0] == "DoubtfulRefusalError"


def test_event_that_could_not_be_audited_goes_to_the_ledger(pipeline: Pipeline, dlq: Command) -> None:
    queues, sqs = pipeline.deployment.outputs.queues, pipeline.deployment.services.aws.client("sqs")
    envelope = payment("evt_e2eDlqAudit")
    sqs.send_message(
        QueueUrl=queues[AUDIT_QUEUE],
        MessageBody=json.dumps(envelope),
        MessageGroupId="payments",
        MessageDeduplicationId="evt_e2eDlqAudit",
    )
    done = dlq("redrive", "--queue", "audit-dlq.fifo", "--yes", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["outcomes"]["queued"] == 1
    wait_for(
        lambda: "evt_e2eDlqAudit" in pipeline.observer.look().ledger,
        "the ledger holds the event",
    )
    assert pipeline.observer.queue_depths()[AUDIT_QUEUE] == 0


def test_purge_leaves_the_event_only_in_a_file(pipeline: Pipeline, dlq: Command, tmp_path: Path) -> None:
    for event_id in ("evt_e2eDlqPurge", "evt_e2eDlqKept"):
        pipeline.fail(idempotency_key=event_id, status=422)
    pipeline.drive(payment("evt_e2eDlqPurge"), payment("evt_e2eDlqKept"))
    file = tmp_path / "purged.jsonl"

    def purged() -> bool:
        dlq("purge", "--event-id", "evt_e2eDlqPurge", "--file", str(file), "--yes")
        return file.exists()

    wait_for(purged, "the message can be purged")
    assert file.stat().st_mode & 0o777 == 0o600
    (line,) = file.read_text().splitlines()
    assert json.loads(json.loads(line)["body"])["envelope"]["detail"]["id"] == "evt_e2eDlqPurge"
    (kept,) = pipeline.messages(QUEUE)
    assert json.loads(kept["Body"])["envelope"]["detail"]["id"] == "evt_e2eDlqKept"
