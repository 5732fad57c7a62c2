"""With each dialect of the API an event is applied once; what no answer settles waits for an operator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from functions.shared.retry import ATTEMPTS
from ops.reference.huntaze import Fault, ReferenceApi
from ops.reference.huntaze.dialects import CODED, DIALECTS
from tests.functions.conftest import Parked
from tests.functions.function import Function, FunctionError
from tests.functions.helpers import applied_to, paid, second_event, with_fields

# Longer than an invocation.
LONG_SECONDS = 300.0
# Ends between the second and the last attempt of an invocation: these follow within 0.5 to 4 s.
SHORT_SECONDS = 0.4
CODELESS = tuple(name for name, dialect in DIALECTS.items() if not dialect.codes)


@pytest.fixture(autouse=True)
def contract_again(api: ReferenceApi) -> Iterator[None]:
    yield
    api.speak(CODED.name)


def lose_every_answer(api: ReferenceApi, payments: Function, envelope: dict[str, Any]) -> None:
    """Let the API apply an event and lose every answer."""
    api.fail(Fault(applies=True, reset=True, times=ATTEMPTS))
    with pytest.raises(FunctionError):
        payments.invoke(envelope)
    assert len(applied_to(api, envelope)) == 1


@pytest.mark.parametrize("applies", [True, False], ids=["applied later", "rolled back"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_call_in_progress_never_counts_as_applied(
    api: ReferenceApi, payments: Function, parked: Parked, dialect: str, applies: bool
) -> None:
    api.speak(dialect)
    first = paid()
    api.fail(Fault(reset=True, applies=applies, work=LONG_SECONDS, times=1))
    if dialect == "422-for-everything":
        assert payments.invoke(first)["outcome"] == "parked"
        assert [attributes["error"] for attributes, _ in parked.take()] == ["DoubtfulRefusalError"]
    else:
        with pytest.raises(FunctionError):
            payments.invoke(first)
    with pytest.raises(FunctionError, match="the first event of the same effect is not settled"):
        payments.invoke(second_event(first))
    assert applied_to(api, first) == []


@pytest.mark.parametrize("dialect", [name for name in DIALECTS if name != "422-for-everything"])
def test_call_that_is_rolled_back_is_made_again(api: ReferenceApi, payments: Function, dialect: str) -> None:
    api.speak(dialect)
    first = paid()
    api.fail(Fault(reset=True, work=SHORT_SECONDS, times=1))
    try:
        outcome = payments.invoke(first)["outcome"]
    except FunctionError:
        outcome = payments.invoke(first)["outcome"]
    assert outcome == "applied"
    assert len(applied_to(api, first)) == 1


@pytest.mark.parametrize("dialect", ["no-codes", "409-for-everything"])
def test_lost_answer_without_codes_waits_for_a_person(
    api: ReferenceApi, payments: Function, dialect: str
) -> None:
    api.speak(dialect)
    first = paid()
    second = second_event(first)
    lose_every_answer(api, payments, first)
    for envelope, reason in (
        (first, "409 without a code after an earlier call with unknown"),
        (second, "not settled"),
    ):
        with pytest.raises(FunctionError, match=reason):
            payments.invoke(envelope)
    assert payments.invoke(first, settles=True)["outcome"] == "applied"
    assert payments.invoke(second)["outcome"] == "duplicate"
    assert len(applied_to(api, first)) == 1


@pytest.mark.parametrize("dialect", ["contract", "in-progress-409", "422-for-everything"])
def test_lost_answer_needs_no_operator_if_a_repeat_is_unmistakable(
    api: ReferenceApi, payments: Function, dialect: str
) -> None:
    api.speak(dialect)
    first = paid()
    lose_every_answer(api, payments, first)
    assert payments.invoke(first)["outcome"] == "applied"
    assert payments.invoke(second_event(first))["outcome"] == "duplicate"
    assert len(applied_to(api, first)) == 1


@pytest.mark.parametrize("dialect", CODELESS)
@pytest.mark.parametrize("fields", [{"metadata": {"order": "43"}}, {"currency": "xts"}], ids=["other", "bad"])
def test_known_key_with_another_body_settles_nothing_without_codes(
    api: ReferenceApi, payments: Function, parked: Parked, dialect: str, fields: dict[str, Any]
) -> None:
    api.speak(dialect)
    first = paid()
    lose_every_answer(api, payments, first)
    repeated = with_fields(first, **fields)
    if dialect == "409-for-everything":
        with pytest.raises(FunctionError, match="409 without a code"):
            payments.invoke(repeated)
    else:
        assert payments.invoke(repeated)["outcome"] == "parked"
        assert [attributes["error"] for attributes, _ in parked.take()] == ["DoubtfulRefusalError"]
    with pytest.raises(FunctionError, match="the first event of the same effect is not settled"):
        payments.invoke(second_event(first))


@pytest.mark.parametrize("dialect", [name for name in DIALECTS if name != "422-for-everything"])
def test_settling_redrive_settles_no_call_of_its_own(
    api: ReferenceApi, payments: Function, dialect: str
) -> None:
    """The operator has checked the earlier call; the redrive's own first call is cut off and in progress."""
    api.speak(dialect)
    first = paid()
    api.fail(Fault(status=503, times=ATTEMPTS))
    with pytest.raises(FunctionError):
        payments.invoke(first)
    api.clear_faults()
    api.fail(Fault(reset=True, work=LONG_SECONDS, times=1))
    with pytest.raises(FunctionError):
        payments.invoke(first, settles=True)
    assert applied_to(api, first) == []
    with pytest.raises(FunctionError, match="the first event of the same effect is not settled"):
        payments.invoke(second_event(first))


def test_settling_redrive_that_is_refused_after_a_call_of_its_own_frees_nothing(
    api: ReferenceApi, payments: Function, parked: Parked
) -> None:
    api.speak("422-for-everything")
    first = paid()
    api.fail(Fault(status=503, times=ATTEMPTS))
    with pytest.raises(FunctionError):
        payments.invoke(first)
    api.clear_faults()
    api.fail(Fault(reset=True, applies=True, work=LONG_SECONDS, times=1))
    assert payments.invoke(first, settles=True)["outcome"] == "parked"
    assert [attributes["error"] for attributes, _ in parked.take()] == ["DoubtfulRefusalError"]
    with pytest.raises(FunctionError, match="the first event of the same effect is not settled"):
        payments.invoke(second_event(first))
