"""What is removed from a text before it is stored."""

from __future__ import annotations

import json
from typing import Any

import pytest

from functions.shared.redaction import without_client_secrets, without_keys

KEY = 'hk_live_4f"+/=9c1b7e'


@pytest.mark.parametrize(
    "detail",
    [
        {"data": {"object": {"id": "pi_1", "client_secret": "pi_1_secret_PLANTED"}}},
        {"latest_invoice": {"payment_intent": {"client_secret": "pi_1_secret_PLANTED"}}},
        {"latest_invoice": {"confirmation_secret": {"type": "x", "client_secret": "pi_1_secret_PLANTED"}}},
        {"lines": [{"setup_intent": {"client_secret": "seti_1_secret_PLANTED"}}]},
        {"client_secret": 'cs_test_1_secret_"\\PLANTED'},
        {"payment_intent_client_secret": "PLANTED"},
        {"next_action": {"redirect_to_url": {"url": "https://x.example/?a=1&client_secret=src_PLANTED&b"}}},
        {"next_action": {"use_stripe_sdk": {"stripe_js": "open seti_1AbC_secret_PLANTED now"}}},
        {"quoted": json.dumps({"client_secret": "pi_1_secret_PLANTED"})},
    ],
)
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_client_secret_is_taken_out_wherever_it_is(detail: Any, separators: tuple[str, str]) -> None:
    text = without_client_secrets(json.dumps({"detail": detail}, separators=separators))
    assert "PLANTED" not in text
    # It is JSON as before.
    json.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        '{"client_secret":null,"id":"pi_1"}',
        '{"description":"a secret_sauce","number":1e999,"n":12345678901234567890}',
        '{"a":"no client_secret here"}',
        "[" * 100_000,
        "no JSON",
    ],
)
def test_all_else_stays_as_it_is(text: str) -> None:
    assert without_client_secrets(text) == text


@pytest.mark.parametrize(
    "answer",
    [
        f"you sent Authorization: Bearer {KEY}",
        f"bad key {KEY}!",
        json.dumps({"error": f"bad key {KEY}"}),
        "key=hk_live_4f%22%2B%2F%3D9c1b7e&x",
        # The limit of what is kept cut it in two.
        f"bad key {KEY[:-1]}",
        f"bad key {KEY[:14]}",
        "you sent authorization: 9c1b7e-of-another",
        '{"headers": {"authorization": "Bearer another-9c1b7e"}}',
        "Bearer another.9c1b7e~token",
        "Stripe says: Invalid API Key provided: sk_live_9c1b7e",
    ],
)
def test_keys_are_taken_out_of_an_answer(answer: str) -> None:
    text = without_keys(answer, KEY)
    assert "9c1b7e" not in text
    assert '4f"' not in text
    assert "***" in text


def test_what_an_answer_says_stays() -> None:
    for answer in ('{"error": "unknown customer", "code": "event_rejected"}', "the bearer is unknown", ""):
        assert without_keys(answer, KEY) == answer
