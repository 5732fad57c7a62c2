"""What the pipeline promises, shown on a deployed pipeline."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from functions.shared import names, retry
from ops.local.deployment import EVENT_SOURCE
from ops.local.drive import split_ends
from ops.local.envelopes import EXPECTED_CALLS
from tests.e2e.pipeline import Pipeline, all_samples, fresh, ledger_records, sample, wait_for

LAMBDA_ATTEMPTS = 3
AUDIT_RECEIVES = 5


@pytest.fixture(scope="module")
def driven(pipeline: Pipeline) -> dict[str, Any]:
    """Every shipped sample, sent once, objects' ends last; its row by `generation/file`."""
    samples = [
        (f"{generation}/{path.name}", json.loads(path.read_text())) for generation, path in all_samples()
    ]
    rows = [row for act in split_ends([envelope for _, envelope in samples]) for row in pipeline.drive(*act)]
    found = {row.sent.event_id: row for row in rows}
    return {name: found[envelope["detail"]["id"]] for name, envelope in samples}


@pytest.mark.parametrize("name", [f"{generation}/{path.name}" for generation, path in all_samples()])
def test_every_sample_reaches_the_api_once_with_the_exact_body(driven: dict[str, Any], name: str) -> None:
    row, expected = driven[name], EXPECTED_CALLS[name]
    sent = [(request.path, request.body) for request in row.requests]
    assert sent == ([] if expected is None else [(expected["path"], expected["body"])])
    assert all(request.status == 200 for request in row.requests)
    assert row.audited


def test_outcomes_of_recorded_and_unrouted_types(driven: dict[str, Any]) -> None:
    outcomes = {name.partition("/")[2].removesuffix(".json"): row.outcome for name, row in driven.items()}
    assert outcomes["charge.succeeded"] == "recorded"
    assert outcomes["checkout.session.completed--setup"] == "recorded"
    assert outcomes["product.created"] == "unrouted"
    assert outcomes["payment_intent.succeeded"] == "applied"


def test_each_request_carries_the_contracts_headers(driven: dict[str, Any]) -> None:
    row = driven["current/invoice.paid.json"]
    headers = {name.lower(): value for name, value in row.requests[0].headers.items()}
    detail = sample("current", "invoice.paid")["detail"]
    assert headers["idempotency-key"] == detail["id"]
    assert headers["x-stripe-event-type"] == "invoice.paid"
    assert headers["x-stripe-event-created"] == str(detail["created"])
    assert headers["x-stripe-api-version"] == detail["api_version"]
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"].startswith("huntaze-stripe-eventbridge/")
    assert "authorization" not in headers


def test_a_duplicate_delivery_is_applied_once(pipeline: Pipeline) -> None:
    envelope = fresh(sample("current", "invoice.paid"), "evt_e2eDuplicate")
    rows = pipeline.drive(envelope, envelope, envelope)
    assert sorted(str(row.outcome) for row in rows) == ["applied", "duplicate", "duplicate"]
    assert [request["status"] for request in pipeline.requests("evt_e2eDuplicate")] == [200]
    assert all(row.audited for row in rows)


def test_a_type_that_no_rule_routes_is_audited_only(pipeline: Pipeline) -> None:
    (row,) = pipeline.drive(fresh(sample("current", "product.created"), "evt_e2eUnrouted"))
    assert (row.outcome, row.audited) == ("unrouted", True)
    assert pipeline.requests("evt_e2eUnrouted") == []


@pytest.mark.usefixtures("working_api")
def test_a_failing_api_leads_to_three_attempts_and_the_dead_letter_queue(pipeline: Pipeline) -> None:
    pipeline.fail(idempotency_key="evt_e2eFailing", status=503)
    (row,) = pipeline.drive(fresh(sample("current", "invoice.payment_failed"), "evt_e2eFailing"))
    assert (row.outcome, row.audited) == ("parked", True)
    assert [request["status"] for request in pipeline.requests("evt_e2eFailing")] == [503] * (
        LAMBDA_ATTEMPTS * retry.ATTEMPTS
    )
    parked = {
        record["requestPayload"]["detail"]["id"]: record
        for message in pipeline.messages("huntaze-stripe-billing-dlq-dev")
        for record in [json.loads(message["Body"])]
    }
    record = parked["evt_e2eFailing"]
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["responsePayload"]["errorType"] == "TransientError"
    assert "503" in record["responsePayload"]["errorMessage"]


