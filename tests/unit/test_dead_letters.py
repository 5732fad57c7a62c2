"""Each shape of a dead letter, read as one record; what is none of them is shown too."""

from __future__ import annotations

import itertools
import json
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

ENVELOPE = snapshots.envelope("payment_intent.succeeded", snapshots.payment_intent())
SECRET = "ada@example.com"


def message(body: Any, **attributes: str) -> dict[str, Any]:
    return {
        "MessageId": "m-1",
        "ReceiptHandle": "r-1",
        "Body": body if isinstance(body, str) else json.dumps(body),
        "Attributes": {"SentTimestamp": "1775037600500"},
        "MessageAttributes": {
            name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
        },
    }


def on_failure(response: Any, condition: str = "RetriesExhausted") -> DeadLetterMessage:
    record = {
        "version": "1.0",
        "requestContext": {"condition": condition, "approximateInvokeCount": 3},
        "requestPayload": ENVELOPE,
        "responseContext": {"statusCode": 200, "functionError": "Unhandled"},
        "responsePayload": response,
    }
    return parse(message(record))


def test_parked_message_tells_its_reason_and_the_apis_answer() -> None:
    parked = {
        "reason": "the API answered 422",
        "error": "PermanentError",
        "status": 422,
        "endpoint": "/api/billing/payment-succeeded",
        "answer": SECRET,
        "handler": "payments",
    }
    letter = parse(message({"parked": parked, "envelope": ENVELOPE}))
    assert (letter.event_id, letter.event_type) == ("evt_unit_1", "payment_intent.succeeded")
    assert (letter.kind, letter.reason, letter.error) == (PERMANENT, parked["reason"], "PermanentError")
    assert (letter.status, letter.endpoint) == (422, parked["endpoint"])
    assert letter.failed_at == 1775037600.5
    assert letter.envelope == ENVELOPE
    assert SECRET not in repr(letter)


def test_parked_message_may_hold_what_is_no_envelope() -> None:
    parked = {"reason": "the envelope must be a JSON object", "error": "InvalidEventError"}
    letter = parse(message({"parked": parked, "envelope": None}))
    assert (letter.kind, letter.event_id, letter.status) == (PERMANENT, None, None)


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
def test_error_of_ours_decides_the_kind_and_tells_its_reason(error: str, kind: str) -> None:
    letter = on_failure({"errorType": error, "errorMessage": "the API answered 503"})
    assert (letter.kind, letter.reason, letter.error) == (kind, "the API answered 503", error)
    assert letter.envelope == ENVELOPE


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
def test_function_that_was_cut_off_may_succeed_another_time(response: Any, kind: str) -> None:
    letter = on_failure(response)
    assert letter.kind == kind
    assert SECRET not in letter.reason


@pytest.mark.parametrize("response", [None, {}, "text", []])
def test_event_that_never_ran_may_succeed_another_time(response: Any) -> None:
    letter = on_failure(response, "EventAgeExceeded")
    assert (letter.kind, letter.error) == (TRANSIENT, "EventAgeExceeded")
    assert letter.reason == "Lambda gave up before the function ran (EventAgeExceeded)"


@pytest.mark.parametrize(
    ("code", "kind"), [("NO_PERMISSIONS", CONFIGURATION), ("THROTTLING", TRANSIENT), ("TIMEOUT", TRANSIENT)]
)
def test_event_that_was_not_handed_over_tells_eventbridges_reason(code: str, kind: str) -> None:
    letter = parse(message(ENVELOPE, ERROR_CODE=code, ERROR_MESSAGE="no luck", RULE_ARN="arn:aws:x"))
    assert (letter.kind, letter.error) == (kind, code)
    assert letter.reason == f"EventBridge could not deliver the event ({code}: no luck)"
    assert letter.envelope == ENVELOPE


