"""What became of each sent event, concluded from what the parts of the pipeline recorded.

Pure: the sent events and the observations go in, one row per sent event comes out. An event is accounted for
by evidence only: a handler's closing log line, a message in a dead-letter queue, a row in the ledger.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from ops.local.observations import ApiRequest, FinishedEvent, Observations, Outcome, ParkedMessage

SUCCESS: Final = range(200, 300)
AUDIT_QUEUES: Final = "huntaze-stripe-audit-"

Evidence = FinishedEvent | ParkedMessage


@dataclass(frozen=True)
class SentEvent:
    """One event as it was put on the bus. `sent_at` is Unix milliseconds."""

    event_id: str
    event_type: str
    api_version: str | None
    handler: str | None
    envelope_id: str
    sent_at: float


@dataclass(frozen=True)
class Row:
    """What became of one sent event.

    Parameters
    ----------
    outcome
        None while nothing shows it; so is `latency_ms`.
    parked
        The message in the dead-letter queue, for the outcome `parked`.
    unstorable
        Whether the audit parked it with a reason, so that it never will be in the whole ledger.
    """

    sent: SentEvent
    outcome: Outcome | None
    requests: tuple[ApiRequest, ...]
    audited: bool
    latency_ms: float | None
    parked: ParkedMessage | None = None
    unstorable: bool = False

    @property
    def settled(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.accounted or (self.outcome is not None and self.unstorable)

    @property
    def accounted(self) -> bool:
        """Whether the event has an outcome and is in the ledger."""
        return self.outcome is not None and self.audited


def account(sent: Sequence[SentEvent], seen: Observations) -> tuple[Row, ...]:
    """Return one row per sent event, in the order sent.

    Deliveries of the same event id share its evidence: the earliest belongs to the first delivery, and so do
    the requests. A delivery counts as audited if the ledger's table counts as many deliveries as were sent
    and the ledger's bucket holds this one.
    """
    evidence = _by_event(_evidence(seen, sent))
    requests = _by_event(seen.requests)
    deliveries = Counter(one.event_id for one in sent)
    unstorable = {
        each.envelope_id for each in seen.parked if each.explained and each.queue.startswith(AUDIT_QUEUES)
    }
    placed: Counter[str] = Counter()
    rows = []
    for one in sent:
        place = placed[one.event_id]
        placed[one.event_id] += 1
        archived_at = seen.archived.get(one.envelope_id)
        found = evidence[one.event_id][place : place + 1]
        outcome: Outcome | None = None
        at: float | None = None
        if found:
            outcome, at = found[0].outcome, found[0].at
        elif one.handler is None and archived_at is not None:
            outcome, at = "unrouted", archived_at
        in_table = seen.ledger.get(one.event_id, 0) >= deliveries[one.event_id]
        rows.append(
            Row(
                one,
                outcome,
                tuple(requests[one.event_id]) if place == 0 else (),
                in_table and archived_at is not None,
                None if at is None else round(at - one.sent_at, 1),
                next((each for each in found if isinstance(each, ParkedMessage)), None),
                one.envelope_id in unstorable,
            )
        )
    return tuple(rows)


def named(parked: Sequence[ParkedMessage], sent: Sequence[SentEvent]) -> tuple[ParkedMessage, ...]:
    """Return the messages with the ids of their events, also where no event of Stripe can have such an id."""
    sent_ids = {one.envelope_id: one.event_id for one in sent}
    return tuple(
        replace(each, event_id=each.event_id or sent_ids.get(each.envelope_id or "")) for each in parked
    )


def _evidence(seen: Observations, sent: Sequence[SentEvent]) -> list[Evidence]:
    """Return what shows an outcome; a message in an audit queue shows nothing about a handler."""
    parked = (each for each in named(seen.parked, sent) if not each.queue.startswith(AUDIT_QUEUES))
    return [*seen.finished, *parked]


Item = TypeVar("Item", Evidence, ApiRequest)


def _by_event(items: Sequence[Item]) -> defaultdict[str | None, list[Item]]:
    grouped: defaultdict[str | None, list[Item]] = defaultdict(list)
    for item in sorted(items, key=lambda item: item.at):
        grouped[item.event_id].append(item)
    return grouped


def applied_twice(rows: Sequence[Row]) -> tuple[str, ...]:
    """Return the ids of events that took effect more than once, in the order sent.

    Two deliveries with the outcome `applied` show it, and so do two requests that the API answered with
    success. A 409 does not count: it says that the event was applied before.
    """
    applied: Counter[str] = Counter()
    succeeded: Counter[str] = Counter()
    for row in rows:
        event_id = row.sent.event_id
        applied[event_id] += row.outcome == "applied"
        succeeded[event_id] += sum(request.status in SUCCESS for request in row.requests)
    return tuple(event_id for event_id in applied if applied[event_id] > 1 or succeeded[event_id] > 1)
