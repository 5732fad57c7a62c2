"""Each form of a message in a dead-letter queue, and what has none of these forms."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from functions.dead_letters.message import (
    CONFIGURATION,
    PERMANENT,
    TRANSIENT,
    UNKNOWN,
    DeadLetterMessage,
    classify_failure,
    parse,
)
from functions.dead_letters.queue import DeadLetterQueue
from tests.unit import snapshots
from tests.unit.received import received

ENVELOPE = snapshots.envelope("payment_intent.succeeded", snapshots.payment_intent())
SECRET = "ada@example.com"


def on_failure(response: Any, condition: str = "RetriesExhausted") -> DeadLetterMessage:
    record = {
        "version": "1.0",
        "requestContext": {"condition": condition, "approximateInvokeCount": 3},
        "requestPayload": ENVELOPE,
        "responseContext": {"statusCode": 200, "functionError": "Unhandled"},
        "responsePayload": response,
    }
    return parse(received(record))


def test_parked_message_has_its_reason_and_the_api_status() -> None:
    parked = {
        "reason": "the API answered 422",
        "error": "PermanentError",
        "status": 422,
        "endpoint": "/api/billing/payment-succeeded",
        "answer": SECRET,
        "handler": "payments",
    }
    message = parse(received({"parked": parked, "envelope": ENVELOPE}))
    assert (message.event_id, message.event_type) == ("evt_unit_1", "payment_intent.succeeded")
    assert (message.kind, message.reason, message.error) == (PERMANENT, parked["reason"], "PermanentError")
    assert (message.status, message.endpoint) == (422, parked["endpoint"])
    assert message.failed_at == 1775037600.5
    assert message.envelope == ENVELOPE
    assert SECRET not in repr(message)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ('{"title": "Refused", "code": "unknown_customer"}', "unknown_customer"),
        ('{"error": {"code": "unknown_customer", "message": "cut o', "unknown_customer"),
        ('{"code": "ada@example.com"}', None),
        ("", None),
        (None, None),
    ],
)
def test_parked_message_has_the_code_of_the_apis_answer(answer: object, code: str | None) -> None:
    message = parse(received({"parked": {"answer": answer}, "envelope": ENVELOPE}))
    assert message.api_code == code
    assert message.envelope_id == ENVELOPE["id"]


def test_parked_message_may_have_no_envelope() -> None:
    parked = {"reason": "the envelope must be a JSON object", "error": "InvalidEventError"}
    message = parse(received({"parked": parked, "envelope": None}))
    assert (message.kind, message.event_id, message.status) == (PERMANENT, None, None)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("TransientError", TRANSIENT),
        ("PermanentError", PERMANENT),
        ("InvalidEventError", PERMANENT),
        ("LivemodeMismatchError", PERMANENT),
        ("ConfigurationError", CONFIGURATION),
        ("AuthenticationRefusedError", CONFIGURATION),
    ],
)
def test_own_error_decides_kind_and_reason(error: str, kind: str) -> None:
    message = on_failure({"errorType": error, "errorMessage": "the API answered 503"})
    assert (message.kind, message.reason, message.error) == (kind, "the API answered 503", error)
    assert message.envelope == ENVELOPE


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        ({"errorType": "Sandbox.Timedout", "errorMessage": "RequestId: 1 Error: Task timed out"}, TRANSIENT),
        ({"errorMessage": "2026-04-01T10:00:00Z 1 Task timed out after 30.00 seconds"}, TRANSIENT),
        ({"errorType": "Runtime.ExitError", "errorMessage": "exited with error: signal: killed"}, TRANSIENT),
        ({"errorType": "Runtime.OutOfMemory", "errorMessage": "x"}, TRANSIENT),
        ({"errorType": "Runtime.ImportModuleError", "errorMessage": "no module"}, CONFIGURATION),
        ({"errorType": "KeyError", "errorMessage": SECRET}, UNKNOWN),
    ],
)
def test_failure_of_the_function_itself_has_a_kind_and_hides_its_text(response: Any, kind: str) -> None:
    message = on_failure(response)
    assert message.kind == kind
    assert SECRET not in message.reason


@pytest.mark.parametrize("response", [None, {}, "text", []])
def test_event_that_never_reached_the_function_is_transient(response: Any) -> None:
    message = on_failure(response, "EventAgeExceeded")
    assert (message.kind, message.error) == (TRANSIENT, "EventAgeExceeded")
    assert message.reason == "Lambda gave up before the function ran (EventAgeExceeded)"


@pytest.mark.parametrize(
    ("code", "kind"), [("NO_PERMISSIONS", CONFIGURATION), ("THROTTLING", TRANSIENT), ("TIMEOUT", TRANSIENT)]
)
def test_undelivered_event_has_eventbridges_reason(code: str, kind: str) -> None:
    message = parse(received(ENVELOPE, ERROR_CODE=code, ERROR_MESSAGE="no luck", RULE_ARN="arn:aws:x"))
    assert (message.kind, message.error) == (kind, code)
    assert message.reason == f"EventBridge could not deliver the event ({code}: no luck)"
    assert message.envelope == ENVELOPE


def test_bare_envelope_comes_from_the_audit_queue() -> None:
    moved = received(ENVELOPE)
    moved["Attributes"]["MessageGroupId"] = "payments"
    message = parse(moved)
    assert (message.kind, message.reason) == (TRANSIENT, "the ledger did not store the event")
    assert message.event_id == "evt_unit_1"
    message = parse(received(ENVELOPE))
    assert (message.kind, message.reason) == (UNKNOWN, "the message does not say why it is here")


def test_message_parked_by_the_audit_function_has_its_reason() -> None:
    parked = received(ENVELOPE, reason="detail.type must be a text", error="InvalidEventError")
    parked["Attributes"]["MessageGroupId"] = "payments"
    message = parse(parked)
    assert (message.kind, message.reason) == (PERMANENT, "detail.type must be a text")
    assert message.envelope == ENVELOPE


@pytest.mark.parametrize("body", ["", "no json", "null", "[]", '"text"', "{}", '{"a": 1}', "[" * 100_000])
def test_message_of_unknown_form_has_no_envelope(body: str) -> None:
    message = parse(received(body))
    assert (message.kind, message.envelope, message.event_id, message.body) == (UNKNOWN, None, None, body)


@pytest.mark.parametrize("detail", [None, [], "x", {"id": 7, "type": ["x"]}, {"id": "é", "type": SECRET}])
def test_envelope_without_a_valid_event_has_no_event_id(detail: Any) -> None:
    message = parse(received({"detail": detail}))
    assert (message.event_id, message.event_type) == (None, None)


@pytest.mark.parametrize("body", ["no json", "[1]", '{"id": "x"}'])
def test_parked_message_that_is_not_an_event_has_its_reason(body: str) -> None:
    parked = received(body, reason="the body is not an event", error="InvalidEventError")
    parked["Attributes"]["MessageGroupId"] = "payments"
    message = parse(parked)
    assert (message.kind, message.reason) == (PERMANENT, "the body is not an event")
    assert message.envelope is None


@pytest.mark.parametrize(
    ("error", "text", "kind", "reason"),
    [
        ("TransientError", "the API answered 503", TRANSIENT, "the API answered 503"),
        ("Sandbox.Timedout", "x", TRANSIENT, "the function ended with Sandbox.Timedout"),
        ("None", "Task timed out after 30.00 seconds", TRANSIENT, "the function ended with Sandbox.Timedout"),
        ("KeyError", SECRET, UNKNOWN, "the function ended with KeyError"),
    ],
)
def test_reason_of_a_functions_error_holds_no_value_of_the_event(
    error: str, text: str, kind: str, reason: str
) -> None:
    assert classify_failure(error, text) == (kind, reason)


class LargeQueue:
    """An SQS whose queue never ends: messages are visible again after their timeout, or at once."""

    def __init__(self, clock: list[float], messages: int) -> None:
        self.clock = clock
        self.numbers = itertools.cycle(range(messages))
        self.calls = 0

    def receive_message(self, **asked: Any) -> dict[str, Any]:
        self.clock[0] += 1.0
        self.calls += 1
        numbers = [next(self.numbers) for _ in range(asked["MaxNumberOfMessages"])]
        return {"Messages": [received(ENVELOPE) | {"MessageId": f"m-{number}"} for number in numbers]}


@pytest.mark.parametrize(("messages", "calls"), [(100_000, 60), (20, 3)], ids=["too many", "visible at once"])
def test_receiving_ends_before_the_first_messages_are_visible_again(
    messages: int, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("functions.dead_letters.queue.time.monotonic", lambda: clock[0])
    sqs: Any = LargeQueue(clock, messages)
    taken = DeadLetterQueue("dlq", "https://sqs/dlq", sqs).receive_all(visibility_timeout=120)
    assert sqs.calls == calls
    assert len(taken) == len({message.message_id for message in taken}) == min(messages, calls * 10)


@pytest.mark.parametrize("error", ["PermanentError", "DoubtfulRefusalError", "TransientError"])
def test_brief_message_says_all_but_the_event(error: str) -> None:
    parked = {"reason": "r", "error": error, "status": 422, "answer": '{"code": "card_declined"}'}
    whole = parse(received({"parked": parked, "envelope": ENVELOPE}))
    brief = whole.brief()
    same = (
        "message_id",
        "receipt",
        "failed_at",
        "event_id",
        "event_type",
        "kind",
        "reason",
        "error",
        "status",
    )
    for name in (*same, "endpoint", "envelope_id", "api_code", "unsettled"):
        assert getattr(brief, name) == getattr(whole, name), name
    assert brief.envelope == {"id": ENVELOPE["id"], "time": ENVELOPE["time"]}
    assert len(brief.body) < 100
    assert not parse(received("no json")).brief().unsettled


def test_message_of_a_thin_event_has_the_identity_of_its_snapshot_event() -> None:
    snapshot = snapshots.envelope("charge.failed", snapshots.charge())
    message = parse(received(snapshots.thin(snapshot)))
    assert (message.event_id, message.event_type) == ("evt_unit_1", "charge.failed")
    assert message.envelope_id == f"{snapshot['id']}-thin"
