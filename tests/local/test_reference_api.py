"""The reference API keeps the contract: it applies each correct call once, and refuses every other."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import pytest

from ops.reference.huntaze import ReferenceApi
from tests.local.reference_calls import API_KEY, CALLED, Call, sample_call

INVOICE_PAID = "acacia/invoice.paid.json"


@pytest.fixture
def call() -> Call:
    return sample_call(INVOICE_PAID)


@pytest.mark.parametrize("name", CALLED)
def test_correct_call_of_each_sample_is_applied(name: str, api: ReferenceApi, client: httpx.Client) -> None:
    correct = sample_call(name)
    answer = correct.send(client)
    assert answer.status_code == 200, answer.text
    (applied,) = api.applied()
    assert (applied.path, applied.body) == (correct.path, correct.body)
    assert applied.event_type == correct.headers["X-Stripe-Event-Type"]
    assert applied.idempotency_key == correct.headers["Idempotency-Key"]


def test_request_is_recorded_without_its_authorization(
    api: ReferenceApi, client: httpx.Client, call: Call
) -> None:
    call.send(client)
    (recorded,) = api.requests()
    assert (recorded.path, recorded.body, recorded.status) == (call.path, call.body, 200)
    assert recorded.idempotency_key == call.headers["Idempotency-Key"]
    assert recorded.header("x-stripe-event-type") == "invoice.paid"
    assert recorded.header("Authorization") is None
    assert API_KEY not in repr(recorded)
    assert recorded.applied
    assert not recorded.injected


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        ({"Authorization": None}, 401, "Bearer"),
        ({"Authorization": "Bearer hk_of_somebody_else"}, 401, "Bearer"),
        ({"Authorization": f"Basic {API_KEY}"}, 401, "Bearer"),
        ({"Authorization": API_KEY}, 401, "Bearer"),
        ({"Content_Type": "text/plain"}, 415, "application/json"),
        ({"Content_Type": None}, 415, "application/json"),
        ({"X_Stripe_Event_Type": None}, 400, "X-Stripe-Event-Type"),
        ({"X_Stripe_Event_Type": "customer.created"}, 400, "invoice.paid"),
        ({"X_Stripe_Event_Created": None}, 400, "X-Stripe-Event-Created is missing"),
        ({"X_Stripe_Event_Created": "2025-01-27"}, 400, "Unix seconds"),
        ({"X_Stripe_Event_Created": "1738576800.5"}, 400, "Unix seconds"),
        ({"X_Stripe_Api_Version": None}, 400, "X-Stripe-Api-Version is missing"),
        ({"X_Stripe_Api_Version": "None"}, 400, "X-Stripe-Api-Version"),
        ({"User_Agent": "python-httpx/0.28.1"}, 400, "huntaze-stripe-eventbridge"),
        ({"User_Agent": "huntaze-stripe-eventbridge/"}, 400, "huntaze-stripe-eventbridge"),
        ({"Idempotency_Key": None}, 400, "Idempotency-Key is missing"),
        ({"Idempotency_Key": "in_1"}, 400, "event id"),
        ({"Idempotency_Key": "evt_1:"}, 400, "event id"),
    ],
)
def test_wrong_header_is_refused_and_named(
    api: ReferenceApi,
    client: httpx.Client,
    call: Call,
    changes: dict[str, str | None],
    status: int,
    message: str,
) -> None:
    answer = call.with_headers(**changes).send(client)
    assert answer.status_code == status
    assert message in answer.json()["detail"]
    assert not api.applied()
    assert [recorded.status for recorded in api.requests()] == [status]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"amountPaid": "2490"}, "amountPaid must be an integer"),
        ({"amountPaid": 24.9}, "amountPaid must be an integer"),
        ({"amountPaid": True}, "amountPaid must be an integer"),
        ({"currency": "EUR"}, "currency must be a lower-case"),
        ({"currency": "xts"}, "no account has xts"),
        ({"invoiceId": None}, "invoiceId must be a string that begins with in_"),
        ({"invoiceId": "pi_1"}, "invoiceId must be a string that begins with in_"),
        ({"customerId": {"id": "cus_1"}}, "customerId must be a non-empty string or null"),
        ({"customerId": ""}, "customerId must be a non-empty string or null"),
        ({"subscriptionId": {"id": "sub_1"}}, "subscriptionId must be"),
        ({"periodEnd": "1738576800"}, "periodEnd must be an integer of Unix seconds"),
        ({"metadata": {"seats": 3}}, "metadata must be an object of strings or null"),
        ({"metadata": []}, "metadata must be an object of strings or null"),
        ({"eventId": "evt_1"}, "eventId is unknown"),
    ],
)
def test_wrong_value_in_the_body_is_refused_and_named(
    api: ReferenceApi, client: httpx.Client, call: Call, changes: dict[str, Any], message: str
) -> None:
    answer = call.with_body(**changes).send(client)
    assert answer.status_code == 422
    assert message in answer.json()["detail"]
    assert not api.applied()


@pytest.mark.parametrize("name", CALLED)
def test_every_value_but_the_objects_own_id_may_be_null(name: str, client: httpx.Client) -> None:
    correct = sample_call(name)
    own_id, *others = correct.body
    assert replace(correct, body=correct.body | dict.fromkeys(others)).send(client).status_code == 200
    assert replace(correct, body=correct.body | {own_id: None}).send(client).status_code == 422


@pytest.mark.parametrize("name", CALLED)
def test_body_without_any_one_of_its_keys_is_refused(name: str, client: httpx.Client) -> None:
    correct = sample_call(name)
    for key in correct.body:
        lacking = replace(correct, body={name: value for name, value in correct.body.items() if name != key})
        answer = lacking.send(client)
        assert (answer.status_code, answer.json()["detail"]) == (422, f"{key} is missing")


@pytest.mark.parametrize("key", ["code", "declineCode", "message", "type"])
def test_failure_reason_has_exactly_four_values(client: httpx.Client, key: str) -> None:
    failed = sample_call("current/payment_intent.payment_failed.json")
    reason = failed.body["failureReason"]
    lacking = {name: value for name, value in reason.items() if name != key}
    for wrong in (lacking, {**reason, "payment_method": {"id": "pm_1"}}, {**reason, key: 1}):
        assert failed.with_body(failureReason=wrong).send(client).status_code == 422
    assert failed.with_body(failureReason={**reason, key: None}).send(client).status_code == 200


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"amount=1", 400),
        (b'{"amount": NaN}', 400),
        (b'{"amount": 1, "amount": 2}', 400),
        (b"\xff\xfe", 400),
        (b"[]", 422),
        (b"null", 422),
    ],
)
def test_content_that_is_not_a_json_object_is_refused(
    client: httpx.Client, call: Call, content: bytes, status: int
) -> None:
    assert replace(call, body=content).send(client).status_code == status


@pytest.mark.parametrize(
    "path", ["/api/billing/refunds", "/api/billing/invoice-paid/", "/api/billing/invoice-paid?x=1", "/"]
)
def test_unknown_path_is_not_found(client: httpx.Client, call: Call, path: str) -> None:
    assert replace(call, path=path).send(client).status_code == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_other_method_is_not_allowed(client: httpx.Client, call: Call, method: str) -> None:
    assert call.send(client, method).status_code == 405


def test_repeated_call_is_answered_as_already_applied(
    api: ReferenceApi, client: httpx.Client, call: Call
) -> None:
    assert [call.send(client).status_code for _ in range(3)] == [200, 409, 409]
    assert call.with_body().send(client).json()["code"] == "already_applied"
    assert len(api.applied()) == 1
    assert [recorded.applied for recorded in api.requests()] == [True, False, False, False]


def test_idempotency_key_of_another_call_is_refused(
    api: ReferenceApi, client: httpx.Client, call: Call
) -> None:
    call.send(client)
    key = call.headers["Idempotency-Key"]
    other_body = call.with_body(amountPaid=1)
    other_path = sample_call("acacia/customer.created.json").with_headers(Idempotency_Key=key)
    for reused in (other_body, other_path):
        answer = reused.send(client)
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert len(api.applied()) == 1


def test_refused_call_does_not_use_up_its_idempotency_key(client: httpx.Client, call: Call) -> None:
    assert call.with_body(amountPaid="2490").send(client).status_code == 422
    assert call.send(client).status_code == 200


def test_key_of_a_forced_replay_is_another_call(api: ReferenceApi, client: httpx.Client, call: Call) -> None:
    forced = call.with_headers(Idempotency_Key=f"{call.headers['Idempotency-Key']}:replay-2025-03")
    assert [each.send(client).status_code for each in (call, forced, forced)] == [200, 200, 409]
    assert len(api.applied()) == 2


def test_equal_calls_at_one_time_are_applied_once(
    api: ReferenceApi, client: httpx.Client, call: Call
) -> None:
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(lambda _: call.send(client).status_code, range(64)))
    assert sorted(statuses) == [200, *[409] * 63]
    assert len(api.applied()) == 1
    assert len(api.requests()) == 64


def test_state_is_the_last_call_about_each_object(api: ReferenceApi, client: httpx.Client) -> None:
    for name in ("customer.created", "customer.updated", "customer.subscription.created"):
        sample_call(f"acacia/{name}.json").send(client)
    updated = sample_call("acacia/customer.updated.json")
    subscribed = sample_call("acacia/customer.subscription.created.json")
    assert {key: applied.body for key, applied in api.state().items()} == {
        updated.body["customerId"]: updated.body,
        subscribed.body["subscriptionId"]: subscribed.body,
    }


def test_connection_is_kept_alive_over_answers_of_every_kind(
    api: ReferenceApi, client: httpx.Client, call: Call
) -> None:
    sent = [call, call, call.with_body(amountPaid="2490"), call.with_headers(Authorization=None)]
    streams = {each.send(client).extensions["network_stream"].get_extra_info("client_addr") for each in sent}
    assert len(streams) == 1
    assert len(api.requests()) == len(sent)


def test_payment_in_the_test_currency_is_always_refused(api: ReferenceApi, client: httpx.Client) -> None:
    refused = sample_call("refused/payment_intent.succeeded--test-currency.json")
    for _ in range(2):
        answer = refused.send(client)
        assert (answer.status_code, answer.json()["code"]) == (422, "event_rejected")
    assert not api.applied()


@pytest.mark.parametrize("depth", [40, 500, 100_000])
def test_content_nested_too_deeply_is_refused_and_recorded(
    api: ReferenceApi, client: httpx.Client, call: Call, depth: int
) -> None:
    nested = replace(call, body=b"[" * depth + b"]" * depth)
    assert nested.send(client).status_code == 400
    assert [recorded["status"] for recorded in client.get("/_control/requests").json()["requests"]] == [400]


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"Content-Length: 9999999\r\n", 413),
        (b"Content-Length: " + b"9" * 5000 + b"\r\n", 413),
        (b"Content-Length: -1\r\n", 411),
        (b"Content-Length: \xb2\r\n", 411),
        (b"Transfer-Encoding: chunked\r\n", 411),
    ],
)
def test_body_that_is_not_read_is_refused_and_recorded(api: ReferenceApi, head: bytes, status: int) -> None:
    with raw_connection(api) as connection:
        connection.sendall(b"POST /api/billing/invoice-paid HTTP/1.1\r\nHost: api\r\n" + head + b"\r\n")
        assert read_to_end(connection).startswith(f"HTTP/1.1 {status} ".encode())
    assert [(recorded.status, recorded.applied) for recorded in api.requests()] == [(status, False)]


def test_body_cut_short_by_a_killed_caller_is_not_a_request(api: ReferenceApi) -> None:
    with raw_connection(api) as connection:
        connection.sendall(
            b"POST /api/billing/invoice-paid HTTP/1.1\r\nHost: api\r\nContent-Length: 99\r\n\r\n{"
        )
        connection.shutdown(socket.SHUT_WR)
        assert read_to_end(connection) == b""
    assert not api.requests()


def raw_connection(api: ReferenceApi) -> socket.socket:
    url = httpx.URL(api.url)
    return socket.create_connection((url.host, url.port or 0), timeout=10)


def read_to_end(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))
