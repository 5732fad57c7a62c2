"""What a second event about the same object means: once, latest, each; and a forced replay."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from functions.shared import names
from functions.shared.retry import ATTEMPTS
from ops.reference.huntaze import Fault, ReferenceApi
from tests.functions.conftest import Parked, Start, fresh
from tests.functions.function import Function, FunctionError, metrics
from tests.functions.helpers import (
    CREATED,
    applied_to,
    closed_url,
    customer_updated,
    deleted,
    event_id,
    paid,
    requests_for,
    second_event,
    statuses_for,
    wait_for_requests,
    with_fields,
)
from tests.unit import snapshots as stripe

# The API's answer that it has processed an event and not applied it.
REJECTED = Fault(status=422, body='{"code": "event_rejected"}', times=1)


def test_second_event_of_one_effect_is_a_duplicate(api: ReferenceApi, payments: Function) -> None:
    first = paid()
    second = second_event(first)
    assert payments.invoke(first)["outcome"] == "applied"
    payments.new_lines()
    assert payments.invoke(second)["outcome"] == "duplicate"
    assert requests_for(api, second) == []
    assert set(metrics(payments.new_lines())) == {"DuplicatesSkipped"}
    assert payments.invoke(second)["outcome"] == "duplicate"


def test_effects_of_other_types_paths_and_accounts_are_their_own(
    api: ReferenceApi, payments: Function
) -> None:
    succeeded = paid()
    session = fresh("checkout.session.completed", stripe.session("payment"))
    object_of = session["detail"]["data"]["object"]
    for envelope in (
        succeeded,
        second_event(succeeded, type="payment_intent.canceled") | {"detail-type": "payment_intent.canceled"},
        second_event(succeeded, account="acct_1"),
        second_event(succeeded, account="acct_2"),
        session,
        second_event(session, data={"object": object_of | {"mode": "subscription", "subscription": "sub_1"}}),
    ):
        assert payments.invoke(envelope)["outcome"] == "applied"
        assert statuses_for(api, envelope) == [200]


def test_every_event_counts_where_the_table_says_so(api: ReferenceApi, payments: Function) -> None:
    first = fresh("charge.failed", stripe.charge())
    for envelope in (first, second_event(first)):
        assert payments.invoke(envelope)["outcome"] == "applied"
        assert statuses_for(api, envelope) == [200]


def test_effect_that_the_api_refused_is_free_for_another_event(
    api: ReferenceApi, payments: Function, parked: Parked
) -> None:
    api.fail(Fault(status=422, times=1))
    first = paid()
    second = second_event(first)
    assert payments.invoke(first)["outcome"] == "parked"
    assert payments.invoke(second)["outcome"] == "applied"
    assert statuses_for(api, second) == [200]
    assert payments.invoke(first)["outcome"] == "duplicate"
    assert len(parked.take()) == 1


@pytest.mark.parametrize("metadata", [{}, {"order": "changed"}], ids=["the same body", "another body"])
def test_second_event_waits_for_an_effect_of_unknown_outcome(
    api: ReferenceApi, payments: Function, metadata: dict[str, str]
) -> None:
    # The API applies the first event and its answer is lost each time.
    api.fail(Fault(applies=True, reset=True, times=ATTEMPTS))
    first = paid()
    fields = first["detail"]["data"]["object"]
    second = second_event(first, data={"object": fields | {"metadata": fields["metadata"] | metadata}})
    with pytest.raises(FunctionError):
        payments.invoke(first)
    with pytest.raises(FunctionError) as caught:
        payments.invoke(second)
    assert (caught.value.kind, caught.value.message) == (
        "UnsettledError",
        "the first event of the same effect is not settled",
    )
    assert payments.invoke(first)["outcome"] == "applied"
    assert payments.invoke(second)["outcome"] == "duplicate"
    assert [request.applied for request in requests_for(api, first)] == [True, False, False, False, False]
    assert requests_for(api, second) == []


def test_refusal_after_a_lost_answer_frees_no_effect(
    api: ReferenceApi, payments: Function, parked: Parked
) -> None:
    # The API applies the event, its answer is lost, and what stands before the API answers the next attempt.
    api.fail(Fault(applies=True, reset=True, times=1))
    api.fail(Fault(status=404, times=1))
    first = paid()
    second = second_event(first)
    assert payments.invoke(first)["outcome"] == "parked"
    [(attributes, _)] = parked.take()
    assert attributes["error"] == "DoubtfulRefusalError"
    assert attributes["reason"] == "the API answered 404 after an earlier call with unknown outcome"
    with pytest.raises(FunctionError, match="the first event of the same effect is not settled"):
        payments.invoke(second)
    assert payments.invoke(first)["outcome"] == "applied"
    assert payments.invoke(second)["outcome"] == "duplicate"
    assert [request.applied for request in requests_for(api, first)] == [True, False, False]
    assert requests_for(api, second) == []


def test_effect_that_is_refused_again_on_a_redrive_is_free(
    api: ReferenceApi, payments: Function, parked: Parked
) -> None:
    first = paid()
    second = second_event(first)
    api.fail(Fault(status=503, times=ATTEMPTS))
    with pytest.raises(FunctionError):
        payments.invoke(first)
    errors = []
    # It comes again by itself, twice, and then a person redrives it.
    for settles in (False, False, True):
        api.fail(Fault(status=404, times=1))
        with pytest.raises(FunctionError, match="is not settled"):
            payments.invoke(second)
        assert payments.invoke(first, settles=settles)["outcome"] == "parked"
        errors += [attributes["error"] for attributes, _ in parked.take()]
    assert errors == ["DoubtfulRefusalError", "DoubtfulRefusalError", "PermanentError"]
    assert payments.invoke(second)["outcome"] == "applied"


def test_redrive_that_meets_no_refusal_settles_no_doubt(
    api: ReferenceApi, payments: Function, parked: Parked
) -> None:
    first = paid()
    second = second_event(first)
    api.fail(Fault(applies=True, reset=True, times=1))
    api.fail(Fault(status=404, times=1))
    assert payments.invoke(first)["outcome"] == "parked"
    api.fail(Fault(status=429, times=ATTEMPTS))
    with pytest.raises(FunctionError):
        payments.invoke(first, settles=True)
    with pytest.raises(FunctionError, match="is not settled"):
        payments.invoke(second)
    assert payments.invoke(first, settles=True)["outcome"] == "applied"
    assert payments.invoke(second)["outcome"] == "duplicate"
    assert len(parked.take()) == 1


@pytest.mark.parametrize("status", [401, 408, 429])
def test_effect_that_the_api_has_surely_not_applied_is_free(
    api: ReferenceApi, payments: Function, parked: Parked, status: int
) -> None:
    first = paid()
    second = second_event(first)
    api.fail(Fault(status=status, times=1 if status == 401 else 4))
    with pytest.raises(FunctionError):
        payments.invoke(first)
    # Nor is there any doubt about the next refusal.
    api.fail(Fault(status=404, times=1))
    assert payments.invoke(first)["outcome"] == "parked"
    assert [attributes["error"] for attributes, _ in parked.take()] == ["PermanentError"]
    assert payments.invoke(second)["outcome"] == "applied"
    assert payments.invoke(first)["outcome"] == "duplicate"


def test_effect_of_a_call_that_was_never_sent_is_free(
    api: ReferenceApi, payments: Function, start: Start
) -> None:
    first = paid()
    unreachable = start("payments", HUNTAZE_API_URL=closed_url())
    with pytest.raises(FunctionError, match="could not be reached"):
        unreachable.invoke(first)
    assert payments.invoke(second_event(first))["outcome"] == "applied"
    assert payments.invoke(first)["outcome"] == "duplicate"
    assert requests_for(api, first) == []


def test_effect_that_the_api_itself_refused_is_free_at_once(
    api: ReferenceApi, payments: Function, parked: Parked
) -> None:
    first = paid()
    api.fail(Fault(status=503, times=1))
    api.fail(REJECTED)
    assert payments.invoke(first)["outcome"] == "parked"
    assert payments.invoke(second_event(first))["outcome"] == "applied"
    assert [attributes["error"] for attributes, _ in parked.take()] == ["PermanentError"]


def test_events_of_one_effect_at_once_are_applied_once(
    api: ReferenceApi, payments: Function, start: Start
) -> None:
    api.fail(Fault(header_delay=0.3, applies=True, times=1))
    first = paid()
    second = second_event(first)
    other = start("payments")
    payments.send(first)
    wait_for_requests(api, first, 1)
    other.send(second)
    assert payments.result()["outcome"] == "applied"
    try:
        assert other.result()["outcome"] == "duplicate"
    except FunctionError as error:
        assert error.message == "the first event of the same effect is not settled"  # noqa: PT017
        assert payments.invoke(second)["outcome"] == "duplicate"
    assert requests_for(api, second) == []


def outcome_in_the_end(function: Function, envelope: dict[str, Any]) -> str:
    """Invoke until the lease of a killed function has ended."""
    deadline = time.monotonic() + 45
    while True:
        try:
            return str(function.invoke(envelope)["outcome"])
        except FunctionError as error:
            held = (
                "another event of the same object is being applied",
                "another invocation is applying this event",
                "an earlier call for the same object may still be in flight",
            )
            assert error.message in held  # noqa: PT017 (retried)
            assert time.monotonic() < deadline, "it never became free"
            time.sleep(0.1)


def forced_after(seconds: int) -> str:
    """The name of a forced replay that was started `seconds` from now."""
    now = datetime.fromtimestamp(time.time() + seconds, UTC)
    return f"forced-replay-test-{now:%Y%m%dT%H%M%SZ}"


def test_older_state_is_stale_and_a_tie_passes(api: ReferenceApi, billing: Function) -> None:
    newest = customer_updated(name="newest")
    tie = customer_updated(newest, name="tie")
    older = customer_updated(newest, age=1, name="older")
    newer = customer_updated(newest, age=-1, name="newer")
    outcomes = []
    billing.new_lines()
    for envelope in (newest, older, tie, newer, tie, older):
        outcomes.append(billing.invoke(envelope)["outcome"])
    assert outcomes == ["applied", "stale", "applied", "applied", "duplicate", "duplicate"]
    assert requests_for(api, older) == []
    (stale,) = metrics(billing.new_lines())["StaleSkipped"]
    assert stale["dimensions"]["event_type"] == "customer.updated"
    customer = newest["detail"]["data"]["object"]["id"]
    assert api.state()[customer].body["name"] == "newer"


def test_order_may_be_off(api: ReferenceApi, start: Start) -> None:
    function = start("billing", ORDER=names.OFF)
    newest = customer_updated()
    older = customer_updated(newest, age=1)
    assert [function.invoke(envelope)["outcome"] for envelope in (newest, older)] == ["applied", "applied"]


def test_states_of_one_object_are_applied_one_at_a_time(
    api: ReferenceApi, billing: Function, start: Start
) -> None:
    older = customer_updated(age=1, name="older")
    newer = customer_updated(older, name="newer")
    api.fail(Fault(header_delay=1.0, applies=True, times=1))
    other = start("billing")
    billing.send(older)
    wait_for_requests(api, older, 1)
    assert other.invoke(newer)["outcome"] == "applied", "it waited for the lease"
    assert billing.result()["outcome"] == "applied"
    assert api.state()[older["detail"]["data"]["object"]["id"]].body["name"] == "newer"


def test_older_state_waits_for_a_newer_one_of_unknown_end(api: ReferenceApi, billing: Function) -> None:
    newer = customer_updated(name="newer")
    older = customer_updated(newer, age=1, name="older")
    api.fail(Fault(applies=True, reset=True, times=ATTEMPTS))
    with pytest.raises(FunctionError):
        billing.invoke(newer)
    with pytest.raises(FunctionError) as caught:
        billing.invoke(older)
    assert (caught.value.kind, caught.value.message) == (
        "UnsettledError",
        "a newer event of the same object is not settled",
    )
    assert requests_for(api, older) == []
    assert billing.invoke(newer)["outcome"] == "applied"
    assert billing.invoke(older)["outcome"] == "stale"


def test_older_state_is_applied_where_the_api_refused_the_newer_one(
    api: ReferenceApi, billing: Function, parked: Parked
) -> None:
    newer = customer_updated(name="newer")
    older = customer_updated(newer, age=1, name="older")
    api.fail(Fault(status=422, times=1))
    assert billing.invoke(newer)["outcome"] == "parked"
    assert billing.invoke(older)["outcome"] == "applied"
    assert len(parked.take()) == 1


def test_refusal_of_a_newer_state_after_a_lost_answer_lets_no_older_one_pass(
    api: ReferenceApi, billing: Function, parked: Parked
) -> None:
    newer = customer_updated(name="newer")
    older = customer_updated(newer, age=1, name="older")
    api.fail(Fault(applies=True, reset=True, times=1))
    api.fail(Fault(status=404, times=1))
    assert billing.invoke(newer)["outcome"] == "parked"
    with pytest.raises(FunctionError, match="a newer event of the same object is not settled"):
        billing.invoke(older)
    assert requests_for(api, older) == []
    for settles in (False, True):
        with pytest.raises(FunctionError, match="a newer event of the same object is not settled"):
            billing.invoke(older)
        api.fail(Fault(status=404, times=1))
        assert billing.invoke(newer, settles=settles)["outcome"] == "parked"
    assert [attributes["error"] for attributes, _ in parked.take()] == [
        "DoubtfulRefusalError",
        "DoubtfulRefusalError",
        "PermanentError",
    ]
    # It was refused again when a person asked: that settles it.
    assert billing.invoke(older)["outcome"] == "applied"


def test_newer_state_of_unknown_end_that_is_refused_later_lets_no_older_one_pass(
    api: ReferenceApi, billing: Function, parked: Parked
) -> None:
    newer = customer_updated(name="newer")
    older = customer_updated(newer, age=1, name="older")
    api.fail(Fault(applies=True, reset=True, times=ATTEMPTS))
    with pytest.raises(FunctionError):
        billing.invoke(newer)
    api.fail(Fault(status=404, times=1))
    assert billing.invoke(newer)["outcome"] == "parked"
    with pytest.raises(FunctionError, match="is not settled"):
        billing.invoke(older)
    assert billing.invoke(newer)["outcome"] == "applied"
    assert billing.invoke(older)["outcome"] == "stale"
    assert len(parked.take()) == 1


def test_refusal_of_a_newer_state_forgets_no_other_event_of_unknown_end(
    api: ReferenceApi, billing: Function, parked: Parked
) -> None:
    middle = customer_updated(name="middle")
    newest = customer_updated(middle, age=-1, name="newest")
    oldest = customer_updated(middle, age=1, name="oldest")
    api.fail(Fault(applies=True, status=500, times=ATTEMPTS))
    with pytest.raises(FunctionError):
        billing.invoke(middle)
    api.fail(Fault(status=503, times=ATTEMPTS))
    api.fail(REJECTED)
    with pytest.raises(FunctionError):
        billing.invoke(newest)
    assert billing.invoke(newest)["outcome"] == "parked"
    with pytest.raises(FunctionError, match="a newer event of the same object is not settled"):
        billing.invoke(oldest)
    assert billing.invoke(middle)["outcome"] == "applied"
    assert billing.invoke(oldest)["outcome"] == "stale"
    assert api.state()[middle["detail"]["data"]["object"]["id"]].body["name"] == "middle"
    assert len(parked.take()) == 1


@pytest.mark.parametrize("order", [names.WATERMARK, names.OFF])
@pytest.mark.parametrize("age", [0, 1], ids=["of the same second", "of the second before"])
def test_no_state_is_applied_over_the_objects_end(
    api: ReferenceApi, start: Start, order: str, age: int
) -> None:
    function = start("billing", ORDER=order)
    state = fresh("customer.subscription.updated", stripe.subscription(stripe.CURRENT), created=CREATED - age)
    end = deleted(state)
    assert function.invoke(end)["outcome"] == "applied"
    assert function.invoke(state)["outcome"] == ("stale" if order == names.WATERMARK else "applied")
    assert function.invoke(deleted(state))["outcome"] == "duplicate"


def test_objects_end_is_never_stale(api: ReferenceApi, billing: Function) -> None:
    state = customer_updated()
    end = deleted(state, age=5)
    assert billing.invoke(state)["outcome"] == "applied"
    assert billing.invoke(end)["outcome"] == "applied"
    assert statuses_for(api, end) == [200]


def test_states_wait_for_an_end_of_unknown_end(api: ReferenceApi, billing: Function) -> None:
    state = customer_updated(age=1)
    end = deleted(state)
    api.fail(Fault(applies=True, reset=True, times=ATTEMPTS))
    with pytest.raises(FunctionError):
        billing.invoke(end)
    with pytest.raises(FunctionError, match="a newer event of the same object is not settled"):
        billing.invoke(state)
    assert billing.invoke(end)["outcome"] == "applied"
    assert billing.invoke(state)["outcome"] == "stale"
    assert [request.applied for request in requests_for(api, end)] == [True, False, False, False, False]


def test_end_waits_for_a_state_that_is_being_applied(
    api: ReferenceApi, billing: Function, start: Start
) -> None:
    state = customer_updated(age=1)
    end = deleted(state)
    api.fail(Fault(header_delay=1.0, applies=True, times=1))
    other = start("billing")
    billing.send(state)
    wait_for_requests(api, state, 1)
    assert other.invoke(end)["outcome"] == "applied", "it waited for the lease"
    assert billing.result()["outcome"] == "applied"
    applied = [
        call.event_type for call in api.applied() if call.object_id == end["detail"]["data"]["object"]["id"]
    ]
    assert applied == ["customer.updated", "customer.deleted"]


def test_end_that_finds_its_object_held_claims_nothing(
    api: ReferenceApi, billing: Function, start: Start, parked: Parked
) -> None:
    state = customer_updated(age=1)
    end = deleted(state)
    # Longer than another invocation waits for the object.
    api.fail(Fault(header_delay=9.0, applies=True, times=1))
    other = start("billing")
    billing.send(state)
    wait_for_requests(api, state, 1)
    with pytest.raises(FunctionError, match="another event of the same object is being applied"):
        other.invoke(end, remaining_seconds=22.0)
    assert billing.result()["outcome"] == "applied"
    api.fail(Fault(status=404, times=1))
    assert other.invoke(end)["outcome"] == "parked"
    assert [attributes["error"] for attributes, _ in parked.take()] == ["PermanentError"]


def test_killed_functions_lease_ends_with_its_time(
    api: ReferenceApi, billing: Function, start: Start
) -> None:
    older = customer_updated(age=1, name="older")
    newer = customer_updated(older, name="newer")
    api.fail(Fault(applies=True, header_delay=20.0, times=1))
    killed = start("billing")
    killed.send(older, remaining_seconds=1.0)
    wait_for_requests(api, older, 1)
    killed.kill()
    assert outcome_in_the_end(billing, newer) == "applied"
    assert outcome_in_the_end(billing, older) == "stale"


def test_forced_replay_applies_again_once_per_replay(api: ReferenceApi, payments: Function) -> None:
    envelope = paid()
    second = second_event(envelope)
    payments.invoke(envelope)
    one, two = forced_after(5), forced_after(6)
    for name in (one, two):
        replayed = envelope | {"id": f"{envelope['id']}-{name}", "replay-name": name}
        assert payments.invoke(replayed)["outcome"] == "applied"
        assert payments.invoke(replayed)["outcome"] == "duplicate"
        assert payments.invoke(second | {"replay-name": name})["outcome"] == "duplicate"
    keys = [request.idempotency_key for request in api.requests()]
    assert [key for key in keys if key and key.startswith(event_id(envelope))] == [
        event_id(envelope),
        f"{event_id(envelope)}:{one}",
        f"{event_id(envelope)}:{two}",
    ]


@pytest.mark.parametrize("event_type", ["payment_intent.succeeded", "charge.failed"])
def test_forced_replay_of_an_event_that_was_not_applied_applies_it_once(
    api: ReferenceApi, payments: Function, event_type: str
) -> None:
    envelope = paid() if event_type == "payment_intent.succeeded" else fresh(event_type, stripe.charge())
    replayed = envelope | {"replay-name": forced_after(-5)}
    api.fail(Fault(status=503, times=ATTEMPTS))
    with pytest.raises(FunctionError):
        payments.invoke(envelope)
    assert payments.invoke(replayed)["outcome"] == "applied"
    for again in (replayed, envelope, replayed):
        assert payments.invoke(again)["outcome"] == "duplicate"
    assert [call.idempotency_key for call in api.applied() if call.event_type == event_type][-1:] == [
        event_id(envelope)
    ]
    assert payments.invoke(envelope | {"replay-name": forced_after(5)})["outcome"] == "applied"


def test_event_applied_between_deliveries_of_a_forced_replay_is_not_repeated(
    api: ReferenceApi, payments: Function
) -> None:
    envelope = paid()
    replayed = envelope | {"replay-name": forced_after(-5)}
    api.fail(Fault(status=503, times=ATTEMPTS))
    with pytest.raises(FunctionError):
        payments.invoke(replayed)
    # Its dead-letter message is redriven, and then Lambda retries the replay's delivery.
    assert payments.invoke(envelope)["outcome"] == "applied"
    assert payments.invoke(replayed)["outcome"] == "duplicate"
    assert [request.applied for request in requests_for(api, envelope)] == [False] * 4 + [True]


def test_forced_replay_that_meets_an_event_in_progress_does_not_apply_it_again(
    api: ReferenceApi, payments: Function, start: Start
) -> None:
    envelope = paid()
    replayed = envelope | {"replay-name": forced_after(-5)}
    other = start("payments")
    other.invoke(paid())  # a cold start could take longer than the API's answer
    api.fail(Fault(header_delay=3.0, applies=True, times=1))
    payments.send(envelope)
    wait_for_requests(api, envelope, 1)
    with pytest.raises(FunctionError) as caught:
        other.invoke(replayed)
    assert caught.value.kind == "UnsettledError"
    assert payments.result()["outcome"] == "applied"
    assert other.invoke(replayed)["outcome"] == "duplicate"
    assert len(requests_for(api, envelope)) == 1


def test_forced_replay_never_brings_an_older_state_back(api: ReferenceApi, billing: Function) -> None:
    newest = customer_updated(name="newest")
    older = customer_updated(newest, age=1, name="older")
    assert billing.invoke(newest)["outcome"] == "applied"
    for envelope, outcome in ((older, "stale"), (newest, "applied")):
        assert billing.invoke(envelope | {"replay-name": forced_after(5)})["outcome"] == outcome


def test_known_key_with_another_body_is_an_applied_event(
    api: ReferenceApi, payments: Function, parked: Parked
) -> None:
    first = paid()
    second = second_event(first)
    api.fail(Fault(applies=True, reset=True, times=ATTEMPTS))
    with pytest.raises(FunctionError):
        payments.invoke(first)
    payments.new_lines()
    assert payments.invoke(with_fields(first, metadata={"order": "43"}))["outcome"] == "applied"
    assert len(payments.new_logs("event applied before with another body")) == 1
    assert payments.invoke(second)["outcome"] == "duplicate"
    assert len(applied_to(api, first)) == 1
    assert parked.take() == []


def test_known_key_with_another_body_lets_no_older_state_pass(
    api: ReferenceApi, billing: Function, parked: Parked
) -> None:
    newer = customer_updated(name="newer")
    older = customer_updated(newer, age=1, name="older")
    api.fail(Fault(applies=True, reset=True, times=ATTEMPTS))
    with pytest.raises(FunctionError):
        billing.invoke(newer)
    assert billing.invoke(with_fields(newer, metadata={"a": "b"}))["outcome"] == "applied"
    assert billing.invoke(older)["outcome"] == "stale"
    assert [call.body["name"] for call in applied_to(api, newer)] == ["newer"]


def test_refusal_without_a_code_after_a_lost_answer_settles_nothing_of_any_kind(
    api: ReferenceApi, billing: Function, payments: Function, parked: Parked
) -> None:
    """Also for an event that counts each time, and in a later delivery."""
    for function, envelope in (
        (payments, fresh("charge.failed", stripe.charge())),
        (payments, paid()),
        (billing, customer_updated()),
    ):
        api.fail(Fault(status=503, times=ATTEMPTS))
        with pytest.raises(FunctionError):
            function.invoke(envelope)
        api.fail(Fault(status=422, times=1))
        assert function.invoke(envelope)["outcome"] == "parked"
        ((attributes, _),) = parked.take()
        assert attributes["error"] == "DoubtfulRefusalError"


def test_conflict_without_a_code_after_a_lost_answer_is_not_applied(
    api: ReferenceApi, payments: Function
) -> None:
    """The API may still be processing the first call, and roll it back."""
    first = paid()
    api.fail(Fault(reset=True, times=1))
    api.fail(Fault(status=409, times=3))
    with pytest.raises(FunctionError, match="409 without a code after an earlier call with unknown outcome"):
        payments.invoke(first)
    assert applied_to(api, first) == []
    assert payments.invoke(first)["outcome"] == "applied"
    assert len(applied_to(api, first)) == 1


def test_conflict_without_a_code_is_settled_by_the_operator(api: ReferenceApi, payments: Function) -> None:
    first = paid()
    api.fail(Fault(applies=True, reset=True, times=1))
    api.fail(Fault(status=409, times=3))
    with pytest.raises(FunctionError):
        payments.invoke(first)
    api.fail(Fault(status=409, times=1))
    assert payments.invoke(first, settles=True)["outcome"] == "applied"


@pytest.mark.parametrize("doubt", [False, True], ids=["first call", "after a lost answer"])
def test_call_in_progress_is_waited_for(api: ReferenceApi, payments: Function, doubt: bool) -> None:
    first = paid()
    if doubt:
        api.fail(Fault(reset=True, times=1))
    api.fail(Fault(status=409, body='{"code": "request_in_progress"}', times=1))
    assert payments.invoke(first)["outcome"] == "applied"
    assert len(applied_to(api, first)) == 1


def test_conflict_without_a_code_is_applied_before_where_no_call_is_in_doubt(
    api: ReferenceApi, payments: Function
) -> None:
    api.fail(Fault(status=409, times=1))
    assert payments.invoke(paid())["outcome"] == "applied"


def test_each_doubtful_event_of_an_object_is_settled_by_itself(
    api: ReferenceApi, billing: Function, parked: Parked
) -> None:
    first = customer_updated(age=1, name="first")
    second = customer_updated(first, name="second")
    oldest = customer_updated(first, age=2, name="oldest")
    for envelope in (first, second):
        api.fail(Fault(status=503, times=ATTEMPTS))
        with pytest.raises(FunctionError):
            billing.invoke(envelope)
    for envelope in (second, first):
        api.fail(Fault(status=404, times=1))
        assert billing.invoke(envelope, settles=True)["outcome"] == "parked"
    assert {attributes["error"] for attributes, _ in parked.take()} == {"PermanentError"}
    assert billing.invoke(oldest)["outcome"] == "applied"


def test_earlier_state_of_one_second_is_stale_by_what_the_later_one_replaced(
    api: ReferenceApi, billing: Function
) -> None:
    first = customer_updated(name="first")
    second = customer_updated(first, name="second")
    second["detail"]["data"] |= {"previous_attributes": {"name": "first"}}
    assert billing.invoke(second)["outcome"] == "applied"
    assert billing.invoke(first)["outcome"] == "stale"
    third = customer_updated(first, name="third")
    third["detail"]["data"] |= {"previous_attributes": {"name": "second"}}
    assert billing.invoke(third)["outcome"] == "applied"
    assert [call.body["name"] for call in applied_to(api, first)] == ["second", "third"]


def test_handler_does_not_sleep_for_an_event_that_it_cannot_bring(
    api: ReferenceApi, billing: Function, payments: Function
) -> None:
    newer = customer_updated(name="newer")
    older = customer_updated(newer, age=1, name="older")
    first = paid()
    api.fail(Fault(status=503, times=8))
    for function, envelope in ((billing, newer), (payments, first)):
        with pytest.raises(FunctionError):
            function.invoke(envelope)
        function.new_lines()
    for function, envelope in ((billing, older), (payments, second_event(first))):
        with pytest.raises(FunctionError, match="is not settled"):
            function.invoke(envelope)
        assert function.new_logs("attempt failed") == []
