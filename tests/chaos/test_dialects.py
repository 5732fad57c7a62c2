"""What the dialect phases send, and which dead-letter messages count as events in doubt."""

from __future__ import annotations

import pytest

from functions.pipeline.routing_table import ROUTES
from ops.chaos import dialects
from ops.chaos.history import payment
from ops.local.observations import ParkedMessage


def test_payment_that_comes_again_has_another_body_under_the_same_key() -> None:
    first = payment("salt")
    again = dialects.with_other_body(first)
    assert again.event == first.event
    assert again.detail["id"] == first.detail["id"]
    bodies = [
        ROUTES[one.event.type].request(one.detail["data"]["object"])
        for one in (first, again, payment("salt"))
    ]
    assert bodies[0] == bodies[2]
    assert bodies[0] != bodies[1]


def test_payments_of_two_salts_are_two() -> None:
    assert payment("one").event.object_id != payment("two").event.object_id


@pytest.mark.parametrize(
    ("kind", "error", "doubt"),
    [
        ("permanent", "DoubtfulRefusalError", True),
        ("transient", "TransientError", True),
        ("transient", "Sandbox.Timedout", True),
        ("transient", "UnsettledError", False),
        ("permanent", "PermanentError", False),
        ("permanent", "InvalidEventError", False),
        ("unknown", "", False),
    ],
)
def test_message_is_in_doubt_after_a_call_but_not_while_it_waits(kind: str, error: str, doubt: bool) -> None:
    message = ParkedMessage("payments-dlq", "message", "evt_1", "envelope-1", kind, error=error)
    assert dialects.is_in_doubt(message) is doubt
