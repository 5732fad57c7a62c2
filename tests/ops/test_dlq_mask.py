"""Of a message, only what is known to be harmless is shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.dlq import json_output
from ops.dlq.mask import _NUMBERS, _STRINGS, DEEPEST, MASKED, TooDeepError, check_depth, masked

pytestmark = pytest.mark.unit

PLANTED = ("jenny.rosen@example.com", "Jenny Rosen", "+33 1 99 00 00 00", "12 Rue de l'Exemple", "4242 4242")
KEYS = st.sampled_from([*_STRINGS, "email", "metadata", "description", "detail", *PLANTED])
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.sampled_from(PLANTED))
DOCUMENTS = st.recursive(
    LEAVES, lambda below: st.one_of(st.lists(below, max_size=4), st.dictionaries(KEYS, below, max_size=4))
)


@given(DOCUMENTS)
def test_personal_data_stays_nowhere(document: Any) -> None:
    shown = json.dumps(masked(document))
    for planted in PLANTED:
        assert json.dumps(planted)[1:-1] not in shown


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("id", "evt_1NG8Du2eZvKYlo2CUI79vXWy"),
        ("id", "cs_test_a11YYufWQzNY63zpQ6QSNRQhkUpVph4WRmzW0zWJO2znZKdVujZ0N0S22u"),
        ("id", "3f0c8b1e-8f9c-4a51-9f6a-0d8a2b7c6e10"),
        ("payment_intent", "pi_3MtwBwLkdIwHu7ix28a3tqPa"),
        ("account", "acct_1032D82eZvKYlo2C"),
        ("type", "customer.subscription.updated"),
        ("status", "requires_payment_method"),
        ("currency", "eur"),
        ("amount_paid", 4900),
        ("unit_amount", 1000),
        ("created", 1_775_037_600),
        ("current_period_end", 1_775_037_600),
        ("attempt_count", 2),
        ("livemode", True),
        ("customer", None),
        ("time", "2026-04-01T10:00:05Z"),
        ("api_version", "2026-03-25.dahlia"),
        ("errorType", "Runtime.ExitError"),
    ],
)
def test_what_an_operator_needs_stays(key: str, value: Any) -> None:
    assert masked({key: value}) == {key: value}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("id", "jenny"),
        ("id", "pi_1_secret_2"),
        ("client_secret", "pi_1"),
        ("customer", "Jenny"),
        ("status", "Jenny Rosen"),
        ("exp_year", 2030),
        ("day", 1),
        ("postal_code", 75001),
        ("last4", "4242"),
        ("number", "A-17"),
        ("hosted_invoice_url", "https://invoice.stripe.com/i/acct_1/1"),
        ("errorMessage", "'jenny'"),
    ],
)
def test_what_may_be_personal_is_masked(key: str, value: Any) -> None:
    assert masked({key: value}) == {key: MASKED}


def test_nothing_that_a_merchant_or_customer_wrote_stays() -> None:
    written = {"status": "active", "amount": 7, "alice_smith": {"below": ["x"]}}
    assert masked({"metadata": written, "id": "cus_1"}) == {
        "metadata": {"*** 1": MASKED, "*** 2": MASKED, "*** 3": {"*** 1": [MASKED]}},
        "id": "cus_1",
    }


def test_keys_that_are_not_words_are_kept_and_masked() -> None:
    assert masked({"a@b.example": 1, "id": "cus_1", "Jenny Rosen": None}) == {
        "*** 1": MASKED,
        "id": "cus_1",
        "*** 3": None,
    }


def test_sentences_of_ours_stay() -> None:
    assert masked({"errorMessage": "no key", "a": ["no key", "x"]}, words=["no key"]) == {
        "errorMessage": "no key",
        "a": ["no key", MASKED],
    }


def test_document_that_is_nested_too_deeply_is_refused() -> None:
    document: Any = "x"
    for _ in range(DEEPEST - 1):
        document = [document]
    check_depth(document)
    masked(document)
    for refuse in (check_depth, masked):
        with pytest.raises(TooDeepError):
            refuse([document])


def test_list_of_numbers_names_no_year_of_birth() -> None:
    assert not any(_NUMBERS.fullmatch(key) for key in ("year", "month", "day", "exp_month", "age", "number"))


def test_number_that_no_other_program_reads_stays_as_it_was_written() -> None:
    assert json.dumps(json_output._body('{"amount": 1e999, "fee": 1.5}', set(), reveal=True)) == (
        '{"amount": "1e999", "fee": 1.5}'
    )
