"""A dead-letter message and the reference API's journal, as the observer reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ops.local.observations import AppliedCall, read_parked
from ops.local.observer import read_journal

ENVELOPE = {"id": "envelope-1", "detail": {"id": "evt_1", "type": "invoice.paid"}}


def message(body: Any, attributes: dict[str, str], **system: str) -> dict[str, Any]:
    return {
        "MessageId": "message-1",
        "ReceiptHandle": "",
        "Body": body if isinstance(body, str) else json.dumps(body),
        "Attributes": {"SentTimestamp": "1500", **system},
        "MessageAttributes": {name: {"StringValue": value} for name, value in attributes.items()},
    }


def test_a_message_that_a_handler_parked_has_the_code_of_the_apis_answer() -> None:
    reason = "the API answered 422"
    parked = {
        "reason": reason,
        "error": "PermanentError",
        "status": 422,
        "answer": json.dumps({"code": "event_rejected", "detail": "a test currency"}),
    }
    body = {"parked": parked, "envelope": ENVELOPE}
    found = read_parked("queue", message(body, {"error": "PermanentError", "reason": reason}))
    assert (found.event_id, found.envelope_id, found.message_id) == ("evt_1", "envelope-1", "message-1")
    assert (found.kind, found.error, found.status) == ("permanent", "PermanentError", 422)
    assert (found.reason, found.code) == (reason, "event_rejected")
    assert (found.explained, found.at) == (True, 1500)


@pytest.mark.parametrize("answer", [None, "<html>", "[]", json.dumps({"code": 7})])
def test_an_answer_without_a_code_has_none(answer: str | None) -> None:
    body = {"parked": {"reason": "r", "error": "PermanentError", "answer": answer}, "envelope": ENVELOPE}
    assert read_parked("queue", message(body, {"reason": "r"})).code is None


def test_a_message_that_the_audit_parked_has_the_id_that_it_had_in_the_audit_queue() -> None:
    attributes = {"error": "InvalidEventError", "reason": "r"}
    system = {"MessageGroupId": "original", "MessageDeduplicationId": "original"}
    found = read_parked("audit.fifo", message(ENVELOPE, attributes, **system))
    assert (found.message_id, found.envelope_id) == ("original", "envelope-1")
    assert (found.kind, found.explained) == ("permanent", True)


def test_a_message_that_sqs_moved_from_the_audit_queue_is_not_explained() -> None:
    system = {"MessageGroupId": "payments", "MessageDeduplicationId": "a-digest"}
    found = read_parked("audit.fifo", message(ENVELOPE, {}, **system))
    assert (found.message_id, found.kind, found.explained) == ("message-1", "transient", False)


@pytest.mark.parametrize("body", ["no json", "[]", "7", '{"detail": 7}'])
def test_a_message_without_an_event_belongs_to_no_event(body: str) -> None:
    found = read_parked("queue", message(body, {}))
    assert (found.event_id, found.kind) == (None, "unknown")


def test_a_journal_line_that_is_still_being_written_is_left_for_the_next_look(tmp_path: Path) -> None:
    call = {"idempotency_key": "evt_1:forced-a", "event_type": "t", "object_id": "o", "created": 5}
    whole = json.dumps({"request": None, "applied": call}) + "\n"
    refused = json.dumps({"request": None, "applied": None}) + "\n"
    journal = tmp_path / "journal.jsonl"
    journal.write_text(whole + refused + whole[:20])
    requests, calls, position = read_journal(journal, 0)
    assert (requests, calls) == ([], [AppliedCall("evt_1:forced-a", "t", "o", 5)])
    assert calls[0].event_id == "evt_1"
    journal.write_text(whole + refused + whole)
    assert read_journal(journal, position)[1] == calls
