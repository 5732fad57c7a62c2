"""Whether the promise was kept: each event applied exactly once or parked with its reason, all in the ledger.

Pure: what was sent and what was seen go in, figures and violations come out. The judge of what was applied is
the reference API's own journal.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from ops.chaos.expectations import DOUBTFUL, Event, Refusal
from ops.chaos.observations import Application, DeadLetter, Seen

# The dead-letter queue of the audit queue.
AUDIT_DLQ = "-audit-dlq-"


@dataclass(frozen=True)
class Sent:
    """One delivery as it was put on the bus."""

    event: Event
    envelope_id: str


@dataclass(frozen=True)
class Violation:
    """One broken promise: its kind, the event or message concerned, and what is wrong."""

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
        """How many events have deliveries that have not ended, or that ended more than once."""
        return sum(violation.kind == "count" for violation in self.violations)

    @property
    def passed(self) -> bool:
        """Whether nothing was violated."""
        return not self.violations


def judge(
    sent: Sequence[Sent], seen: Seen, *, poison: frozenset[str] = frozenset(), healed: bool = False
) -> Verdict:
    """Judge everything that was sent so far.

    Parameters
    ----------
    poison
        Ids of the messages that were put into the audit queue and are no envelopes.
    healed
        Whether nothing transient may lie in a dead-letter queue any more.
    """
    court = _Court(sent, seen, poison, healed)
    return Verdict(court.figures(), tuple(court.violations()))


class _Court:
    def __init__(self, sent: Sequence[Sent], seen: Seen, poison: frozenset[str], healed: bool) -> None:
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
        self._dead: defaultdict[str, list[DeadLetter]] = defaultdict(list)
        for letter in seen.dead:
            if AUDIT_DLQ not in letter.queue and letter.event_id is not None:
                self._dead[letter.event_id].append(letter)

    @cached_property
    def _calls(self) -> Mapping[str, list[Application]]:
        """The applied calls by the id of the event whose key they carried."""
        calls: defaultdict[str, list[Application]] = defaultdict(list)
        for call in self._seen.applied:
            calls[call.event_id].append(call)
        return calls

    @cached_property
    def _effects(self) -> Mapping[tuple[str, str], list[Application]]:
        effects: defaultdict[tuple[str, str], list[Application]] = defaultdict(list)
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
        if self._seen.waiting:
            yield Violation("audit", "the audit queue", "", f"still holds {self._seen.waiting} messages")
        for event in self._events.values():
            yield from self._applied_right(event)
            yield from self._parked_right(event)
            yield from self._adds_up(event)
            yield from self._in_ledger(event)
        yield from self._foreign()
        yield from self._in_order()
        yield from self._audit_dead_letters()

    def _applied_right(self, event: Event) -> Iterator[Violation]:
        calls = self._about(event)
        if event.fate != "applied":
            if calls:
                yield _violation("foreign", event, "was applied at the API and must not be")
        elif len(calls) > 1:
            yield _violation("twice", event, f"was applied {len(calls)} times at the API")
        elif not calls and not self._dead[event.id] and not self._superseded(event):
            yield _violation("lost", event, "was not applied at the API and lies in no dead-letter queue")
        if event.fate == "recorded" and not (self._outcomes[event.id]["recorded"] or self._dead[event.id]):
            yield _violation("lost", event, "was not recorded and lies in no dead-letter queue")

    def _about(self, event: Event) -> Sequence[Application]:
        """Return the calls that brought about the event, or its effect where that happens once."""
        if event.kind.repeat == "once" and not event.refusal:
            return self._effects.get(event.effect, ())
        return self._calls.get(event.id, ())

    def _superseded(self, event: Event) -> bool:
        """Whether a handler skipped a state because a newer one of its object had been applied.

        A handler whose record was written and whose writing seemed to fail tells at its retry that the
        event is a duplicate.
        """
        newer = self._newest.get(event.object_id, event.created) > event.created
        outcomes = self._outcomes[event.id]
        skipped = outcomes["stale"] + outcomes["duplicate"] > 0 and not outcomes["applied"]
        return event.kind.repeat == "latest" and newer and skipped

    def _parked_right(self, event: Event) -> Iterator[Violation]:
        letters = self._dead[event.id]
        if event.refusal and not letters:
            yield _violation("lost", event, f"lies in no dead-letter queue: {event.refusal.error}")
        for letter in letters:
            told = f"{letter.error or letter.kind} {letter.status or ''}".strip()
            if letter.kind == "transient":
                if self._healed:
                    yield _violation("not healed", event, f"still lies in {letter.queue}: {told}")
            elif event.refusal is None:
                yield _violation("wrong reason", event, f"lies in {letter.queue} for {told}")
            elif letter.status != event.refusal.status or letter.error not in _errors(event.refusal):
                expected = f"{event.refusal.error} {event.refusal.status or ''}".strip()
                yield _violation("wrong reason", event, f"lies in {letter.queue} for {told}, not {expected}")

    def _adds_up(self, event: Event) -> Iterator[Violation]:
        """Each delivery to a handler ends in one closing log line or in one dead letter."""
        if event.kind.handler is None:
            return
        sent = len(self._envelopes[event.id])
        finished = self._outcomes[event.id].total()
        dead = len({letter.envelope_id for letter in self._dead[event.id]})
        if finished + dead != sent:
            what = f"{sent} deliveries, but {finished} finished and {dead} in dead-letter queues"
            yield _violation("count", event, what)

    def _in_ledger(self, event: Event) -> Iterator[Violation]:
        sent = self._envelopes[event.id]
        missing = len(sent - self._seen.archived)
        if missing:
            yield _violation("ledger hole", event, f"{missing} of {len(sent)} deliveries are not in S3")
        expected = len(sent) if event.storable else 0
        rows = self._seen.rows.get(event.id, 0)
        if rows != expected:
            what = f"PostgreSQL has {rows} deliveries instead of {expected}"
            yield _violation("ledger hole", event, what)

    def _foreign(self) -> Iterator[Violation]:
        for event_id in sorted(self._seen.rows.keys() - self._events.keys()):
            yield Violation("foreign", event_id, "", "is in the ledger and was never sent")
        for call in self._seen.applied:
            event = self._events.get(call.event_id)
            if event is None or event.effect != (call.event_type, call.object_id):
                yield Violation("foreign", call.event_id, call.event_type, f"applied to {call.object_id}")

    def _in_order(self) -> Iterator[Violation]:
        """An older state must never be applied over a newer one, and none over its object's end."""
        newest: dict[str, int] = {}
        for event in self._applied_states():
            rank = event.rank or 0
            if not event.kind.ends and rank < newest.get(event.object_id, rank):
                yield _violation("out of order", event, "was applied over a newer state")
            newest[event.object_id] = max(rank, newest.get(event.object_id, 0))

    def _audit_dead_letters(self) -> Iterator[Violation]:
        unstorable = {
            envelope
            for event in self._events.values()
            if not event.storable
            for envelope in self._envelopes[event.id]
        }
        found: set[str] = set()
        for letter in self._seen.dead:
            if letter.queue.startswith("huntaze-stripe-audit-"):
                about = letter.envelope_id if letter.envelope_id in unstorable else letter.message_id
                found.add(about or "")
                if about not in unstorable | self._poison:
                    subject = letter.event_id or letter.message_id
                    yield Violation(
                        "audit", subject, "", f"lies in {letter.queue} without a fault of its own"
                    )
                elif not letter.reason:
                    # SQS moved it there: it held its lane up until its receives were used up.
                    yield Violation("audit", about, "", f"lies in {letter.queue} without its reason")
        for missing in sorted((self._poison | unstorable) - found):
            yield Violation("audit", missing, "", "is a poison record and lies in no audit dead-letter queue")

    def figures(self) -> dict[str, int]:
        deliveries = sum(map(len, self._envelopes.values()))
        outcomes = Counter[str]()
        for event_id in self._events:
            outcomes += self._outcomes[event_id]
        kinds = Counter(letter.kind for letters in self._dead.values() for letter in letters)
        names = ("applied", "recorded", "duplicate", "stale")
        return {
            "deliveries": deliveries,
            "events": len(self._events),
            "calls applied": len(self._seen.applied),
            **{name: outcomes[name] for name in names},
            "parked": kinds["permanent"],
            "in DLQ for now": kinds["transient"],
            "unrouted": sum(
                len(self._envelopes[event.id]) for event in self._events.values() if event.fate == "unrouted"
            ),
            "in S3": len(self._seen.archived & {one for own in self._envelopes.values() for one in own}),
            "in PostgreSQL": sum(self._seen.rows.values()),
            "poison": len(self._poison) + sum(not event.storable for event in self._events.values()),
        }


def _violation(kind: str, event: Event, what: str) -> Violation:
    return Violation(kind, event.id, event.type, what)


def _errors(refusal: Refusal) -> tuple[str, ...]:
    """Return the error classes that say of an event why it is refused.

    An answer whose code got lost on the way (a phase garbles bodies) refuses the event, but does not end the
    doubt that an earlier call left.
    """
    return (refusal.error, *([DOUBTFUL] if refusal.status is not None else []))
