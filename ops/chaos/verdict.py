"""Whether the promise was kept: each event applied exactly once or parked with its reason, all in the ledger.

Pure: the sent deliveries and the observations go in, figures and violations come out. What was applied is
read from the reference API's own journal, not from the pipeline.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from functions.dead_letters.message import PERMANENT, TRANSIENT
from ops.chaos.expectations import DOUBTFUL, Event, ExpectedRefusal
from ops.local.observations import AppliedCall, Observations, ParkedMessage

# The dead-letter queue of the audit queue, and those of the audit as a whole.
AUDIT_DLQ: Final = "-audit-dlq-"
AUDIT_QUEUES: Final = "huntaze-stripe-audit-"
DEAD_LETTER: Final = "-dlq-"


@dataclass(frozen=True)
class Sent:
    """One delivery as it was put on the bus."""

    event: Event
    envelope_id: str


@dataclass(frozen=True)
class Violation:
    """One broken promise: its kind, the event or message, and what is wrong."""

    kind: str
    subject: str
    event_type: str
    what: str


@dataclass(frozen=True)
class Verdict:
    """The figures, and every violation."""

    figures: Mapping[str, int]
    violations: tuple[Violation, ...]

    @property
    def open(self) -> int:
        """The number of events with a delivery that has not ended, or ended more than once."""
        return sum(violation.kind == "count" for violation in self.violations)

    @property
    def passed(self) -> bool:
        """Whether there is no violation."""
        return not self.violations


def check(
    sent: Sequence[Sent], seen: Observations, *, poison: frozenset[str] = frozenset(), healed: bool = False
) -> Verdict:
    """Check everything that was sent so far.

    Parameters
    ----------
    poison
        Ids of the messages that were put into the audit queue and are not envelopes.
    healed
        Whether every transient failure must have been redriven by now.
    """
    checks = _Checks(sent, seen, poison, healed)
    return Verdict(checks.figures(), tuple(checks.violations()))


class _Checks:
    """What was sent and what was observed, by event."""

    def __init__(
        self, sent: Sequence[Sent], seen: Observations, poison: frozenset[str], healed: bool
    ) -> None:
        self._seen = seen
        self._poison = poison
        self._healed = healed
        self._envelopes: defaultdict[str, set[str]] = defaultdict(set)
        self._events: dict[str, Event] = {}
        for delivery in sent:
            self._events[delivery.event.id] = delivery.event
            self._envelopes[delivery.event.id].add(delivery.envelope_id)
        self._outcomes: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for line in seen.finished:
            self._outcomes[line.event_id][line.outcome] += 1
        self._parked: defaultdict[str, list[ParkedMessage]] = defaultdict(list)
        for message in seen.parked:
            if AUDIT_DLQ not in message.queue and message.event_id is not None:
                self._parked[message.event_id].append(message)

    @cached_property
    def _calls(self) -> Mapping[str, list[AppliedCall]]:
        """The applied calls, by the event id in their idempotency key."""
        calls: defaultdict[str, list[AppliedCall]] = defaultdict(list)
        for call in self._seen.applied:
            calls[call.event_id].append(call)
        return calls

    @cached_property
    def _effects(self) -> Mapping[tuple[str, str], list[AppliedCall]]:
        effects: defaultdict[tuple[str, str], list[AppliedCall]] = defaultdict(list)
        for call in self._seen.applied:
            effects[call.event_type, call.object_id].append(call)
        return effects

    @cached_property
    def _newest(self) -> Mapping[str, int]:
        """The highest rank among the applied states of each object."""
        newest: dict[str, int] = {}
        for event in self._applied_states():
            newest[event.object_id] = max(event.rank or 0, newest.get(event.object_id, 0))
        return newest

    def _applied_states(self) -> Iterator[Event]:
        for call in self._seen.applied:
            event = self._events.get(call.event_id)
            if event is not None and event.rank is not None:
                yield event

    def violations(self) -> Iterator[Violation]:
        waiting = sum(depth for name, depth in self._seen.queues.items() if DEAD_LETTER not in name)
        if waiting:
            yield Violation("audit", "the audit queue", "", f"still holds {waiting} messages")
        for event in self._events.values():
            yield from self._check_applied(event)
            yield from self._check_parked(event)
            yield from self._check_count(event)
            yield from self._check_ledger(event)
        yield from self._check_foreign()
        yield from self._check_order()
        yield from self._check_audit_queues()

    def _check_applied(self, event: Event) -> Iterator[Violation]:
        calls = self._calls_for(event)
        if event.outcome != "applied":
            if calls:
                yield _violation("foreign", event, "was applied at the API, and should not have been")
        elif len(calls) > 1:
            yield _violation("twice", event, f"was applied {len(calls)} times at the API")
        elif not calls and not self._parked[event.id] and not self._superseded(event):
            yield _violation("lost", event, "was not applied at the API and is in no dead-letter queue")
        if event.outcome == "recorded" and not (
            self._outcomes[event.id]["recorded"] or self._parked[event.id]
        ):
            yield _violation("lost", event, "was not recorded and is in no dead-letter queue")

    def _calls_for(self, event: Event) -> Sequence[AppliedCall]:
        """Return the event's calls, or those of all events with its effect if that happens once."""
        if event.expected.repeat == "once" and not event.refusal:
            return self._effects.get(event.effect, ())
        return self._calls.get(event.id, ())

    def _superseded(self, event: Event) -> bool:
        """Whether a handler skipped a state because a newer state of its object was applied.

        A handler that lost the answer to its own write of the record reports a duplicate when it retries.
        """
        newer = self._newest.get(event.object_id, event.created) > event.created
        outcomes = self._outcomes[event.id]
        skipped = outcomes["stale"] + outcomes["duplicate"] > 0 and not outcomes["applied"]
        return event.expected.repeat == "latest" and newer and skipped

    def _check_parked(self, event: Event) -> Iterator[Violation]:
        messages = self._parked[event.id]
        if event.refusal and not messages:
            yield _violation("lost", event, f"is in no dead-letter queue: {event.refusal.error}")
        for message in messages:
            found = f"{message.error or message.kind} {message.status or ''}".strip()
            if message.kind == TRANSIENT:
                if self._healed:
                    yield _violation("not healed", event, f"is still in {message.queue}: {found}")
            elif event.refusal is None:
                yield _violation("wrong reason", event, f"is in {message.queue} for {found}")
            elif message.status != event.refusal.status or message.error not in _errors(event.refusal):
                expected = f"{event.refusal.error} {event.refusal.status or ''}".strip()
                what = f"is in {message.queue} for {found}, not {expected}"
                yield _violation("wrong reason", event, what)

    def _check_count(self, event: Event) -> Iterator[Violation]:
        """Each delivery to a handler ends in one closing log line or in one dead-letter message."""
        if event.expected.handler is None:
            return
        sent = len(self._envelopes[event.id])
        finished = self._outcomes[event.id].total()
        parked = len({message.envelope_id for message in self._parked[event.id]})
        if finished + parked != sent:
            what = f"{sent} deliveries, but {finished} finished and {parked} in dead-letter queues"
            yield _violation("count", event, what)

    def _check_ledger(self, event: Event) -> Iterator[Violation]:
        sent = self._envelopes[event.id]
        missing = len(sent - self._seen.archived.keys())
        if missing:
            yield _violation("ledger hole", event, f"{missing} of {len(sent)} deliveries are not in S3")
        expected = len(sent) if event.storable else 0
        rows = self._seen.ledger.get(event.id, 0)
        if rows != expected:
            what = f"PostgreSQL has {rows} deliveries instead of {expected}"
            yield _violation("ledger hole", event, what)

    def _check_foreign(self) -> Iterator[Violation]:
        for event_id in sorted(self._seen.ledger.keys() - self._events.keys()):
            yield Violation("foreign", event_id, "", "is in the ledger, but was never sent")
        for call in self._seen.applied:
            event = self._events.get(call.event_id)
            if event is None or event.effect != (call.event_type, call.object_id):
                yield Violation("foreign", call.event_id, call.event_type, f"was applied to {call.object_id}")

    def _check_order(self) -> Iterator[Violation]:
        """An older state never replaces a newer one, and no state follows its object's end."""
        newest: dict[str, int] = {}
        for event in self._applied_states():
            rank = event.rank or 0
            if not event.expected.ends and rank < newest.get(event.object_id, rank):
                yield _violation("out of order", event, "was applied over a newer state")
            newest[event.object_id] = max(rank, newest.get(event.object_id, 0))

    def _check_audit_queues(self) -> Iterator[Violation]:
        """The audit's dead-letter queues hold the poison records, each with its reason, and nothing else."""
        unstorable = {
            envelope
            for event in self._events.values()
            if not event.storable
            for envelope in self._envelopes[event.id]
        }
        found: set[str] = set()
        for message in self._seen.parked:
            if message.queue.startswith(AUDIT_QUEUES):
                subject = message.envelope_id if message.envelope_id in unstorable else message.message_id
                found.add(subject or "")
                if subject not in unstorable | self._poison:
                    what = f"is in {message.queue} without a fault of its own"
                    yield Violation("audit", message.event_id or message.message_id, "", what)
                elif not message.explained:
                    # SQS moved it there after its last receive; until then it blocked its message group.
                    yield Violation("audit", subject, "", f"is in {message.queue} without its reason")
        for missing in sorted((self._poison | unstorable) - found):
            what = "is a poison record, and is in no audit dead-letter queue"
            yield Violation("audit", missing, "", what)

    def figures(self) -> dict[str, int]:
        deliveries = sum(map(len, self._envelopes.values()))
        outcomes = Counter[str]()
        for event_id in self._events:
            outcomes += self._outcomes[event_id]
        kinds = Counter(message.kind for messages in self._parked.values() for message in messages)
        names = ("applied", "recorded", "duplicate", "stale")
        return {
            "deliveries": deliveries,
            "events": len(self._events),
            "calls applied": len(self._seen.applied),
            **{name: outcomes[name] for name in names},
            "parked": kinds[PERMANENT],
            "in DLQ for now": kinds[TRANSIENT],
            "unrouted": sum(
                len(self._envelopes[event.id])
                for event in self._events.values()
                if event.outcome == "unrouted"
            ),
            "in S3": len(self._seen.archived.keys() & set[str]().union(*self._envelopes.values())),
            "in PostgreSQL": sum(self._seen.ledger.values()),
            "poison": len(self._poison) + sum(not event.storable for event in self._events.values()),
        }


def _violation(kind: str, event: Event, what: str) -> Violation:
    return Violation(kind, event.id, event.type, what)


def _errors(refusal: ExpectedRefusal) -> tuple[str, ...]:
    """Return the error classes that a refused event may be parked with.

    One phase garbles the API's answers. An answer without its code refuses the event, but does not settle
    whether an earlier call was applied.
    """
    return (refusal.error, *([DOUBTFUL] if refusal.status is not None else []))