def test_an_event_that_the_api_refuses_permanently_is_parked_with_its_status(pipeline: Pipeline) -> None:
    envelope = fresh(sample("refused", "payment_intent.succeeded--test-currency"), "evt_e2eRefused")
    (row,) = pipeline.drive(envelope)
    assert (row.outcome, row.audited) == ("parked", True)
    expected = EXPECTED_CALLS["refused/payment_intent.succeeded--test-currency.json"]
    assert expected
    (request,) = pipeline.requests("evt_e2eRefused")
    assert request["status"] == 422
    refused_id = envelope["detail"]["data"]["object"]["id"]
    assert request["body"] == expected["body"] | {"paymentIntentId": refused_id}
    (message,) = pipeline.messages("huntaze-stripe-payments-dlq-dev")
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert attributes == {
        "reason": "the API answered 422",
        "error": "PermanentError",
        "status": "422",
        "endpoint": expected["path"],
        "event_id": "evt_e2eRefused",
        "event_type": "payment_intent.succeeded",
    }
    body = json.loads(message["Body"])
    assert "event_rejected" in body["parked"]["answer"]
    # The one value that is never stored.
    envelope["detail"]["data"]["object"]["client_secret"] = None
    assert body["envelope"]["detail"] == envelope["detail"]


def test_the_saved_queries_show_one_events_lines_and_count_failures_by_type(pipeline: Pipeline) -> None:
    envelope = fresh(sample("refused", "payment_intent.succeeded--test-currency"), "evt_e2eQueried")
    (row,) = pipeline.drive(envelope)
    assert row.outcome == "parked"
    pipeline.messages("huntaze-stripe-payments-dlq-dev")
    failures = [
        (row["error"], row["status"])
        for row in _saved_query(pipeline, "failures-by-type")
        # Other tests let payments fail for other reasons.
        if row["event_type"] == envelope["detail-type"] and row.get("status") == "422"
    ]
    assert failures.count(("PermanentError", "422")) == 1
    story = _saved_query(pipeline, "event-story", "evt_e2eQueried")
    assert [row["@timestamp"] for row in story] == sorted(row["@timestamp"] for row in story)
    assert {(row["service"], row["message"]) for row in story} >= {
        ("payments", "event parked"),
        ("audit", "event audited"),
    }
    logs = pipeline.deployment.services.aws.client("logs")
    matching = [
        event
        for group in logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/")["logGroups"]
        for event in logs.filter_log_events(
            logGroupName=group["logGroupName"], filterPattern='{ $.correlation_id = "evt_e2eQueried" }'
        )["events"]
    ]
    assert len(story) == len(matching)


def _saved_query(pipeline: Pipeline, name: str, event_id: str = "") -> list[dict[str, str]]:
    """Run a saved query as it is deployed, with an event id in place of the three dots."""
    logs = pipeline.deployment.services.aws.client("logs")
    (query,) = logs.describe_query_definitions(queryDefinitionNamePrefix=f"huntaze-stripe/dev/{name}")[
        "queryDefinitions"
    ]
    started = logs.start_query(
        logGroupNames=query["logGroupNames"],
        startTime=int(time.time()) - 3600,
        endTime=int(time.time()) + 60,
        queryString=query["queryString"].replace("evt_...", event_id),
    )
    rows = logs.get_query_results(queryId=started["queryId"])["results"]
    return [{cell["field"]: cell["value"] for cell in row} for row in rows]


@pytest.mark.usefixtures("working_api")
def test_an_outage_heals_itself_once_the_api_answers_again(pipeline: Pipeline) -> None:
    queue = "huntaze-stripe-payments-dlq-dev"
    pipeline.messages(queue)
    pipeline.fail(idempotency_key="evt_e2eOutage", status=503)
    (row,) = pipeline.drive(fresh(sample("current", "payment_intent.succeeded"), "evt_e2eOutage"))
    assert row.outcome == "parked"
    pipeline.clear_faults()
    functions = pipeline.deployment.services.aws.client("lambda")

    def heals() -> bool:
        answer = functions.invoke(FunctionName="huntaze-stripe-redrive-dev", Payload=b"{}")
        return bool(json.loads(answer["Payload"].read()) == {"left": 0, "applied": 1})

    wait_for(heals, "the redrive function sees the message")
    assert pipeline.requests("evt_e2eOutage")[-1]["status"] == 200
    assert pipeline.observer.queue_depths()[queue] == 0


