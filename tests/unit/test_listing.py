"""The list of events: what changes a row, filters, pages, and a hundred thousand rows."""

from __future__ import annotations

from ops.local.envelopes import sample
from ops.story.listing import EventRow, Wanted
from tests.unit.event_lists import KEY, World, end, paid


def test_row_joins_what_the_handler_logged_with_what_the_ledger_holds() -> None:
    world = World()
    listing = world.listing()
    world.log(70, **end())
    (row,) = listing.refresh()
    assert (row.outcome, row.audited, row.ended) == ("applied", False, False)
    world.audit(90, paid())
    (row,) = listing.refresh()
    stripe_object = paid()["data"]["object"]
    assert (row.object_id, row.customer_id) == (stripe_object["id"], stripe_object["customer"])
    assert (row.outcome, row.attempts, row.latency_ms, row.ended) == ("applied", 1, 70.0, True)
    assert listing.refresh() == (), "each line and each object counts once"
    assert world.s3.read == [KEY.format("a")]


def test_repeated_delivery_leaves_the_outcome_and_counts_as_an_attempt() -> None:
    world = World()
    listing = world.listing()
    world.log(10, **end())
    world.log(20, **end("duplicate"))
    (row,) = listing.refresh()
    assert (row.outcome, row.attempts) == ("applied", 2)


def test_failure_waits_and_a_parked_event_is_applied_by_a_redrive() -> None:
    world = World()
    listing = world.listing()
    world.log(10, message="event failed", event_id="evt_1", reason="the API answered 503")
    (row,) = listing.refresh()
    assert (row.outcome, row.reason) == ("waiting", "the API answered 503")
    world.log(20, message="event parked", event_id="evt_1", reason="the API answered 422")
    (row,) = listing.refresh()
    assert (row.outcome, row.reason) == ("parked", "the API answered 422")
    world.log(30, **end())
    (row,) = listing.refresh()
    assert (row.outcome, row.reason, row.attempts) == ("applied", None, 3)


def test_type_without_a_handler_ends_with_the_ledger() -> None:
    world = World()
    listing = world.listing()
    world.audit(10, sample("payout.paid")["detail"])
    (row,) = listing.refresh()
    assert (row.outcome, row.ended, row.attempts) == ("unrouted", True, 0)


def test_object_that_the_audit_log_does_not_name_any_more_is_found_by_the_first_listing() -> None:
    world = World()
    world.audit(0, paid(), key=f"{1:032x}")
    world.logs.groups.clear()
    (row,) = world.listing().refresh()
    assert (row.event_id, row.audited) == ("evt_1", True)


def test_filters_and_pages() -> None:
    listing = World().listing()
    for number in range(120):
        kind = "invoice.paid" if number % 3 else "payout.paid"
        outcome = "parked" if number == 7 else "applied"
        row = EventRow(
            f"evt_{number:03}", kind, f"cus_{number % 2}", f"in_{number}", outcome, at=float(number)
        )
        listing._put(row)
    first = listing.page(Wanted())
    assert (first.total, len(first.rows), first.more) == (120, 50, 2)
    assert [first.rows[0].event_id, first.rows[-1].event_id] == ["evt_119", "evt_070"]
    last = listing.page(Wanted(), 3)
    assert (len(last.rows), last.more) == (20, None)
    assert (listing.page(Wanted(), 9), listing.page(Wanted(), 0)) == (last, first)
    nothing = listing.page(Wanted(outcome="stale"), 9)
    assert (nothing.number, nothing.total, nothing.more) == (1, 0, None)
    assert [row.event_id for row in listing.page(Wanted(outcome="parked")).rows] == ["evt_007"]
    assert listing.page(Wanted(event_type="payout.paid", customer="cus_0")).total == 20
    assert [row.event_id for row in listing.page(Wanted(text="EVT_11")).rows][-1] == "evt_110"
    assert listing.types() == ("invoice.paid", "payout.paid")


def test_page_of_a_hundred_thousand_rows_asks_nobody() -> None:
    world = World()
    listing = world.listing()
    for number in range(100_000):
        listing._put(
            EventRow(f"evt_{number}", "invoice.paid", "cus_1", f"in_{number}", "applied", at=float(number))
        )
    page = listing.page(Wanted(text="evt_9999"), 1)
    assert (page.total, len(page.rows)) == (11, 11)
    assert world.s3.read == []


def test_list_shows_no_text_in_place_of_an_object_id() -> None:
    world = World()
    event = paid("evt_1")
    event["data"]["object"]["id"] = "x" * 900_000
    world.audit(1, event)
    listing = world.listing()
    listing.refresh()
    row = listing.row("evt_1")
    assert row is not None
    assert (row.object_id, len(row.searched) < 200) == (None, True)
