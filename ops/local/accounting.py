"""What became of each delivery, concluded from what the pipeline's own parts recorded.

Pure: the sent deliveries and the observations go in, one row per delivery comes out. A delivery is only
accounted for by evidence: a request that the API answered, a handler's closing log line, a message in a
dead-letter queue, a row in the ledger.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

Outcome = Literal["applied", "recorded", "duplicate", "stale", "parked", "unrouted"]
SUCCESS = range(200, 300)
OUTCOMES: tuple[Outcome, ...] = ("applied", "recorded", "duplicate", "stale", "parked", "unrouted")


@dataclass(frozen=True)
class Delivery:
    """One event as it was put on the bus. `sent_at` is Unix milliseconds."""

    event_id: str
    event_type: str
    api_version: str | None
    handler: str | None
    envelope_id: str
    sent_at: float


@dataclass(frozen=True)
class Evidence:
    """One thing that a part recorded about an event. `at` is Unix milliseconds."""

    event_id: str
    outcome: Outcome
    at: float


@dataclass(frozen=True)
class Request:
    """A request that the reference API received. `body` is the JSON that was sent."""

    event_id: str
    path: str
    idempotency_key: str
    headers: Mapping[str, str]
    body: Any
    status: int
    at: float


Item = TypeVar("Item", Evidence, Request)


@dataclass(frozen=True)
class LedgerRow:
    """An event's row in `stripe_event_ledger`."""

    deliveries: int


@dataclass(frozen=True)
class Observations:
    """Everything that was seen at one moment.

    Parameters
    ----------
    ledger
        The rows of the ledger's table, by event id.
    archived
        When the audit queue took each delivery that the ledger's bucket holds, in Unix milliseconds, by
        envelope id.
    """

    evidence: tuple[Evidence, ...] = ()
    requests: tuple[Request, ...] = ()
    ledger: Mapping[str, LedgerRow] = field(default_factory=dict)
    archived: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """What became of one delivery. `outcome` is None while nothing shows it; `latency_ms` likewise."""

    delivery: Delivery
    outcome: Outcome | None
    requests: tuple[Request, ...]
    audited: bool
    latency_ms: float | None


def account(deliveries: Sequence[Delivery], seen: Observations) -> tuple[Row, ...]:
    """Return one row per delivery, in the order sent.

    The deliveries of one event id share its evidence: the first in time goes to the first delivery, and
    requests belong to the delivery that was applied or parked. An event counts as audited when the ledger
    table holds as many deliveries as were sent and the ledger's bucket holds this delivery.
    """
    evidence = _by_event(seen.evidence)
    requests = _by_event(seen.requests)
    sent: defaultdict[str, int] = defaultdict(int)
    for delivery in deliveries:
        sent[delivery.event_id] += 1
    used: defaultdict[str, int] = defaultdict(int)
    rows = []
    for delivery in deliveries:
        position = used[delivery.event_id]
        used[delivery.event_id] += 1
        entry = seen.ledger.get(delivery.event_id)
        in_table = entry is not None and entry.deliveries >= sent[delivery.event_id]
        archived_at = seen.archived.get(delivery.envelope_id)
        outcome, at = _outcome(delivery, evidence[delivery.event_id], position, archived_at)
        rows.append(
            Row(
                delivery,
                outcome,
                tuple(requests[delivery.event_id]) if position == 0 else (),
                in_table and archived_at is not None,
                None if at is None else round(at - delivery.sent_at, 1),
            )
        )
    return tuple(rows)


def _outcome(
    delivery: Delivery, evidence: Sequence[Evidence], position: int, archived_at: float | None
) -> tuple[Outcome | None, float | None]:
    if position < len(evidence):
        return evidence[position].outcome, evidence[position].at
    if delivery.handler is None and archived_at is not None:
        return "unrouted", archived_at
    return None, None


def _by_event(items: Sequence[Item]) -> defaultdict[str, list[Item]]:
    grouped: defaultdict[str, list[Item]] = defaultdict(list)
    for item in sorted(items, key=lambda item: item.at):
        grouped[item.event_id].append(item)
    return grouped


def unaccounted(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Return the rows whose outcome or audit nothing shows yet."""
    return tuple(row for row in rows if row.outcome is None or not row.audited)


def applied_twice(rows: Sequence[Row]) -> tuple[str, ...]:
    """Return the ids of events that took effect more than once, in the order sent.

    Two deliveries that ended as applied show it, and so do two requests that the API answered with success. A
    409 is none: the API says by it that it had applied the event before.
    """
    applied: Counter[str] = Counter()
    succeeded: Counter[str] = Counter()
    for row in rows:
        event_id = row.delivery.event_id
        applied[event_id] += row.outcome == "applied"
        succeeded[event_id] += sum(request.status in SUCCESS for request in row.requests)
    return tuple(event_id for event_id in applied if applied[event_id] > 1 or succeeded[event_id] > 1)
