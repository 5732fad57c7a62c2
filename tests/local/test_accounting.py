"""What became of each delivery is concluded from evidence only."""

from __future__ import annotations

from ops.local.accounting import (
    Delivery,
    Evidence,
    LedgerRow,
    Observations,
    Outcome,
    Request,
    account,
    unaccounted,
)

SENT_AT = 1_000.0


def delivery(event_id: str, envelope_id: str, handler: str | None = "payments") -> Delivery:
    return Delivery(event_id, "payment_intent.succeeded", "2026-07-29.dahlia", handler, envelope_id, SENT_AT)


def evidence(event_id: str, outcome: Outcome, at: float) -> Evidence:
    return Evidence(event_id, outcome, at)


def request(event_id: str, status: int, at: float) -> Request:
    return Request(event_id, "/api/billing/payment-succeeded", event_id, {}, {}, status, at)


def test_a_delivery_without_evidence_is_unaccounted() -> None:
    rows = account([delivery("evt_1", "a")], Observations())
    assert rows[0].outcome is None
    assert not rows[0].audited
    assert unaccounted(rows) == rows


def test_first_delivery_is_applied_and_the_repeat_is_the_duplicate() -> None:
    seen = Observations(
        evidence=(evidence("evt_1", "duplicate", 1_900), evidence("evt_1", "applied", 1_200)),
        requests=(request("evt_1", 200, 1_100),),
        ledger={"evt_1": LedgerRow(2)},
        archived={"a": 1_500, "b": 1_600},
    )
    first, second = account([delivery("evt_1", "a"), delivery("evt_1", "b")], seen)
    assert (first.outcome, first.latency_ms, len(first.requests)) == ("applied", 200, 1)
    assert (second.outcome, second.latency_ms, len(second.requests)) == ("duplicate", 900, 0)
    assert first.audited
    assert second.audited


def test_a_repeat_that_nothing_shows_stays_unaccounted() -> None:
    seen = Observations(evidence=(evidence("evt_1", "applied", 1_200),), ledger={"evt_1": LedgerRow(1)})
    rows = account([delivery("evt_1", "a"), delivery("evt_1", "b")], seen)
    assert [row.outcome for row in rows] == ["applied", None]


def test_audited_needs_the_table_and_the_bucket() -> None:
    sent = [delivery("evt_1", "a")]
    table_only = Observations(ledger={"evt_1": LedgerRow(1)})
    bucket_only = Observations(archived={"a": 1_500})
    both = Observations(ledger={"evt_1": LedgerRow(1)}, archived={"a": 1_500})
    assert [account(sent, seen)[0].audited for seen in (table_only, bucket_only, both)] == [
        False,
        False,
        True,
    ]


def test_audited_needs_every_delivery_of_a_repeated_event() -> None:
    sent = [delivery("evt_1", "a"), delivery("evt_1", "b")]
    seen = Observations(ledger={"evt_1": LedgerRow(1)}, archived={"a": 1_500, "b": 1_600})
    assert not any(row.audited for row in account(sent, seen))


def test_a_type_without_a_rule_is_unrouted_once_it_is_in_the_ledger() -> None:
    sent = [delivery("evt_1", "a", handler=None)]
    seen = Observations(ledger={"evt_1": LedgerRow(1)}, archived={"a": 1_500})
    assert account(sent, Observations())[0].outcome is None
    assert (account(sent, seen)[0].outcome, account(sent, seen)[0].latency_ms) == ("unrouted", 500)


def test_a_type_without_a_rule_that_a_handler_touched_is_not_called_unrouted() -> None:
    seen = Observations(evidence=(evidence("evt_1", "applied", 1_200),), ledger={"evt_1": LedgerRow(1)})
    assert account([delivery("evt_1", "a", handler=None)], seen)[0].outcome == "applied"
