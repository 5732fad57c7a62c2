"""The list of events: what changes a row, filters, pages, and a hundred thousand rows."""

from __future__ import annotations

import gzip
import io
import json
import re
from collections.abc import Iterable
from typing import Any, cast

from ops.environment import Environment
from ops.local.envelopes import sample
from ops.story.listing import EventRow, Listing, Wanted

BASE_MS = 1_750_000_000_000
KEY = "audit/dt=2025-06-15/150640000-0-{}.jsonl.gz"


class _Logs:
    """CloudWatch Logs with some lines, which its pages repeat as the real one does."""

    def __init__(self) -> None:
        self.groups: dict[str, list[dict[str, Any]]] = {}

    def get_paginator(self, _name: str) -> _Logs:
        return self

    def paginate(self, *, logGroupName: str, startTime: int, filterPattern: str, **_: Any) -> Iterable[Any]:  # noqa: N803 (AWS's names)
        quoted = set(re.findall(r'"([^"]*)"', filterPattern))
        yield {
            "events": [
                event
                for event in self.groups.get(logGroupName, [])
                if event["timestamp"] >= startTime and quoted & set(_fields(event["message"]))
            ]
        }


def _fields(message: str) -> tuple[str, ...]:
    """Return what a pattern may ask a line for."""
    record = json.loads(message)
    return (record["message"], record.get("correlation_id", ""))


class _S3:
    """The ledger's bucket; counts what is read."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.read: list[str] = []

    def list_objects_v2(self, *, Bucket: str, Prefix: str, StartAfter: str) -> dict[str, Any]:  # noqa: N803 (AWS's names)
        del Bucket, Prefix
        return {"Contents": [{"Key": key} for key in sorted(self.objects) if key > StartAfter]}

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803 (AWS's names)
        del Bucket
        self.read.append(Key)
        return {"Body": io.BytesIO(self.objects[Key])}


class World:
    """An environment with a log and a ledger, and what its functions write into them."""

    name = "dev"
    ledger_bucket = "ledger"

    def __init__(self) -> None:
        self.logs, self.s3 = _Logs(), _S3()

    def client(self, service: str) -> Any:
        return {"logs": self.logs, "s3": self.s3}[service]

    def resource(self, part: str) -> str:
        return f"huntaze-stripe-{part}-dev"

    def log(self, at_ms: int, function: str = "payments", **record: Any) -> None:
        event = {"logStreamName": "s", "timestamp": BASE_MS + at_ms, "message": json.dumps(record)}
        self.logs.groups.setdefault(f"/aws/lambda/huntaze-stripe-{function}-dev", []).append(event)

    def audit(self, at_ms: int, *events: dict[str, Any], key: str = "a") -> None:
        lines = [
            {
                "event_id": event["id"],
                "event_type": event["type"],
                "received_at": "2025-06-15T15:06:40.000+00:00",
                "envelope": {"id": f"delivery-{event['id']}", "detail": event},
            }
            for event in events
        ]
        name = KEY.format(key)
        self.s3.objects[name] = gzip.compress("\n".join(map(json.dumps, lines)).encode())
        for event in events:
            self.log(at_ms, "audit", message="event audited", event_id=event["id"], key=name)

    def listing(self) -> Listing:
        return Listing(cast("Environment", self), BASE_MS / 1000)


def paid(event_id: str = "evt_1") -> dict[str, Any]:
    event: dict[str, Any] = sample("payment_intent.succeeded")["detail"] | {"id": event_id}
    return event


def end(outcome: str = "applied", event_id: str = "evt_1", **more: Any) -> dict[str, Any]:
    of = {"event_id": event_id, "event_type": "payment_intent.succeeded"}
    return {"message": "event finished", "outcome": outcome, **of, **more}


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
