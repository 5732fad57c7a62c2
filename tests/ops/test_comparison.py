"""What the command finds of a window, and what it sends."""

from __future__ import annotations

import io
import time
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from rich.console import Console

from functions.pipeline.idempotency import record_key
from functions.pipeline.routing_table import ROUTES
from ops.errors import OperatorError
from ops.progress import Steps
from ops.reconciliation import Comparison, Findings

NOW = datetime.now(UTC).replace(microsecond=0)
HANDLED_WITHIN = timedelta(hours=7)
LONG_AGO = 9.0


def event(name: str, hours: float = LONG_AGO, event_type: str = "invoice.paid") -> dict[str, Any]:
    return {
        "id": f"evt_{name}",
        "type": event_type,
        "created": int((NOW - timedelta(hours=hours)).timestamp()),
    }


class World:
    """Stripe, a ledger, the idempotency table and the targets of a heal."""

    name = "S3"
    unread = 0
    progress: Any = None

    def __init__(self, *events: dict[str, Any]) -> None:
        self.made = list(events)
        self.ledger = {each["id"] for each in events}
        self.records: dict[str, str] = {}
        self.sent: list[tuple[str, Any]] = []
        self.fits = True
        self.throttles = False

    def record(self, each: dict[str, Any], status: str) -> None:
        self.records[record_key(ROUTES[each["type"]].handler, each["id"])] = status

    def events(self, since: int, until: int, _types: Collection[str]) -> Iterator[dict[str, Any]]:
        return iter(each for each in self.made if since <= each["created"] <= until)

    def known(self, event_ids: Collection[str]) -> set[str]:
        return self.ledger & set(event_ids)

    def event(self, event_id: str) -> dict[str, Any] | None:
        return {"id": event_id, "type": "invoice.paid", "from": "ledger"}

    def batch_get_item(self, RequestItems: Any) -> dict[str, Any]:  # noqa: N803 (DynamoDB's names)
        ((table, request),) = RequestItems.items()
        if self.throttles:
            return {"Responses": {}, "UnprocessedKeys": RequestItems}
        if len(request["Keys"]) > 100:
            raise ClientError({"Error": {"Code": "ValidationException"}}, "BatchGetItem")
        items = [
            {
                "id": key["id"],
                "status": {"S": self.records[key["id"]["S"]]},
                "expiration": {"N": str(time.time() + 9)},
            }
            for key in request["Keys"]
            if key["id"]["S"] in self.records
        ]
        # It answers some of them now and the rest when asked again.
        now, later = (
            items[::2],
            [key for key in request["Keys"] if key["id"] in [item["id"] for item in items[1::2]]],
        )
        left = {table: request | {"Keys": later}} if later else {}
        return {"Responses": {table: now}, "UnprocessedKeys": left}

    def heal(self, each: dict[str, Any]) -> bool:
        self.sent.append(("both", each))
        return self.fits

    def invoke_handler(self, each: dict[str, Any]) -> bool:
        self.sent.append(("handler", each))
        return self.fits

    def find(self, *, heal: bool = False, unapplied: bool = False) -> Findings:
        world: Any = self
        environment: Any = SimpleNamespace(
            client=lambda _service: self,
            resource=lambda part: f"huntaze-stripe-{part}-dev",
        )
        comparison = Comparison(world, world, environment, world if heal else None, with_unapplied=unapplied)
        steps = Steps(Console(file=io.StringIO()))
        return comparison.find(NOW - timedelta(days=2), NOW, (), NOW - HANDLED_WITHIN, steps)


def test_each_event_is_found_by_what_knows_it() -> None:
    missing, applied, refused, unseen = (event(name) for name in ("missing", "applied", "refused", "unseen"))
    young, unrouted = event("young", 6.9), event("unrouted", event_type="payout.paid")
    world = World(missing, applied, refused, unseen, young, unrouted)
    world.ledger.remove("evt_missing")
    world.record(applied, "COMPLETED")
    world.record(refused, "RELEASED")
    found = world.find()
    assert found.gap.missing == {"invoice.paid": ["evt_missing"]}
    assert found.unhandled.missing == {"invoice.paid": ["evt_unseen"]}
    assert found.unapplied.missing == {"invoice.paid": ["evt_refused"]}
    assert (found.gap.compared.total(), found.open_count, found.healed_count) == (6, 2, 0)
    assert world.sent == []

    found = world.find(heal=True)
    assert [(way, each["id"]) for way, each in world.sent] == [
        ("both", "evt_missing"),
        ("handler", "evt_unseen"),
    ]
    assert world.sent[1][1] == world.event("evt_unseen")
    assert (found.open_count, found.healed_count, found.unapplied.open_count) == (0, 2, 1)

    world.sent.clear()
    found = world.find(heal=True, unapplied=True)
    assert [each["id"] for _, each in world.sent] == ["evt_missing", "evt_refused", "evt_unseen"]
    assert (found.open_count, found.healed_count, found.unapplied.open_count) == (0, 3, 0)


def test_records_of_many_events_are_read_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("functions.reconciliation.handler_records.FIRST_WAIT_SECONDS", 0.0)
    events = [event(str(number)) for number in range(250)]
    world = World(*events)
    for each in events[10:]:
        world.record(each, "COMPLETED")
    assert world.find().unhandled.missing_count == 10


def test_event_that_is_too_large_stays_open() -> None:
    world = World(event("large"))
    world.fits = False
    assert world.find(heal=True).open_count == 1


def test_unreadable_table_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("functions.reconciliation.handler_records.FIRST_WAIT_SECONDS", 0.0)
    world = World(event("any"))
    world.throttles = True
    with pytest.raises(OperatorError, match="throttles the table huntaze-stripe-idempotency-dev"):
        world.find()
