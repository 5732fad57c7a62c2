"""The payments and billing functions, against an HTTP server, DynamoDB and Secrets Manager."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from functions.pipeline import idempotency_table, process
from functions.pipeline.idempotency import record_key
from functions.shared import settings
from functions.shared.errors import TransientError
from functions.shared.retry import ATTEMPTS
from ops.local.clients import Aws
from ops.reference.huntaze import NO_ANSWER, Fault, ReferenceApi
from tests.functions.conftest import API_KEY, SECRET, TABLE, Parked, Start, fresh
from tests.functions.function import Function, FunctionError, metrics
from tests.functions.helpers import closed_url, event_id, paid, requests_for, statuses_for, wait_for_requests
from tests.unit import snapshots as stripe

DIMENSIONS = {"service": "payments", "environment": "dev"}


def record_of(aws: Aws, handler: str, envelope: dict[str, Any]) -> dict[str, Any] | None:
    key = {"id": {"S": record_key(handler, event_id(envelope))}}
    item: dict[str, Any] | None = aws.client("dynamodb").get_item(TableName=TABLE, Key=key).get("Item")
    return item


def test_event_is_applied_with_the_contracts_request(api: ReferenceApi, payments: Function) -> None:
    envelope = paid()
    assert payments.invoke(envelope) == {
        "outcome": "applied",
        "event_type": "payment_intent.succeeded",
        "path": "/api/billing/payment-succeeded",
    }
    (request,) = requests_for(api, envelope)
    assert (request.path, request.applied) == ("/api/billing/payment-succeeded", True)
    assert request.body == {
        "paymentIntentId": envelope["detail"]["data"]["object"]["id"],
        "amount": 2599,
        "currency": "eur",
        "customerId": "cus_1",
        "metadata": {"order": "42"},
    }
    assert request.header("X-Stripe-Event-Type") == "payment_intent.succeeded"
    assert request.header("X-Stripe-Event-Created") == "1775037600"
    assert request.header("X-Stripe-Api-Version") == stripe.CURRENT


@pytest.mark.parametrize("api_version", stripe.GENERATIONS)
def test_billing_events_of_both_generations_are_applied(
    api: ReferenceApi, billing: Function, api_version: str
) -> None:
    for event_type, stripe_object in (
        ("customer.subscription.created", stripe.subscription(api_version)),
        ("invoice.paid", stripe.invoice(api_version)),
        ("customer.updated", stripe.customer()),
    ):
        envelope = fresh(event_type, stripe_object, api_version=api_version)
        assert billing.invoke(envelope)["outcome"] == "applied"
        (request,) = requests_for(api, envelope)
        assert request.applied


def test_finished_delivery_leaves_one_line_and_its_metrics(payments: Function) -> None:
    payments.new_lines()
    envelope = paid(created=int(time.time()) - 60)
    payments.invoke(envelope)
    lines = payments.new_lines()
    (line,) = [line for line in lines if "message" in line]
    assert line["message"] == "event finished"
    assert line["level"] == "INFO"
    assert line["outcome"] == "applied"
    assert line["event_id"] == line["correlation_id"] == event_id(envelope)
    assert line["event_type"] == "payment_intent.succeeded"
    assert 60_000 <= line["age_ms"] < 120_000
    call = line["api_call"]
    assert (call["path"], call["status"]) == ("/api/billing/payment-succeeded", 200)
    assert 0 < call["ms"] < 10_000
    assert abs(time.time() * 1000 - call["at"]) < 60_000
    found = metrics(lines)
    assert set(found) == {"EventsApplied", "EventAge", "ApiLatency"}
    for name, unit in (
        ("EventsApplied", "Count"),
        ("EventAge", "Milliseconds"),
        ("ApiLatency", "Milliseconds"),
    ):
        (metric,) = found[name]
        assert metric["unit"] == unit
        assert metric["namespace"] == "HuntazeStripe"
        assert metric["dimensions"] == DIMENSIONS | {"event_type": "payment_intent.succeeded"}
    assert found["EventAge"][0]["value"] == [line["age_ms"]]
    assert 0 < found["ApiLatency"][0]["value"][0] < 10_000


def test_duplicate_delivery_is_applied_once(api: ReferenceApi, payments: Function) -> None:
    envelope = paid()
    payments.invoke(envelope)
    payments.new_lines()
    again = envelope | {"id": "another-delivery", "replay-name": "a-replay"}
    assert payments.invoke(again)["outcome"] == "duplicate"
    lines = payments.new_lines()
    (line,) = [line for line in lines if "message" in line]
    assert (line["message"], line["outcome"]) == ("event finished", "duplicate")
    assert "api_call" not in line, "the call of another event"
    assert set(metrics(lines)) == {"DuplicatesSkipped"}
    assert statuses_for(api, envelope) == [requests_for(api, envelope)[0].status]


def test_duplicate_is_known_to_another_execution_environment(
    api: ReferenceApi, payments: Function, start: Start
) -> None:
    envelope = paid()
    payments.invoke(envelope)
    assert start("payments").invoke(envelope)["outcome"] == "duplicate"
    assert len(requests_for(api, envelope)) == 1


def test_record_outlives_the_archive_and_holds_the_outcome(aws: Aws, payments: Function) -> None:
    envelope = paid()
    payments.invoke(envelope)
    record = record_of(aws, "payments", envelope)
    assert record is not None
    assert record["status"]["S"] == "COMPLETED"
    assert int(record["expiration"]["N"]) - time.time() == pytest.approx(8_640_000, abs=60)
    assert '"outcome": "applied"' in record["data"]["S"]


def test_event_without_a_call_is_recorded(api: ReferenceApi, payments: Function) -> None:
    payments.new_lines()
    envelope = fresh("charge.succeeded", stripe.charge())
    assert payments.invoke(envelope) == {
        "outcome": "recorded",
        "event_type": "charge.succeeded",
        "path": None,
    }
    assert requests_for(api, envelope) == []
    assert set(metrics(payments.new_lines())) == {"EventsRecorded", "EventAge"}
    assert payments.invoke(envelope)["outcome"] == "duplicate"


@pytest.mark.parametrize("event_type", ["invoice.paid", "payout.paid", "made.up"])
def test_type_of_another_handler_never_calls_the_api(
    api: ReferenceApi, aws: Aws, payments: Function, parked: Parked, event_type: str
) -> None:
    payments.new_lines()
    envelope = fresh(event_type, stripe.invoice(stripe.CURRENT))
    assert payments.invoke(envelope)["outcome"] == "parked"
    assert requests_for(api, envelope) == []
    assert record_of(aws, "payments", envelope) is None
    (found,) = metrics(payments.new_lines())["EventsParked"]
    known = event_type if event_type == "invoice.paid" else "unrouted"
    assert found["dimensions"]["event_type"] == known
    ((attributes, _),) = parked.take()
    assert attributes["reason"] == "detail.type is not handled by the payments function"


def test_invalid_event_is_parked_with_the_field_that_is_wrong(
    api: ReferenceApi, aws: Aws, payments: Function, parked: Parked
) -> None:
    payments.new_lines()
    envelope = fresh("payment_intent.succeeded", stripe.payment_intent(amount="2599"))
    assert payments.invoke(envelope) == {
        "outcome": "parked",
        "event_type": "payment_intent.succeeded",
        "path": None,
    }
    assert requests_for(api, envelope) == []
    # Reconcile sees by it that the event has met its handler.
    record = record_of(aws, "payments", envelope)
    assert record is not None
    assert record["status"] == {"S": "RELEASED"}
    (line,) = payments.new_logs("event parked")
    reason = "detail.data.object.amount must be an integer"
    assert (line["error"], line["reason"]) == ("InvalidEventError", reason)
    assert "status" not in line, "there was no answer"
    ((attributes, body),) = parked.take()
    assert attributes == {
        "reason": reason,
        "error": "InvalidEventError",
        "event_id": event_id(envelope),
        "event_type": "payment_intent.succeeded",
    }
    assert body == {
        "parked": {
            "reason": reason,
            "error": "InvalidEventError",
            "status": None,
            "endpoint": None,
            "answer": None,
            "handler": "payments",
        },
        "envelope": stripe.stored(envelope),
    }

    fixed = envelope | {"detail": envelope["detail"] | {"data": {"object": stripe.payment_intent()}}}
    assert payments.invoke(fixed)["outcome"] == "applied"
    assert payments.invoke(envelope)["outcome"] == "parked"
    assert len(parked.take()) == 1
    record = record_of(aws, "payments", envelope)
    assert record is not None
    assert record["status"] == {"S": "COMPLETED"}


@pytest.mark.parametrize("event", [None, [], "text", {}, {"detail": {"id": ["x"], "type": {"a": 1}}}])
def test_what_is_not_an_envelope_is_parked_as_it_is(payments: Function, parked: Parked, event: Any) -> None:
    assert payments.invoke(event)["outcome"] == "parked"
    line = payments.new_logs("event parked")[-1]
    assert line["event_type"] == "unrouted"
    assert "event_id" not in line
    assert "correlation_id" not in line, "the id of an earlier event must not stay"
    ((attributes, body),) = parked.take()
    assert set(attributes) == {"reason", "error"}
    assert body["envelope"] == event


def test_large_event_in_another_script_is_parked_whole(payments: Function, parked: Parked) -> None:
    envelope = paid(livemode=True)
    envelope["detail"]["data"]["object"]["metadata"] = {"備考": "株" * 80_000}
    assert payments.invoke(envelope)["outcome"] == "parked"
    ((_, body),) = parked.take()
    assert body["envelope"] == stripe.stored(envelope)


def test_live_event_in_a_test_environment_is_parked(
    api: ReferenceApi, payments: Function, parked: Parked
) -> None:
    envelope = paid(livemode=True)
    assert payments.invoke(envelope)["outcome"] == "parked"
    assert requests_for(api, envelope) == []
    ((attributes, _),) = parked.take()
    assert attributes["error"] == "LivemodeMismatchError"
    assert attributes["reason"] == "detail.livemode must be false in this environment"


def test_refused_event_is_parked_with_the_apis_answer(
    api: ReferenceApi, aws: Aws, payments: Function, parked: Parked
) -> None:
    answer = '{"error": "unknown customer ada@example.com"}' + "x" * 2000
    api.fail(Fault(status=422, body=answer, times=1))
    payments.new_lines()
    envelope = paid()
    assert payments.invoke(envelope) == {
        "outcome": "parked",
        "event_type": "payment_intent.succeeded",
        "path": "/api/billing/payment-succeeded",
    }
    assert statuses_for(api, envelope) == [422], "the same request gets the same answer"
    record = record_of(aws, "payments", envelope)
    assert record is not None
    assert record["status"] == {"S": "RELEASED"}
    lines = payments.new_lines()
    (line,) = [line for line in lines if "message" in line]
    wanted = {
        "message": "event parked",
        "level": "ERROR",
        "event_id": event_id(envelope),
        "correlation_id": event_id(envelope),
        "event_type": "payment_intent.succeeded",
        "error": "PermanentError",
        "reason": "the API answered 422",
        "status": 422,
        "path": "/api/billing/payment-succeeded",
    }
    assert {key: line[key] for key in wanted} == wanted
    assert set(metrics(lines)) == {"EventsParked", "MessagesParked", "ApiLatency"}
    (counted,) = metrics(lines)["MessagesParked"]
    assert counted["dimensions"] == {"service": "payments", "environment": "dev"}
    ((attributes, body),) = parked.take()
    assert attributes == {
        "reason": "the API answered 422",
        "error": "PermanentError",
        "status": "422",
        "endpoint": "/api/billing/payment-succeeded",
        "event_id": event_id(envelope),
        "event_type": "payment_intent.succeeded",
    }
    assert body["parked"]["answer"] == answer[:1024]
    assert payments.invoke(body["envelope"])["outcome"] == "applied", "the parked event is free to go"


def test_event_that_cannot_be_parked_is_left_to_lambda(
    api: ReferenceApi, start: Start, dead_letter_queue: str
) -> None:
    function = start("payments", DEAD_LETTER_QUEUE_URL=f"{dead_letter_queue}-that-is-not-there")
    api.fail(Fault(status=422, times=1))
    with pytest.raises(FunctionError) as caught:
        function.invoke(paid())
    assert (caught.value.kind, caught.value.message) == ("PermanentError", "the API answered 422")
    lines = function.new_lines()
    (warning,) = [line for line in lines if line.get("message") == "event not parked"]
    assert warning["reason"].startswith("the dead-letter queue ")
    assert set(metrics(lines)) == {"EventsFailed", "ApiLatency"}


@pytest.mark.parametrize("status", [401, 403])
def test_refused_key_is_counted_for_the_whole_function(
    api: ReferenceApi, payments: Function, status: int
) -> None:
    api.fail(Fault(status=status, times=1))
    payments.new_lines()
    with pytest.raises(FunctionError) as caught:
        payments.invoke(paid())
    assert caught.value.kind == "AuthenticationRefusedError"
    found = metrics(payments.new_lines())
    (refused,) = found["AuthenticationRefused"]
    assert refused == {
        "value": [1.0],
        "unit": "Count",
        "namespace": "HuntazeStripe",
        "dimensions": DIMENSIONS,
    }
    (failed,) = found["EventsFailed"]
    assert failed["dimensions"] == DIMENSIONS | {"event_type": "payment_intent.succeeded"}


def test_rotated_key_heals_without_a_new_start(api: ReferenceApi, aws: Aws, start: Start) -> None:
    secrets = aws.client("secretsmanager")
    secrets.create_secret(Name="rotated", SecretString='{"HUNTAZE_API_KEY": "hk_old"}')
    function = start("payments", SECRET_IDS="rotated")
    envelope = paid()
    with pytest.raises(FunctionError) as caught:
        function.invoke(envelope)
    assert caught.value.kind == "AuthenticationRefusedError"
    assert statuses_for(api, envelope) == [401], "a retry cannot fix a key"
    secrets.put_secret_value(SecretId="rotated", SecretString=json.dumps({"HUNTAZE_API_KEY": API_KEY}))
    assert function.invoke(envelope)["outcome"] == "applied"


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_transient_failure_is_tried_again_with_the_same_key(
    api: ReferenceApi, payments: Function, status: int
) -> None:
    api.fail(Fault(status=status, times=2))
    payments.new_lines()
    envelope = paid()
    assert payments.invoke(envelope)["outcome"] == "applied"
    first, second, third = requests_for(api, envelope)
    assert [request.status for request in (first, second, third)] == [status, status, 200]
    assert first.body == second.body == third.body
    lines = payments.new_lines()
    attempts = [line for line in lines if line.get("message") == "attempt failed"]
    assert [(line["attempt"], line["status"]) for line in attempts] == [(1, status), (2, status)]
    assert 0 <= attempts[0]["wait_ms"] <= 250
    assert 0 <= attempts[1]["wait_ms"] <= 500
    assert [len(latency["value"]) for latency in metrics(lines)["ApiLatency"]] == [3]


def test_api_that_keeps_failing_is_left_to_lambda(api: ReferenceApi, payments: Function) -> None:
    api.fail(Fault(status=503))
    envelope = paid()
    with pytest.raises(FunctionError) as caught:
        payments.invoke(envelope)
    assert (caught.value.kind, caught.value.message) == ("TransientError", "the API answered 503")
    assert statuses_for(api, envelope) == [503] * ATTEMPTS
    api.clear_faults()
    assert payments.invoke(envelope)["outcome"] == "applied"


def test_retry_after_is_waited_for(api: ReferenceApi, payments: Function) -> None:
    api.fail(Fault(status=429, headers={"Retry-After": "2"}, times=1))
    envelope = paid()
    assert payments.invoke(envelope)["outcome"] == "applied"
    refused, applied = requests_for(api, envelope)
    assert applied.received_at - refused.received_at >= 2


@pytest.mark.parametrize(("retry_after", "remaining_seconds"), [("60", 30.0), ("0", 18.0)])
def test_attempt_without_the_time_for_it_is_not_begun(
    api: ReferenceApi, payments: Function, retry_after: str, remaining_seconds: float
) -> None:
    api.fail(Fault(status=503, headers={"Retry-After": retry_after}, times=1))
    envelope = paid()
    with pytest.raises(FunctionError) as caught:
        payments.invoke(envelope, remaining_seconds=remaining_seconds)
    assert caught.value.kind == "TransientError"
    assert statuses_for(api, envelope) == [503]


def test_connection_reset_after_the_api_applied_is_not_applied_twice(
    api: ReferenceApi, payments: Function
) -> None:
    api.fail(Fault(applies=True, reset=True, times=1))
    envelope = paid()
    assert payments.invoke(envelope)["outcome"] == "applied"
    assert statuses_for(api, envelope) == [NO_ANSWER, 409]
    assert [request.applied for request in requests_for(api, envelope)] == [True, False]


def test_slow_body_does_not_hold_a_success_up(api: ReferenceApi, payments: Function) -> None:
    api.fail(Fault(applies=True, body_delay=20.0, times=1))
    started = time.monotonic()
    assert payments.invoke(paid())["outcome"] == "applied"
    assert time.monotonic() - started < 8


def test_closed_port_is_transient(start: Start) -> None:
    function = start("payments", HUNTAZE_API_URL=closed_url())
    with pytest.raises(FunctionError) as caught:
        function.invoke(paid())
    assert (caught.value.kind, caught.value.message) == (
        "TransientError",
        "the API could not be reached (ConnectError)",
    )


def test_two_invocations_of_one_event_apply_it_once(
    api: ReferenceApi, payments: Function, start: Start
) -> None:
    envelope = paid()
    api.fail(Fault(applies=True, header_delay=6.0, times=1))
    other = start("payments")
    payments.send(envelope)
    wait_for_requests(api, envelope, 1)
    with pytest.raises(FunctionError) as caught:
        other.invoke(envelope)
    assert caught.value.message == "another invocation is applying this event"
    assert payments.result()["outcome"] == "applied"
    assert other.invoke(envelope)["outcome"] == "duplicate"
    assert len(requests_for(api, envelope)) == 1


def test_killed_function_leaves_an_event_that_can_be_applied_when_its_time_is_up(
    api: ReferenceApi, payments: Function, start: Start
) -> None:
    envelope = paid()
    api.fail(Fault(applies=True, header_delay=5.0, times=1))
    killed = start("payments")
    killed.send(envelope, remaining_seconds=2.0)
    wait_for_requests(api, envelope, 1)
    killed.kill()
    deadline = time.monotonic() + 10
    while True:
        try:
            result = payments.invoke(envelope)
            break
        except FunctionError as error:
            assert error.message == "another invocation is applying this event"  # noqa: PT017 (retried)
            assert time.monotonic() < deadline, "the dead function's record never ended"
            time.sleep(0.1)
    assert result["outcome"] == "applied"
    assert sum(request.applied for request in requests_for(api, envelope)) == 1


def test_settings_are_read_from_the_secret_and_from_the_environment_first(
    api: ReferenceApi, start: Start
) -> None:
    wrong = start("payments", HUNTAZE_API_KEY="hk_wrong")
    with pytest.raises(FunctionError) as caught:
        wrong.invoke(paid())
    assert caught.value.kind == "AuthenticationRefusedError"
    right = start("payments", HUNTAZE_API_KEY=API_KEY, SECRET_IDS="does-not-exist")
    assert right.invoke(paid())["outcome"] == "applied"
    assert start("payments", SECRET_IDS=SECRET).invoke(paid())["outcome"] == "applied"


@pytest.mark.parametrize("variable", ["HUNTAZE_API_URL", "LIVEMODE", "IDEMPOTENCY_TABLE", "SECRET_IDS"])
def test_missing_setting_is_logged_as_a_failed_event(start: Start, variable: str) -> None:
    function = start("payments", **{variable: ""})
    with pytest.raises(FunctionError) as caught:
        function.invoke(paid())
    assert caught.value.kind == "ConfigurationError"
    assert caught.value.message.startswith(variable)
    (line,) = function.new_logs("event failed")
    assert line["error"] == "ConfigurationError"


def test_missing_table_is_a_matter_of_configuration(start: Start) -> None:
    with pytest.raises(FunctionError) as caught:
        start("payments", IDEMPOTENCY_TABLE="no-such-table").invoke(paid())
    assert (caught.value.kind, caught.value.message) == (
        "ConfigurationError",
        "the idempotency table answered ResourceNotFoundException; check the function's role and settings",
    )


@pytest.mark.parametrize("secret", [SECRET, "does-not-exist"])
def test_function_starts_in_lambda_whatever_the_secret_holds(
    api: ReferenceApi, start: Start, secret: str
) -> None:
    function = start("billing", AWS_LAMBDA_INITIALIZATION_TYPE="on-demand", SECRET_IDS=secret)
    envelope = fresh("customer.created", stripe.customer())
    if secret == SECRET:
        assert function.invoke(envelope)["outcome"] == "applied"
        return
    with pytest.raises(FunctionError) as caught:
        function.invoke(envelope)
    assert caught.value.kind == "ConfigurationError"


def test_parked_event_holds_no_secret_and_is_applied_when_redriven(
    api: ReferenceApi, payments: Function, parked: Parked
) -> None:
    nested = {"payment_intent": {"id": "pi_2", "client_secret": "pi_2_secret_PLANTED"}}
    fields = {"client_secret": "pi_1_secret_PLANTED", "latest_invoice": nested}
    envelope = fresh("payment_intent.succeeded", stripe.payment_intent(**fields))
    api.fail(Fault(status=422, body=f"you sent Authorization: Bearer {API_KEY}", times=1))
    assert payments.invoke(envelope)["outcome"] == "parked"
    ((_, body),) = parked.take()
    assert "PLANTED" not in json.dumps(body)
    assert body["parked"]["answer"] == "you sent Authorization: Bearer ***"
    assert payments.invoke(body["envelope"])["outcome"] == "applied"


@pytest.mark.parametrize("body", ["error code: 1001", '{"code": "version_conflict"}'])
def test_conflict_that_a_proxy_answered_loses_no_event(
    api: ReferenceApi, payments: Function, parked: Parked, body: str
) -> None:
    envelope = paid()
    api.fail(Fault(status=409, body=body, times=ATTEMPTS))
    with pytest.raises(FunctionError, match="409 without a code of its contract"):
        payments.invoke(envelope)
    assert payments.invoke(envelope)["outcome"] == "applied"
    assert parked.take() == []


def test_refused_event_is_not_parked_while_the_table_keeps_it_claimed(
    api: ReferenceApi,
    aws: Aws,
    environment: dict[str, str],
    payments: Function,
    parked: Parked,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings.forget_settings()
    table = ThrottledFromTheSecondCall(aws.client("dynamodb"))
    monkeypatch.setattr(idempotency_table, "client", lambda: table)
    context: Any = SimpleNamespace(get_remaining_time_in_millis=lambda: 30_000, client_context=None)
    api.fail(Fault(status=404, times=1))
    try:
        with pytest.raises(TransientError, match="ThrottlingException"):
            process.process("payments", paid(), context)
    finally:
        settings.forget_settings()
    assert parked.take() == []


class ThrottledFromTheSecondCall:
    """The table's client: a claim can be made, and not be released."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._calls = 0

    def __getattr__(self, name: str) -> Any:
        self._calls += 1
        if self._calls > 1:
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "DynamoDB")
        return getattr(self._client, name)