def test_envelope_alone_comes_from_the_audit_queue() -> None:
    moved = message(ENVELOPE)
    moved["Attributes"]["MessageGroupId"] = "payments"
    letter = parse(moved)
    assert (letter.kind, letter.reason) == (TRANSIENT, "the ledger did not store the event")
    assert letter.event_id == "evt_unit_1"
    letter = parse(message(ENVELOPE))
    assert (letter.kind, letter.reason) == (UNKNOWN, "the message does not say why it is here")


def test_message_that_the_audit_function_parked_tells_its_reason() -> None:
    parked = message(ENVELOPE, reason="detail.type must be a text", error="InvalidEventError")
    parked["Attributes"]["MessageGroupId"] = "payments"
    letter = parse(parked)
    assert (letter.kind, letter.reason) == (PERMANENT, "detail.type must be a text")
    assert letter.envelope == ENVELOPE


@pytest.mark.parametrize("body", ["", "no json", "null", "[]", '"text"', "{}", '{"a": 1}', "[" * 100_000])
def test_what_is_no_record_is_shown_without_an_envelope(body: str) -> None:
    letter = parse(message(body))
    assert (letter.kind, letter.envelope, letter.event_id, letter.body) == (UNKNOWN, None, None, body)


@pytest.mark.parametrize("detail", [None, [], "x", {"id": 7, "type": ["x"]}, {"id": "é", "type": SECRET}])
def test_envelope_that_names_no_event_has_no_id(detail: Any) -> None:
    letter = parse(message({"detail": detail}))
    assert (letter.event_id, letter.event_type) == (None, None)


@pytest.mark.parametrize("body", ["no json", "[1]", '{"id": "x"}'])
def test_message_that_is_no_event_tells_why_the_audit_function_parked_it(body: str) -> None:
    parked = message(body, reason="the body is no event", error="InvalidEventError")
    parked["Attributes"]["MessageGroupId"] = "payments"
    letter = parse(parked)
    assert (letter.kind, letter.reason) == (PERMANENT, "the body is no event")
    assert letter.envelope is None


@pytest.mark.parametrize(
    ("error", "text", "kind", "reason"),
    [
        ("TransientError", "the API answered 503", TRANSIENT, "the API answered 503"),
        ("Sandbox.Timedout", "x", TRANSIENT, "the function ended with Sandbox.Timedout"),
        ("None", "Task timed out after 30.00 seconds", TRANSIENT, "the function ended with Sandbox.Timedout"),
        ("KeyError", SECRET, UNKNOWN, "the function ended with KeyError"),
    ],
)
def test_error_of_a_function_is_told_without_what_it_may_hold(
    error: str, text: str, kind: str, reason: str
) -> None:
    assert classify_failure(error, text) == (kind, reason)


class LargeQueue:
    """An SQS whose queue never ends: the messages come again when their hidden time is over, or at once."""

    def __init__(self, clock: list[float], messages: int) -> None:
        self.clock = clock
        self.numbers = itertools.cycle(range(messages))
        self.calls = 0

    def receive_message(self, **asked: Any) -> dict[str, Any]:
        self.clock[0] += 1.0
        self.calls += 1
        numbers = [next(self.numbers) for _ in range(asked["MaxNumberOfMessages"])]
        return {"Messages": [message(ENVELOPE) | {"MessageId": f"m-{number}"} for number in numbers]}


@pytest.mark.parametrize(("messages", "calls"), [(100_000, 60), (20, 3)], ids=["too many", "again at once"])
def test_taking_ends_before_what_was_taken_comes_again(
    messages: int, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("functions.dead_letters.queue.time.monotonic", lambda: clock[0])
    sqs: Any = LargeQueue(clock, messages)
    taken = DeadLetterQueue("dlq", "https://sqs/dlq", sqs).receive_all(visibility_timeout=120)
    assert sqs.calls == calls
    assert len(taken) == len({letter.message_id for letter in taken}) == min(messages, calls * 10)
