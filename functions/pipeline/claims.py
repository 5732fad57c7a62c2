"""The claim of an event: what an invocation holds while it applies it.

One transaction begins a claim and one ends it. The event's record, its effect and the states of its object
are written together or not at all, so an invocation that is killed never leaves one without the others.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from functions.pipeline.effects import Effect
from functions.pipeline.idempotency import Record
from functions.pipeline.idempotency_table import ConditionFailedError, Table, Write
from functions.pipeline.ordering import ObjectStates, State
from functions.shared.errors import UnsettledError

# The first transaction assumes that nothing prevents the claim; each further one uses what it found there.
ROUNDS: Final = 4

Part = Record | Effect | ObjectStates


@dataclass(frozen=True, slots=True)
class ClaimItems:
    """The items that an event's claim consists of.

    Parameters
    ----------
    key
        The event's idempotency key.
    record
        Key of its record; see `functions.pipeline.idempotency.record_key`.
    effect
        Key of its effect, or None.
    states, state
        Key of its object's states and the state that the event applies, or None if states have no order.
    """

    key: str
    record: str
    effect: str | None = None
    states: str | None = None
    state: State | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """What one invocation holds while it applies an event.

    Parameters
    ----------
    doubt
        Whether an earlier delivery of the event may have called the API, with an unknown outcome.
    undecided
        Whether the order of this event and another one of the same second is unknown.
    """

    table: Table
    record: Record
    effect: Effect | None
    states: ObjectStates | None
    doubt: bool
    undecided: bool

    def complete(
        self, result: Mapping[str, Any], *, fetched_at: float | None = None, body: str | None = None
    ) -> None:
        """Write that the API has applied the event; the parameters are those of `ObjectStates.complete`.

        Raises
        ------
        TransientError, ConfigurationError
            The table did not answer, or refused.
        """
        writes = [self.record.complete(result)]
        if self.effect:
            writes.append(self.effect.complete())
        if self.states is None:
            self.table.write(*writes)
            return
        # Another invocation may hold the lease by now, but the API has applied the event all the same.
        late = self.states.complete_late(fetched_at=fetched_at, body=body)
        for order in (self.states.complete(fetched_at=fetched_at, body=body), *late):
            try:
                self.table.write(*writes, order)
            except ConditionFailedError:
                continue
            return
        self.table.write(*writes)

    def complete_without_call(self, result: Mapping[str, Any]) -> None:
        """Write that the event needs no call after all.

        Raises
        ------
        TransientError, ConfigurationError
            The table did not answer, or refused.
        """
        self._write_if_held(
            [self.record.complete(result), *(part.release() for part in (self.effect, self.states) if part)]
        )

    def release(self) -> None:
        """Write that the API has certainly not applied the event.

        Raises
        ------
        TransientError, ConfigurationError
            The table did not answer, or refused.
        """
        self._write_if_held([part.release() for part in (self.record, self.effect, self.states) if part])

    def mark_unknown(self, *, in_flight: bool) -> None:
        """Write that the outcome is unknown.

        Parameters
        ----------
        in_flight
            Whether the API may still be processing a call.

        Raises
        ------
        TransientError, ConfigurationError
            The table did not answer, or refused.
        """
        states = [self.states.mark_unknown(in_flight=in_flight)] if self.states else []
        self._write_if_held([self.record.mark_unknown(), *states])

    def _write_if_held(self, writes: list[Write]) -> None:
        # An invocation that has claimed the event since writes the outcome itself.
        with suppress(ConditionFailedError):
            self.table.write(*writes)


def new_claim_id() -> str:
    """Return a unique id, by which an invocation recognises its own writes."""
    return uuid.uuid4().hex


def begin(table: Table, items: ClaimItems, claim_id: str, until: float) -> Claim:
    """Claim an event for one invocation.

    Parameters
    ----------
    until
        When the invocation times out, in Unix seconds.

    Raises
    ------
    CompletedError, EffectDoneError, StaleEventError
        The event no longer needs a call.
    BusyError
        Another event of its object is being applied.
    UnsettledError
        Another invocation is applying the event, or another event comes first.
    TransientError, ConfigurationError
        The table did not answer, or refused.
    """
    parts: list[Part] = [Record(table, items.record, claim_id, {})]
    if items.effect is not None:
        parts.append(Effect(table, items.effect, items.key, claim_id, {}))
    if items.states is not None and items.state is not None:
        parts.append(ObjectStates(table, items.states, claim_id, items.state, None))
    for _ in range(ROUNDS):
        try:
            table.write(*_beginnings(parts, until))
        except ConditionFailedError as failed:
            for place, item in enumerate(failed.items):
                if item is not None:
                    parts[place] = replace(parts[place], seen=item)
                    parts[place].check()
            continue
        return _claim(table, parts)
    raise UnsettledError("other invocations keep writing the same items")


def complete_without_call(table: Table, items: ClaimItems, claim_id: str, result: Mapping[str, Any]) -> None:
    """Write that an event is completed without a call: recorded, a duplicate or stale.

    Raises
    ------
    CompletedError
        The event was completed before.
    UnsettledError
        Another invocation is applying it.
    TransientError, ConfigurationError
        The table did not answer, or refused.
    """
    record = Record(table, items.record, claim_id, {})
    for _ in range(ROUNDS):
        try:
            table.write(record.complete_without_call(result))
        except ConditionFailedError as failed:
            record = replace(record, seen=failed.item)
            if not record.mine:
                record.check()
                continue
        return
    raise UnsettledError("other invocations keep writing the same items")


def _beginnings(parts: list[Part], until: float) -> Iterator[Write]:
    doubt = any(part.doubt for part in parts)
    for part in parts:
        if isinstance(part, Record):
            yield part.begin(until, doubt=doubt)
        else:
            yield part.begin() if isinstance(part, Effect) else part.begin(until)


def _claim(table: Table, parts: list[Part]) -> Claim:
    record = next(part for part in parts if isinstance(part, Record))
    effect = next((part for part in parts if isinstance(part, Effect)), None)
    states = next((part for part in parts if isinstance(part, ObjectStates)), None)
    return Claim(
        table,
        record,
        effect,
        states,
        doubt=any(part.doubt for part in parts),
        undecided=states is not None and states.undecided,
    )
