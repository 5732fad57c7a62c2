"""What became of each sent event is concluded from evidence only."""

from __future__ import annotations

import pytest

from ops.local.accounting import SentEvent, account
from ops.local.observations import ApiRequest, FinishedEvent, Observations, Outcome, ParkedMessage

pytestmark = pytest.mark.unit

SENT_AT = 1_000.0


def sent_event(event_id: str, envelope_id: str, handler: str | None = "payments") -> SentEvent:
    return SentEvent(event_id, "payment_intent.succeeded", "2026-07-29.dahlia", handler, envelope_id, SENT_AT)


def finished(event_id: str, outcome: Outcome, at: float) -> FinishedEvent:
    return FinishedEvent(event_id, outcome, at)


def request(event_id: str, status: int, at: float) -> ApiRequest:
    return ApiRequest(event_id, "/api/billing/payment-succeeded", event_id, {}, {}, status, at)


def test_a_delivery_without_evidence_is_unaccounted() -> None:
    rows = account([sent_event("evt_1", "a")], Observations())
    assert rows[0].outcome is None
    assert not rows[0].audited
    assert not rows[0].accounted


def test_first_delivery_is_applied_and_the_repeat_is_the_duplicate() -> None:
    seen = Observations(
        finished=(finished("evt_1", "duplicate", 1_900), finished("evt_1", "applied", 1_200)),
        requests=(request("evt_1", 200, 1_100),),
        ledger={"evt_1": 2},
        archived={"a": 1_500, "b": 1_600},
    )
    first, second = account([sent_event("evt_1", "a"), sent_event("evt_1", "b")], seen)
    assert (first.outcome, first.latency_ms, len(first.requests)) == ("applied", 200, 1)
    assert (second.outcome, second.latency_ms, len(second.requests)) == ("duplicate", 900, 0)
    assert first.audited
    assert second.audited


def test_an_event_whose_id_no_part_accepts_is_known_by_its_envelope() -> None:
    message = ParkedMessage("huntaze-stripe-payments-dlq-dev", "m", None, "a", "permanent", "odd", at=1_200)
    rows = account([sent_event("a b/..", "a"), sent_event("evt_2", "b")], Observations(parked=(message,)))
    assert [(row.outcome, row.latency_ms) for row in rows] == [("parked", 200), (None, None)]
    assert rows[0].parked is not None
    assert rows[0].parked.event_id == "a b/.."


def test_what_the_audit_parked_is_settled_and_not_audited() -> None:
    parked = ParkedMessage(
        "huntaze-stripe-audit-dlq-dev.fifo", "m", "evt_1", "a", "permanent", "odd", explained=True
    )
    applied = (finished("evt_1", "applied", 1_200),)
    sent = [sent_event("evt_1", "a")]
    (row,) = account(sent, Observations(finished=applied, parked=(parked,)))
    assert (row.settled, row.accounted, row.audited) == (True, False, False)
    assert not account(sent, Observations(parked=(parked,)))[0].settled
    assert not account(sent, Observations(finished=applied))[0].settled


def test_a_repeat_without_evidence_stays_unaccounted() -> None:
    seen = Observations(finished=(finished("evt_1", "applied", 1_200),), ledger={"evt_1": 1})
    rows = account([sent_event("evt_1", "a"), sent_event("evt_1", "b")], seen)
    assert [row.outcome for row in rows] == ["applied", None]


def test_audited_needs_the_table_and_the_bucket() -> None:
    sent = [sent_event("evt_1", "a")]
    table_only = Observations(ledger={"evt_1": 1})
    bucket_only = Observations(archived={"a": 1_500})
    both = Observations(ledger={"evt_1": 1}, archived={"a": 1_500})
    assert [account(sent, seen)[0].audited for seen in (table_only, bucket_only, both)] == [
        False,
        False,
        True,
    ]


def test_audited_needs_every_delivery_of_a_repeated_event() -> None:
    sent = [sent_event("evt_1", "a"), sent_event("evt_1", "b")]
    seen = Observations(ledger={"evt_1": 1}, archived={"a": 1_500, "b": 1_600})
    assert not any(row.audited for row in account(sent, seen))


def test_a_type_without_a_rule_is_unrouted_once_it_is_in_the_ledger() -> None:
    sent = [sent_event("evt_1", "a", handler=None)]
    seen = Observations(ledger={"evt_1": 1}, archived={"a": 1_500})
    assert account(sent, Observations())[0].outcome is None
    assert (account(sent, seen)[0].outcome, account(sent, seen)[0].latency_ms) == ("unrouted", 500)


def test_a_type_without_a_rule_that_a_handler_finished_is_not_unrouted() -> None:
    seen = Observations(finished=(finished("evt_1", "applied", 1_200),), ledger={"evt_1": 1})
    assert account([sent_event("evt_1", "a", handler=None)], seen)[0].outcome == "applied"


def test_a_message_in_a_dead_letter_queue_parks_its_event() -> None:
    message = ParkedMessage("payments-dlq", "m", "evt_1", "a", "permanent", "the API answered 422", at=1_300)
    (row,) = account([sent_event("evt_1", "a")], Observations(parked=(message,)))
    assert (row.outcome, row.latency_ms, row.parked) == ("parked", 300, message)


def test_a_message_in_an_audit_queue_says_nothing_about_the_handler() -> None:
    message = ParkedMessage("huntaze-stripe-audit-dlq-dev.fifo", "m", "evt_1", "a", "permanent", at=1_300)
    (row,) = account([sent_event("evt_1", "a")], Observations(parked=(message,)))
    assert (row.outcome, row.parked) == (None, None)
