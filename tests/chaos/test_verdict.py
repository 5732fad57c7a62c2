"""The verdict names each broken promise; one that can't fail would prove nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from functions.shared.names import BILLING, PAYMENTS
from ops.chaos.expectations import Event, Expected, ExpectedRefusal
from ops.chaos.verdict import Sent, Verdict, check
from ops.local.observations import AppliedCall, FinishedEvent, Observations, Outcome, ParkedMessage

ONCE = Event("evt_once", "invoice.paid", "in_1", 100, Expected(BILLING, "once"))
SECOND = replace(ONCE, id="evt_second", created=101)
EACH = Event("evt_each", "charge.failed", "ch_1", 100, Expected(PAYMENTS, "each"))
OLD = Event("evt_old", "customer.updated", "cus_1", 100, Expected(BILLING, "latest"))
NEW = replace(OLD, id="evt_new", created=200)
RECORDED = Event("evt_recorded", "charge.succeeded", "ch_2", 100, Expected(PAYMENTS, "once", "recorded"))
UNROUTED = Event("evt_unrouted", "payout.paid", "po_1", 100, Expected(None, "each", "unrouted"))
REFUSED = Event(
    "evt_refused",
    "payment_intent.succeeded",
    "pi_1",
    100,
    Expected(PAYMENTS, "once"),
    ExpectedRefusal("PermanentError", 422),
)
UNSTORABLE = Event("evt_nul", "charge.failed", "ch_3", 100, Expected(PAYMENTS, "each"), storable=False)
POISON = frozenset({"message-poison"})
AUDIT_DLQ = "huntaze-stripe-audit-dlq-dev.fifo"
PAYMENTS_DLQ = "huntaze-stripe-payments-dlq-dev"

EVENTS = (ONCE, SECOND, EACH, OLD, NEW, RECORDED, UNROUTED, REFUSED, UNSTORABLE)
SENT = (*(Sent(event, f"envelope-{event.id}") for event in EVENTS), Sent(ONCE, "envelope-again"))


def call(event: Event) -> AppliedCall:
    return AppliedCall(event.id, event.type, event.object_id, event.created)


def message(event: Event, kind: str, error: str, status: int | None = None) -> ParkedMessage:
    return ParkedMessage(
        PAYMENTS_DLQ,
        f"message-{event.id}",
        event.id,
        f"envelope-{event.id}",
        kind,
        error=error,
        status=status,
    )


PARKED = message(REFUSED, "permanent", "PermanentError", 422)
GOOD = Observations(
    applied=(call(ONCE), call(EACH), call(NEW), call(UNSTORABLE)),
    finished=(
        FinishedEvent("evt_once", "applied"),
        FinishedEvent("evt_once", "duplicate"),
        FinishedEvent("evt_second", "duplicate"),
        FinishedEvent("evt_each", "applied"),
        FinishedEvent("evt_new", "applied"),
        FinishedEvent("evt_old", "stale"),
        FinishedEvent("evt_recorded", "recorded"),
        FinishedEvent("evt_nul", "applied"),
    ),
    parked=(
        PARKED,
        ParkedMessage(AUDIT_DLQ, "message-poison", None, None, "permanent", explained=True),
        ParkedMessage(AUDIT_DLQ, "message-nul", "evt_nul", "envelope-evt_nul", "permanent", explained=True),
    ),
    ledger={event.id: 1 for event in EVENTS if event.storable} | {"evt_once": 2},
    archived={sent.envelope_id: 0.0 for sent in SENT},
)


def verdict(seen: Observations, *, healed: bool = True) -> Verdict:
    return check(SENT, seen, poison=POISON, healed=healed)


def found(seen: Observations, *, healed: bool = True) -> set[tuple[str, str]]:
    return {(one.kind, one.subject) for one in verdict(seen, healed=healed).violations}


def without(seen: Observations, event_id: str, outcome: Outcome) -> Observations:
    """Leave one closing line of an event out."""
    lines = list(seen.finished)
    lines.remove(FinishedEvent(event_id, outcome))
    return replace(seen, finished=tuple(lines))


def test_a_promise_that_was_kept_is_seen_as_kept() -> None:
    assert verdict(GOOD).violations == ()


def test_the_figures_count_every_place() -> None:
    assert dict(verdict(GOOD).figures) == {
        "deliveries": 10,
        "events": 9,
        "calls applied": 4,
        "applied": 4,
        "recorded": 1,
        "duplicate": 2,
        "stale": 1,
        "parked": 1,
        "in DLQ for now": 0,
        "unrouted": 1,
        "in S3": 10,
        "in PostgreSQL": 9,
        "poison": 2,
    }


@pytest.mark.parametrize(("event", "outcome"), [(EACH, "applied"), (NEW, "applied")], ids=["each", "latest"])
def test_a_lost_event_is_named(event: Event, outcome: str) -> None:
    lost = tuple(one for one in GOOD.applied if one.event_id != event.id)
    assert ("lost", event.id) in found(replace(GOOD, applied=lost))


def test_a_lost_effect_is_named_for_both_of_its_events() -> None:
    lost = tuple(one for one in GOOD.applied if one.event_id != "evt_once")
    assert {("lost", "evt_once"), ("lost", "evt_second")} <= found(replace(GOOD, applied=lost))


def test_an_event_that_was_not_recorded_is_named() -> None:
    assert ("lost", "evt_recorded") in found(without(GOOD, "evt_recorded", "recorded"))


def test_a_refused_event_that_is_not_parked_is_named() -> None:
    assert ("lost", "evt_refused") in found(replace(GOOD, parked=GOOD.parked[1:]))


def test_an_effect_that_happened_twice_is_named() -> None:
    twice = replace(GOOD, applied=(*GOOD.applied, call(SECOND)))
    assert {("twice", "evt_once"), ("twice", "evt_second")} <= found(twice)


def test_an_event_that_was_applied_twice_is_named() -> None:
    again = replace(call(EACH), idempotency_key="evt_each:forced-1")
    assert ("twice", "evt_each") in found(replace(GOOD, applied=(*GOOD.applied, again)))


@pytest.mark.parametrize(
    "wrong",
    [
        message(REFUSED, "permanent", "PermanentError", 404),
        message(REFUSED, "permanent", "InvalidEventError"),
        message(REFUSED, "unknown", "KeyError"),
        message(REFUSED, "configuration", "AuthenticationRefusedError", 401),
    ],
    ids=lambda one: one.error,
)
def test_a_wrong_reason_is_named(wrong: ParkedMessage) -> None:
    assert ("wrong reason", "evt_refused") in found(replace(GOOD, parked=(wrong, *GOOD.parked[1:])))


def test_refusal_that_ends_no_doubt_is_a_right_reason_only_with_the_apis_status() -> None:
    refused, *others = GOOD.parked
    doubtful = replace(refused, error="DoubtfulRefusalError")
    assert found(replace(GOOD, parked=(doubtful, *others))) == found(GOOD)
    other = replace(doubtful, status=404)
    assert ("wrong reason", "evt_refused") in found(replace(GOOD, parked=(other, *others)))


def test_an_event_that_is_parked_and_must_not_be_is_named() -> None:
    wrong = message(EACH, "permanent", "PermanentError", 422)
    seen = replace(without(GOOD, "evt_each", "applied"), parked=(*GOOD.parked, wrong))
    assert ("wrong reason", "evt_each") in found(replace(seen, applied=(call(ONCE), call(NEW))))


def test_a_transient_failure_may_lie_in_a_queue_until_all_must_be_healed() -> None:
    waiting = message(EACH, "transient", "TransientError")
    applied = tuple(one for one in GOOD.applied if one.event_id != "evt_each")
    seen = replace(without(GOOD, "evt_each", "applied"), parked=(*GOOD.parked, waiting), applied=applied)
    assert found(seen, healed=False) == set()
    assert found(seen, healed=True) == {("not healed", "evt_each")}


def test_a_hole_in_the_table_of_the_ledger_is_named() -> None:
    rows = {name: count for name, count in GOOD.ledger.items() if name != "evt_unrouted"}
    assert found(replace(GOOD, ledger=rows)) == {("ledger hole", "evt_unrouted")}


def test_a_delivery_that_the_table_does_not_count_is_named() -> None:
    assert found(replace(GOOD, ledger={**GOOD.ledger, "evt_once": 1})) == {("ledger hole", "evt_once")}


def test_a_hole_in_the_bucket_of_the_ledger_is_named() -> None:
    without_again = {key: at for key, at in GOOD.archived.items() if key != "envelope-again"}
    assert found(replace(GOOD, archived=without_again)) == {("ledger hole", "evt_once")}


def test_an_older_state_over_a_newer_one_is_named() -> None:
    seen = replace(without(GOOD, "evt_old", "stale"), applied=(*GOOD.applied, call(OLD)))
    seen = replace(seen, finished=(*seen.finished, FinishedEvent("evt_old", "applied")))
    assert found(seen) == {("out of order", "evt_old")}


def test_a_state_that_was_skipped_without_a_newer_one_is_named() -> None:
    seen = replace(
        without(GOOD, "evt_new", "applied"), finished=(*GOOD.finished, FinishedEvent("evt_new", "stale"))
    )
    assert ("lost", "evt_new") in found(seen) or ("count", "evt_new") in found(seen)
    applied = tuple(one for one in GOOD.applied if one.event_id != "evt_new")
    assert {("lost", "evt_new"), ("lost", "evt_old")} <= found(replace(seen, applied=applied))


@pytest.mark.parametrize("change", ["missing", "extra"])
def test_deliveries_that_do_not_add_up_are_named(change: str) -> None:
    extra = replace(GOOD, finished=(*GOOD.finished, FinishedEvent("evt_each", "duplicate")))
    seen = extra if change == "extra" else without(GOOD, "evt_once", "duplicate")
    assert found(seen) == {("count", "evt_each" if change == "extra" else "evt_once")}


def test_what_was_never_sent_is_named() -> None:
    stranger = AppliedCall("evt_stranger", "invoice.paid", "in_9", 1)
    seen = replace(GOOD, applied=(*GOOD.applied, stranger), ledger={**GOOD.ledger, "evt_other": 1})
    assert found(seen) == {("foreign", "evt_stranger"), ("foreign", "evt_other")}


def test_a_call_about_another_object_is_named() -> None:
    wrong = replace(call(EACH), object_id="ch_other")
    applied = tuple(wrong if one.event_id == "evt_each" else one for one in GOOD.applied)
    assert ("foreign", "evt_each") in found(replace(GOOD, applied=applied))


def test_a_refused_event_that_was_applied_is_named() -> None:
    assert ("foreign", "evt_refused") in found(replace(GOOD, applied=(*GOOD.applied, call(REFUSED))))


def test_a_neighbour_of_a_poison_record_in_the_dead_letter_queue_is_named() -> None:
    neighbour = ParkedMessage(AUDIT_DLQ, "message-x", "evt_each", "envelope-evt_each", "transient")
    assert found(replace(GOOD, parked=(*GOOD.parked, neighbour))) == {("audit", "evt_each")}


@pytest.mark.parametrize(("place", "subject"), [(1, "message-poison"), (2, "envelope-evt_nul")])
def test_a_poison_record_that_vanished_is_named(place: int, subject: str) -> None:
    dead = tuple(one for number, one in enumerate(GOOD.parked) if number != place)
    assert ("audit", subject) in found(replace(GOOD, parked=dead))


@pytest.mark.parametrize(("place", "subject"), [(1, "message-poison"), (2, "envelope-evt_nul")])
def test_a_poison_record_that_sqs_had_to_move_is_named(place: int, subject: str) -> None:
    dead = [*GOOD.parked]
    dead[place] = replace(dead[place], explained=False)
    assert found(replace(GOOD, parked=tuple(dead))) == {("audit", subject)}


def test_messages_that_wait_for_the_audit_are_named() -> None:
    assert found(replace(GOOD, queues={"huntaze-stripe-events-dev.fifo": 3, AUDIT_DLQ: 1})) == {
        ("audit", "the audit queue")
    }


def with_old(outcome: Outcome) -> Observations:
    """The same, with another closing line for the older of two states."""
    seen = without(GOOD, "evt_old", "stale")
    return replace(seen, finished=(*seen.finished, FinishedEvent("evt_old", outcome)))


def test_a_skipped_state_whose_record_was_lost_on_its_way_may_end_as_a_duplicate() -> None:
    assert found(with_old("duplicate")) == set()


def test_a_state_that_is_said_to_be_applied_and_was_not_is_named() -> None:
    assert found(with_old("applied")) == {("lost", "evt_old")}


END = Event("evt_end", "customer.deleted", "cus_1", 200, Expected(BILLING, "once", ends=True))


def with_end(*applied: Event, outcome: Outcome) -> set[tuple[str, str]]:
    """What is found of an object's end and a state of the same second, that ended so."""
    sent = tuple(Sent(event, f"envelope-{event.id}") for event in (NEW, END))
    seen = replace(
        GOOD,
        applied=tuple(call(event) for event in applied),
        finished=(FinishedEvent(NEW.id, outcome), FinishedEvent(END.id, "applied")),
        parked=(),
        ledger={NEW.id: 1, END.id: 1},
        archived={one.envelope_id: 0.0 for one in sent},
    )
    return {(one.kind, one.subject) for one in check(sent, seen).violations}


def test_a_state_may_be_skipped_after_its_objects_end() -> None:
    assert with_end(END, outcome="stale") == set()
    assert with_end(NEW, END, outcome="applied") == set()


def test_a_state_over_its_objects_end_is_named() -> None:
    assert with_end(END, NEW, outcome="applied") == {("out of order", "evt_new")}


def test_a_state_that_was_skipped_before_its_objects_end_was_applied_is_named() -> None:
    assert ("lost", "evt_new") in with_end(outcome="stale")
