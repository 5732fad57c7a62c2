"""What the phases of the dialects send, and which dead letters they take for events in doubt."""

from __future__ import annotations

import pytest

from functions.pipeline.routing_table import ROUTES
from ops.chaos import dialects
from ops.chaos.history import payment
from ops.chaos.observations import read_dead_letter


def test_payment_that_comes_again_has_another_body_under_the_same_key() -> None:
    first = payment("salt")
    again = dialects.rendered_anew(first)
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
    ("error", "doubt"),
    [
        ("DoubtfulRefusalError", True),
        ("TransientError", True),
        ("Sandbox.Timedout", True),
        ("UnsettledError", False),
        ("PermanentError", False),
        ("InvalidEventError", False),
        ("", False),
    ],
)
def test_letter_in_doubt_is_one_of_a_call_and_not_one_that_waits(error: str, doubt: bool) -> None:
    letter = read_dead_letter("payments-dlq", "message", "{}", {"error": error} if error else {})
    assert dialects.is_in_doubt(letter) is doubt
