"""The dlq commands on the deployed pipeline, with the messages that its own parts put into the queues."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ops.local.deployment import shell_exports
from tests.e2e.conftest import Pipeline, fresh, sample, wait_for
from tests.ops.command import Done, run

Dlq = Callable[..., Done]
QUEUE = "huntaze-stripe-payments-dlq-dev"
AUDIT_QUEUE = "huntaze-stripe-audit-dlq-dev.fifo"
RULE = "huntaze-stripe-payments-dev"
PLANTED = "planted.person@example.com"


@pytest.fixture
def dlq(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Dlq:
    """Run `dlq` commands as a person with the printed exports."""
    for name, value in shell_exports(pipeline.deployment).items():
        monkeypatch.setenv(name, value)
    return lambda *arguments: run(["dlq", *arguments], monkeypatch, capsys)


@pytest.fixture(autouse=True)
def empty_queues(pipeline: Pipeline, working_api: None) -> None:
    for queue in (QUEUE, AUDIT_QUEUE):
        pipeline.messages(queue)


def payment(event_id: str) -> dict[str, Any]:
    envelope = fresh(sample("current", "payment_intent.succeeded"), event_id)
    envelope["detail"]["data"]["object"]["receipt_email"] = PLANTED
    return envelope


@contextmanager
def target_gone(pipeline: Pipeline) -> Iterator[None]:
    """Let the payments rule point to a function that is not there."""
    events = pipeline.deployment.services.aws.client("events")
    bus = pipeline.deployment.outputs.bus
    targets = events.list_targets_by_rule(Rule=RULE, EventBusName=bus)["Targets"]
    broken = [{**target, "Arn": f"{target['Arn']}-gone"} for target in targets]
    events.put_targets(Rule=RULE, EventBusName=bus, Targets=broken)
    try:
        yield
    finally:
        events.put_targets(Rule=RULE, EventBusName=bus, Targets=targets)


def failed_in_each_way(pipeline: Pipeline) -> dict[str, str]:
    """Bring one event into the queue in each of the three ways; return the kinds by event id."""
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


def test_events_that_failed_in_each_way_are_shown_and_come_back(pipeline: Pipeline, dlq: Dlq) -> None:
    kinds = failed_in_each_way(pipeline)

    def shown() -> list[dict[str, Any]]:
        # The observer hides a message for some seconds while it looks.
        done = dlq("show", "--queue", "payments-dlq", "--json")
        assert done.code == 0, done.err
        assert PLANTED not in done.out
        found: list[dict[str, Any]] = json.loads(done.out)
        return found

    wait_for(lambda: len(shown()) == len(kinds), "the commands see three letters")
    assert {letter["event_id"]: letter["kind"] for letter in shown()} == kinds
    assert PLANTED in dlq("show", "--reveal", "--event-id", "evt_e2eDlqParked").out
    done = dlq("redrive", "--queue", "payments-dlq", "--yes", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["outcomes"]["applied"] == len(kinds)
    for event_id in kinds:
        assert pipeline.requests(event_id)[-1]["status"] == 200
    assert pipeline.observer.queue_depths()[QUEUE] == 0


def test_event_that_the_api_still_refuses_lies_in_the_queue_once(pipeline: Pipeline, dlq: Dlq) -> None:
    pipeline.fail(idempotency_key="evt_e2eDlqAgain", status=422)
    pipeline.drive(payment("evt_e2eDlqAgain"))
    found: list[Done] = []

    def handed_back() -> bool:
        found.append(dlq("redrive", "--event-id", "evt_e2eDlqAgain", "--yes", "--json"))
        return bool(json.loads(found[-1].out)["outcomes"].get("parked"))

    wait_for(handed_back, "the event is parked again")
    assert found[-1].code == 1
    (message,) = pipeline.messages(QUEUE)
    assert message["MessageAttributes"]["status"]["StringValue"] == "422"


def test_refusal_in_doubt_is_settled_by_a_persons_redrive(pipeline: Pipeline, dlq: Dlq) -> None:
    key = "evt_e2eDlqDoubt"
    pipeline.fail(idempotency_key=key, status=503, times=1)
    pipeline.fail(idempotency_key=key, status=404)
    pipeline.drive(payment(key))
    errors: list[str] = []

    def settled() -> bool:
        found = json.loads(dlq("show", "--event-id", key, "--json").out)
        errors.extend(letter["error"] for letter in found)
        if not found or errors[-1] == "PermanentError":
            # Where none is shown, the function that redrives by itself has it in hand.
            return bool(found)
        dlq("redrive", "--event-id", key, "--yes", "--json")
        return False

    wait_for(settled, "the refusal is taken as the event's end")
    assert errors[0] == "DoubtfulRefusalError"


def test_event_that_could_not_be_audited_goes_to_the_ledger(pipeline: Pipeline, dlq: Dlq) -> None:
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


def test_purge_leaves_the_event_in_a_file_alone(pipeline: Pipeline, dlq: Dlq, tmp_path: Path) -> None:
    pipeline.fail(idempotency_key="evt_e2eDlqPurge", status=422)
    pipeline.drive(payment("evt_e2eDlqPurge"))
    file = tmp_path / "purged.jsonl"

    def purged() -> bool:
        dlq("purge", "--event-id", "evt_e2eDlqPurge", "--file", str(file), "--yes")
        return file.exists()

    wait_for(purged, "the message can be purged")
    assert file.stat().st_mode & 0o777 == 0o600
    (line,) = file.read_text().splitlines()
    assert json.loads(json.loads(line)["body"])["envelope"]["detail"]["id"] == "evt_e2eDlqPurge"
    assert pipeline.observer.queue_depths()[QUEUE] == 0
