"""The shapes in which a dead letter and the reference API's journal are written."""

from __future__ import annotations

import json

import pytest

from ops.chaos.observations import Application, failure_kind, read_dead_letter, read_journal

ENVELOPE = {"id": "envelope-1", "detail": {"id": "evt_1"}}


def test_a_parked_message_tells_its_reason_in_attributes() -> None:
    body = json.dumps({"parked": {"reason": "r"}, "envelope": ENVELOPE})
    letter = read_dead_letter("queue", "m", body, {"error": "PermanentError", "status": "422"})
    assert (letter.event_id, letter.envelope_id) == ("evt_1", "envelope-1")
    assert (letter.kind, letter.error, letter.status) == ("permanent", "PermanentError", 422)


def test_a_message_that_the_audit_parked_is_the_envelope_and_tells_its_reason_in_attributes() -> None:
    letter = read_dead_letter(
        "queue", "m", json.dumps(ENVELOPE), {"error": "InvalidEventError", "reason": "r"}
    )
    assert (letter.event_id, letter.envelope_id) == ("evt_1", "envelope-1")
    assert (letter.kind, letter.error, letter.reason) == ("permanent", "InvalidEventError", "r")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("TransientError", "transient"),
        ("Sandbox.Timedout", "transient"),
        ("Runtime.ExitError", "transient"),
        ("ConfigurationError", "configuration"),
        ("KeyError", "unknown"),
    ],
)
def test_a_record_of_lambda_tells_the_errors_class(error: str, kind: str) -> None:
    body = json.dumps({"requestPayload": ENVELOPE, "responsePayload": {"errorType": error}})
    letter = read_dead_letter("queue", "m", body, {})
    assert (letter.event_id, letter.kind, letter.error) == ("evt_1", kind, error)


def test_what_eventbridge_could_not_hand_over_is_transient() -> None:
    letter = read_dead_letter("queue", "m", json.dumps(ENVELOPE), {"ERROR_CODE": "NO_PERMISSIONS"})
    assert (letter.event_id, letter.kind) == ("evt_1", "transient")


@pytest.mark.parametrize("body", ["no json", "[]", "7", '{"detail": 7}'])
def test_a_message_that_is_no_envelope_is_about_no_event(body: str) -> None:
    letter = read_dead_letter("queue", "m", body, {})
    assert (letter.event_id, letter.kind) == (None, "none")


def test_each_class_of_the_handlers_errors_has_its_kind() -> None:
    assert failure_kind("LivemodeMismatchError") == "permanent"
    assert failure_kind("") == "none"


def test_a_journal_line_that_is_still_being_written_is_left_for_the_next_look() -> None:
    call = {"idempotency_key": "evt_1:forced-a", "event_type": "t", "object_id": "o", "created": 5}
    whole = json.dumps({"applied": call}) + "\n"
    refused = json.dumps({"applied": None}) + "\n"
    calls = read_journal([whole, refused, whole[:20]])
    assert calls == (Application("evt_1:forced-a", "t", "o", 5),)
    assert calls[0].event_id == "evt_1"