@pytest.mark.usefixtures("working_api")
def test_an_api_that_recovers_between_two_attempts_applies_once(pipeline: Pipeline) -> None:
    pipeline.fail(idempotency_key="evt_e2eRecovering", status=500, times=1)
    (row,) = pipeline.drive(fresh(sample("acacia", "payment_intent.succeeded"), "evt_e2eRecovering"))
    assert row.outcome == "applied"
    assert [request["status"] for request in pipeline.requests("evt_e2eRecovering")] == [500, 200]


@pytest.mark.usefixtures("working_api")
def test_an_api_that_recovers_between_two_invocations_applies_once(pipeline: Pipeline) -> None:
    pipeline.fail(idempotency_key="evt_e2eRecoveringLate", status=500, times=retry.ATTEMPTS)
    (row,) = pipeline.drive(fresh(sample("acacia", "payment_intent.succeeded"), "evt_e2eRecoveringLate"))
    assert row.outcome == "applied"
    statuses = [request["status"] for request in pipeline.requests("evt_e2eRecoveringLate")]
    assert statuses == [500] * retry.ATTEMPTS + [200]


def test_a_second_event_of_the_same_effect_is_a_duplicate(pipeline: Pipeline) -> None:
    first = fresh(sample("current", "invoice.paid"), "evt_e2eEffect")
    second = copy.deepcopy(first)
    second["detail"]["id"] = "evt_e2eEffectAgain"
    (row,) = pipeline.drive(first)
    (repeated,) = pipeline.drive(second)
    assert (row.outcome, repeated.outcome, repeated.audited) == ("applied", "duplicate", True)
    assert pipeline.requests("evt_e2eEffectAgain") == []


def test_an_older_state_never_overwrites_a_newer_one(pipeline: Pipeline) -> None:
    newer = fresh(sample("current", "customer.updated"), "evt_e2eNewer")
    older = copy.deepcopy(newer)
    older["detail"] |= {"id": "evt_e2eOlder", "created": newer["detail"]["created"] - 1}
    (row,) = pipeline.drive(newer)
    (stale,) = pipeline.drive(older)
    assert (row.outcome, stale.outcome, stale.audited) == ("applied", "stale", True)
    assert pipeline.requests("evt_e2eOlder") == []


@pytest.mark.usefixtures("working_api")
def test_an_answer_that_is_lost_after_applying_is_not_applied_again(pipeline: Pipeline) -> None:
    pipeline.fail(idempotency_key="evt_e2eLostAnswer", applies=True, reset=True, times=1)
    (row,) = pipeline.drive(fresh(sample("acacia", "customer.created"), "evt_e2eLostAnswer"))
    assert row.outcome == "applied"
    assert [request["status"] for request in pipeline.requests("evt_e2eLostAnswer")][-1] == 409


EVENTS_QUEUE, AUDIT_DLQ = "huntaze-stripe-events-dev.fifo", "huntaze-stripe-audit-dlq-dev.fifo"


def test_a_message_that_can_never_be_audited_is_parked_at_its_first_receive(pipeline: Pipeline) -> None:
    sqs = pipeline.deployment.services.aws.client("sqs")
    sent = sqs.send_message(
        QueueUrl=pipeline.deployment.outputs.queues[EVENTS_QUEUE],
        MessageBody="no envelope",
        MessageGroupId="payments",
    )
    wait_for(lambda: pipeline.observer.queue_depths()[AUDIT_DLQ] == 1, "the audit function parks it")
    (message,) = pipeline.messages(AUDIT_DLQ)
    assert message["Body"] == "no envelope"
    assert message["Attributes"]["MessageDeduplicationId"] == sent["MessageId"]
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert attributes == {"reason": "body is not valid JSON", "error": "InvalidEventError"}
    assert pipeline.observer.queue_depths()[EVENTS_QUEUE] == 0


def test_an_event_that_is_not_audited_in_time_reaches_the_fifo_queue(
    pipeline: Pipeline,
) -> None:
    sqs = pipeline.deployment.services.aws.client("sqs")
    url = pipeline.deployment.outputs.queues[EVENTS_QUEUE]
    body = json.dumps(fresh(sample("current", "invoice.paid"), "evt_e2eLedgerAway"))
    with few_receives(sqs, url), short_visibility(sqs, url), no_ledger_bucket(pipeline):
        sent = sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId="payments")
        wait_for(lambda: pipeline.observer.queue_depths()[AUDIT_DLQ] == 1, "the redrive after its receives")
    (message,) = pipeline.messages(AUDIT_DLQ)
    assert message["MessageId"] == sent["MessageId"]
    assert message["Body"] == body
    assert "MessageAttributes" not in message
    assert int(message["Attributes"]["ApproximateReceiveCount"]) >= AUDIT_RECEIVES
    assert pipeline.observer.queue_depths()[EVENTS_QUEUE] == 0


