"""What an invocation holds while it applies an event: one transaction takes it, one gives it up.

The event's record, its effect and its object's order are written together or not at all, so no invocation,
wherever it is killed, leaves one of them without the others.
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
from functions.pipeline.ordering import State, Stream
from functions.shared.errors import UnsettledError

# The first try expects nothing in the way; a second knows what was, and a third whoever came between.
ROUNDS: Final = 4

Part = Record | Effect | Stream


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an event needs.

    Parameters
    ----------
    key
        Its idempotency key.
    record
        Key of its record; see :func:`functions.pipeline.idempotency.idempotency_id`.
    effect
        Key of the effect that it brings about, or None.
    stream, state
        Key of its object's order and what it would apply there, or None where states have no order.
    """

    key: str
    record: str
    effect: str | None = None
    stream: str | None = None
    state: State | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """What one invocation holds.

    Parameters
    ----------
    doubt
        Whether an earlier delivery of the event may have called the API, with an unknown outcome.
    undecided
        Whether nothing tells the order of the event and another one of the same second.
    """

    table: Table
    record: Record
    effect: Effect | None
    stream: Stream | None
    doubt: bool
    undecided: bool

    def complete(
        self, result: Mapping[str, Any], *, fetched_at: float | None = None, body: str | None = None
    ) -> None:
        """Write that the API has applied the event; see :meth:`Stream.complete` for the rest.

        Raises
        ------
        TransientError, ConfigurationError
            The table did not answer, or refused.
        """
        facts = [self.record.complete(result)]
        if self.effect:
            facts.append(self.effect.complete())
        if self.stream is None:
            self.table.write(*facts)
            return
        # Where the invocation's time was over another may be at work. What the API did stays a fact.
        late = self.stream.complete_late(fetched_at=fetched_at, body=body)
        for order in (self.stream.complete(fetched_at=fetched_at, body=body), *late):
            try:
                self.table.write(*facts, order)
            except ConditionFailedError:
                continue
            return
        self.table.write(*facts)

    def dismiss(self, result: Mapping[str, Any]) -> None:
        """Write that the event needs no call after all. Raises as :meth:`complete` does."""
        self._give_up(
            [self.record.complete(result), *(part.release() for part in (self.effect, self.stream) if part)]
        )

    def release(self) -> None:
        """Write that the API has surely not applied the event. Raises as :meth:`complete` does."""
        self._give_up([part.release() for part in (self.record, self.effect, self.stream) if part])

    def leave(self, *, at_work: bool) -> None:
        """Write that the outcome is unknown; ``at_work``: the API may still be at the call.

        Raises as :meth:`complete` does.
        """
        left = [self.stream.leave(at_work=at_work)] if self.stream else []
        self._give_up([self.record.leave(), *left])

    def _give_up(self, writes: list[Write]) -> None:
        # Where another invocation is at the event, what it finds out counts.
        with suppress(ConditionFailedError):
            self.table.write(*writes)


def new_claim() -> str:
    """Name an invocation as no other is named, so that it knows its own writes again."""
    return uuid.uuid4().hex


def begin(table: Table, wanted: Wanted, claim: str, until: float) -> Claim:
    """Take what an event needs, ``until`` the time of the invocation ``claim`` is over (Unix seconds).

    Raises
    ------
    CompletedError, EffectDoneError, StaleEventError
        The event needs no call any more.
    BusyError
        Another event of its object is being applied.
    UnsettledError
        Another invocation applies the event, or another event comes first.
    TransientError, ConfigurationError
        The table did not answer, or refused.
    """
    parts: list[Part] = [Record(table, wanted.record, claim, {})]
    if wanted.effect is not None:
        parts.append(Effect(table, wanted.effect, wanted.key, claim, {}))
    if wanted.stream is not None and wanted.state is not None:
        parts.append(Stream(table, wanted.stream, claim, wanted.state, None))
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
    raise UnsettledError("other invocations are writing the same items")


def settle(table: Table, wanted: Wanted, claim: str, result: Mapping[str, Any]) -> None:
    """Write that an event is done without a call by the invocation ``claim``.

    It is recorded, a duplicate, or stale.

    Raises
    ------
    CompletedError
        It was done before.
    UnsettledError
        Another invocation applies it.
    TransientError, ConfigurationError
        The table did not answer, or refused.
    """
    record = Record(table, wanted.record, claim, {})
    for _ in range(ROUNDS):
        try:
            table.write(record.complete_without_call(result))
        except ConditionFailedError as failed:
            record = replace(record, seen=failed.item)
            if not record.mine:
                record.check()
                continue
        return
    raise UnsettledError("other invocations are writing the same items")


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
    stream = next((part for part in parts if isinstance(part, Stream)), None)
    return Claim(
        table,
        record,
        effect,
        stream,
        doubt=any(part.doubt for part in parts),
        undecided=stream is not None and stream.undecided,
    )