@contextmanager
def few_receives(sqs: Any, url: str) -> Iterator[None]:
    """Let SQS move a message after a few receives; those of the deployed queue take twelve hours."""
    deployed = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"]
    policy = json.loads(deployed["RedrivePolicy"]) | {"maxReceiveCount": AUDIT_RECEIVES}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": json.dumps(policy)})
    try:
        yield
    finally:
        sqs.set_queue_attributes(QueueUrl=url, Attributes=deployed)


@contextmanager
def no_ledger_bucket(pipeline: Pipeline) -> Iterator[None]:
    """Let the audit function write into a bucket that is not there."""
    client = pipeline.deployment.services.aws.client("lambda")
    name = pipeline.deployment.outputs.functions["audit"]
    variables = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]

    def write_to(bucket: str) -> None:
        changed = variables | {names.LEDGER_BUCKET: bucket}
        client.update_function_configuration(FunctionName=name, Environment={"Variables": changed})

    write_to("huntaze-no-such-bucket")
    try:
        yield
    finally:
        write_to(variables[names.LEDGER_BUCKET])


@contextmanager
def short_visibility(sqs: Any, url: str) -> Iterator[None]:
    """Let a failed message be received again after a second instead of after minutes."""
    before = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "1"})
    try:
        yield
    finally:
        sqs.set_queue_attributes(QueueUrl=url, Attributes=before)


def test_a_replay_by_rule_delivers_again_and_applies_nothing_twice(pipeline: Pipeline) -> None:
    started = datetime.now(UTC)
    payment = fresh(sample("current", "payment_intent.succeeded"), "evt_e2eReplayPayment")
    invoice = fresh(sample("current", "invoice.paid"), "evt_e2eReplayInvoice")
    pipeline.drive(payment, invoice)
    outputs = pipeline.deployment.outputs
    events = pipeline.deployment.services.aws.client("events")
    bus_arn = events.describe_event_bus(Name=outputs.bus)["Arn"]
    rule = events.describe_rule(Name="huntaze-stripe-payments-dev", EventBusName=outputs.bus)
    events.start_replay(
        ReplayName="e2e-replay",
        EventSourceArn=outputs.archive_arn,
        EventStartTime=started - timedelta(seconds=1),
        EventEndTime=datetime.now(UTC) + timedelta(seconds=1),
        Destination={"Arn": bus_arn, "FilterArns": [rule["Arn"]]},
    )
    wait_for(lambda: pipeline.outcomes("evt_e2eReplayPayment") == ["applied", "duplicate"], "the replay")
    wait_for(lambda: events.describe_replay(ReplayName="e2e-replay")["State"] == "COMPLETED", "its end")
    assert len(pipeline.requests("evt_e2eReplayPayment")) == 1
    assert pipeline.outcomes("evt_e2eReplayInvoice") == ["applied"]


def test_the_ledger_holds_the_event_whole_in_both_places(pipeline: Pipeline) -> None:
    envelope = fresh(sample("acacia", "customer.updated"), "evt_e2eLedger")
    pipeline.drive(envelope)
    with psycopg.connect(pipeline.deployment.services.database_url) as connection:
        row = connection.execute(
            "SELECT deliveries, type, object_id, customer_id, api_version, payload"
            " FROM stripe_event_ledger WHERE event_id = 'evt_e2eLedger'"
        ).fetchone()
    detail = envelope["detail"]
    object_id = detail["data"]["object"]["id"]
    assert row == (1, "customer.updated", object_id, object_id, detail["api_version"], detail)
    (record,) = [record for record in ledger_records(pipeline) if record["event_id"] == "evt_e2eLedger"]
    assert record["envelope"]["detail"] == detail
    assert record["envelope"]["source"] == EVENT_SOURCE


def test_a_second_plan_is_clean(pipeline: Pipeline) -> None:
    assert pipeline.deployment.facts.second_plan_changes == 0
    assert pipeline.deployment.facts.resources > 0
