"""The order of an object's states: an older one is never applied over a newer one, nor over the object's end.

Events of one object are applied one at a time: each holds the object's lease. What an event is about to apply
stands in ``unsettled`` before the API is called, so that an older event waits as long as the outcome of a
newer one is unknown. An object's end, an effect of its own, takes its turn too.

Attributes of the object's item:

``applied``
    ``created`` of the newest applied event, in Unix seconds; with ``refetch`` no earlier than what was
    fetched, but for :data:`SKEW_SECONDS`
``applied_by``, ``after_hash``, ``before_hash``
    which event that was; hashes of the body that it brought, and of the body just before it
``ended``
    ``created`` of the object's applied end
``unsettled``
    ``created`` of what may have been applied, by idempotency key; an end's key begins with :data:`END`
``holder``, ``lease_until``, ``claim``
    which event is being applied, until when (Unix milliseconds), and the invocation that wrote last. In the
    last :data:`COOLING_SECONDS` of a lease nobody waits for its end: the invocation is over, and only a call
    that was cut off may still be at work

The item of every ``order`` is the same, so that a change of the setting forgets nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from functions.pipeline.idempotency_table import Item, Table, Write, item_key
from functions.shared import names
from functions.shared.errors import UnsettledError

KIND: Final = "stream"
END: Final = "end#"
# How far the clocks of two functions, or of a function and Stripe, may differ, in seconds. AWS's own differ
# by milliseconds.
SKEW_SECONDS: Final = 5
# How long the API may still be at work on a call after nobody waits for its answer, in seconds
# (docs/huntaze-api.md).
LATE_SECONDS: Final = 10
# So long after that time, by any machine's clock, no such call can be applied any more; seconds.
COOLING_SECONDS: Final = LATE_SECONDS + SKEW_SECONDS

# Entries that one write removes.
MOST_REMOVED: Final = 50

# What every event meets that no other is in the way of, in an item that was not read.
_OPEN: Final = (
    "(attribute_not_exists(lease_until) OR lease_until < :now)"
    " AND (attribute_not_exists(applied) OR applied < :created)"
    " AND (attribute_not_exists(ended) OR ended < :created)"
    " AND (attribute_not_exists(unsettled) OR size(unsettled) = :none)"
)
_MINE: Final = "claim = :claim"


class StaleEventError(Exception):
    """A state that is newer, or the object's end, was applied before."""


class BusyError(Exception):
    """Another event of the object is being applied: a short wait may bring its end."""


@dataclass(frozen=True, slots=True)
class State:
    """What an event would apply to its object.

    Parameters
    ----------
    key
        The event's idempotency key.
    created
        When Stripe made the event, in Unix seconds.
    order
        One of :data:`functions.shared.names.ORDERS`.
    is_end
        Whether it is the object's end.
    after, before
        Hashes of the body that the event brings, and of the body that the object had just before it, by the
        event's ``previous_attributes``; None where that is not known.
    """

    key: str
    created: int
    order: str
    is_end: bool = False
    after: str | None = None
    before: str | None = None

    @property
    def time(self) -> int:
        """When it was made; an object's end is newer than every state of its second."""
        return self.created + self.is_end

    @property
    def entry(self) -> str:
        """Its name among the unsettled."""
        return f"{END}{self.key}" if self.is_end else self.key


@dataclass(frozen=True, slots=True)
class Stream:
    """The states of one object, as one invocation uses them.

    Parameters
    ----------
    item
        The item's key; see :func:`stream_key`.
    claim
        A name of the invocation that no other has.
    seen
        The item as it was read; {} where there is none, None where it was not read.
    """

    table: Table
    item: str
    claim: str
    state: State
    seen: Item | None

    def check(self) -> None:
        """Raise what keeps this event from being applied.

        Raises
        ------
        StaleEventError
            What is newer was applied before.
        BusyError
            Another event of the object is being applied.
        UnsettledError
            The outcome of a newer event is unknown, or a call that was cut off may still be at work.
        """
        if self._mine:
            return
        ordered = not self.state.is_end and self.state.order != names.OFF
        if ordered and self._newest >= self.state.time and self._is_stale():
            raise StaleEventError
        left = int(self._seen.get("lease_until", 0)) / 1000 - time.time()
        # The same call once more does no harm; what is fetched anew may be another one.
        held = left > 0 and (self._seen.get("holder") != self.state.key or self._may_fetch)
        if held and left > COOLING_SECONDS:
            raise BusyError("another event of the same object is being applied")
        if ordered and self._waits_for_newer():
            raise UnsettledError("a newer event of the same object is not settled")
        if held:
            raise UnsettledError("an earlier call about the same object may still be at work")

    @property
    def _may_fetch(self) -> bool:
        """Whether the object's present state is sent, under a key of its own."""
        return not self.state.is_end and (self.state.order == names.REFETCH or self.undecided)

    @property
    def doubt(self) -> bool:
        """Whether an earlier delivery of the event may have called the API, with an unknown outcome."""
        return not self._mine and self.state.entry in self._unsettled

    @property
    def undecided(self) -> bool:
        """Whether another event of the same second was applied, and nothing tells which is newer."""
        tie = self._seen.get("applied") == self.state.time and not self.state.is_end
        return (
            tie
            and self.state.order == names.WATERMARK
            and not self._by_this_event
            and self._is_older == self._is_newer
        )

    def begin(self, until: float) -> Write:
        """Write that this invocation applies the event, ``until`` its time is over (Unix seconds)."""
        entries = "unsettled.#entry = :time" if self._seen.get("unsettled") else "unsettled = :entries"
        return self._write(
            f"SET holder = :key, lease_until = :until, claim = :claim, expiration = :expiration, {entries}",
            _OPEN if self.seen is None else self._as_seen(),
            until=round((until + COOLING_SECONDS) * 1000),
        )

    def complete(self, *, fetched_at: float | None = None, body: str | None = None) -> Write:
        """Write that the API has applied the event, while this invocation holds the lease.

        Parameters
        ----------
        fetched_at
            When the state that was sent was fetched from Stripe, in Unix seconds; None for the event's own.
        body
            Hash of the body that was sent.
        """
        applied = self._applied(fetched_at)
        # DynamoDB takes expressions of 4 KB; what is older than the applied one blocks nobody and may stay.
        moot = [entry for entry, created in self._unsettled.items() if created < applied][:MOST_REMOVED]
        attributes = {f"moot{n}": entry for n, entry in enumerate(moot) if entry != self.state.entry}
        removed = [
            "holder",
            "lease_until",
            "unsettled.#entry",
            *(f"unsettled.#{name}" for name in attributes),
        ]
        update, values = self._facts(fetched_at, body)
        condition = f"{_MINE} AND (attribute_not_exists(applied) OR applied <= :applied)"
        return self._write(f"{update} REMOVE {', '.join(removed)}", condition, attributes, **values)

    def complete_late(self, *, fetched_at: float | None = None, body: str | None = None) -> tuple[Write, ...]:
        """Write the same where another invocation has the lease by now; the first that holds is written.

        The event is the newest applied one, or a newer one was applied.
        """
        update, values = self._facts(fetched_at, body)
        newest = "attribute_exists(unsettled) AND (attribute_not_exists(applied) OR applied < :applied)"
        return (
            self._write(f"{update} REMOVE unsettled.#entry", newest, **values),
            self._write("REMOVE unsettled.#entry", "attribute_exists(unsettled.#entry)"),
        )

    def release(self) -> Write:
        """Write that the API has surely not applied the event."""
        return self._write("REMOVE holder, lease_until, unsettled.#entry", _MINE)

    def leave(self, *, at_work: bool) -> Write:
        """Write that the outcome is unknown; ``at_work``: the API may still be at the call."""
        now = time.time()
        # A call of an earlier delivery of the event may be at work for longer than this one was.
        earlier = 0 if self._mine else int(self._seen.get("lease_until", 0)) / 1000
        until = now + COOLING_SECONDS if at_work or self._mine else earlier
        if until <= now:
            return self._write("REMOVE holder, lease_until", _MINE)
        return self._write("SET lease_until = :until", _MINE, until=round(until * 1000))

    @property
    def _seen(self) -> Item:
        return self.seen or {}

    @property
    def _mine(self) -> bool:
        """Whether this invocation wrote it: the answer to the write was lost, and the client repeated it."""
        return self._seen.get("claim") == self.claim

    @property
    def _unsettled(self) -> Mapping[str, int]:
        return {entry: int(created) for entry, created in self._seen.get("unsettled", {}).items()}

    @property
    def _newest(self) -> int:
        """``created`` of what no older state may be applied over."""
        ended = int(self._seen.get("ended", 0))
        return ended if self.state.order == names.REFETCH else max(int(self._seen.get("applied", 0)), ended)

    def _is_stale(self) -> bool:
        tie = self._newest == self.state.time and int(self._seen.get("ended", 0)) < self.state.time
        return not tie or (not self._by_this_event and self._is_older and not self._is_newer)

    def _waits_for_newer(self) -> bool:
        # With refetch a state is as new as its lease, whatever the event's age; only an end is newer.
        ends_only = self.state.order == names.REFETCH
        # What is of the same second may be newer. An event that is in doubt itself goes first, or two of them
        # would wait for each other.
        since = self.state.time + self.doubt
        return any(
            created >= since and (entry.startswith(END) or not ends_only)
            for entry, created in self._unsettled.items()
            if entry != self.state.entry
        )

    @property
    def _by_this_event(self) -> bool:
        """Whether the applied state is this event's own, by an earlier delivery or before a forced replay."""
        return self._seen.get("applied_by") == _event_of(self.state.key)

    @property
    def _is_older(self) -> bool:
        """Whether the applied event says that this one's state was the object's just before it."""
        return self.state.after is not None and self._seen.get("before_hash") == self.state.after

    @property
    def _is_newer(self) -> bool:
        """Whether this event says that the applied state was the object's just before it, or is the same."""
        applied = self._seen.get("after_hash")
        return applied is not None and applied in (self.state.before, self.state.after)

    def _applied(self, fetched_at: float | None) -> int:
        fetched = 0 if fetched_at is None else int(fetched_at) - SKEW_SECONDS
        return max(int(self._seen.get("applied", 0)), self.state.time, fetched)

    def _facts(self, fetched_at: float | None, body: str | None) -> tuple[str, dict[str, Any]]:
        """Return what is known of the object once the event is applied, as an update expression."""
        values: dict[str, Any] = {"applied": self._applied(fetched_at)}
        update = "SET applied = :applied, expiration = :expiration"
        if self.state.is_end:
            update += ", ended = :time"
        own = fetched_at is None
        update += ", applied_by = :by, after_hash = :after, before_hash = :before"
        values |= {
            "by": _event_of(self.state.key),
            "after": body if body is not None else self.state.after,
            "before": self.state.before if own else None,
        }
        return update, values

    def _as_seen(self) -> str:
        if "claim" in self._seen:
            return "claim = :seen_claim"
        return "attribute_not_exists(claim) AND (attribute_not_exists(lease_until) OR lease_until < :now)"

    def _write(
        self, update: str, condition: str, attributes: Mapping[str, str] | None = None, **values: Any
    ) -> Write:
        known = {
            "key": self.state.key,
            "time": self.state.time,
            "created": self.state.time,
            "claim": self.claim,
            "seen_claim": self._seen.get("claim"),
            "entries": {self.state.entry: self.state.time},
            "none": 0,
            "now": round(time.time() * 1000),
            "expiration": self.table.expiration(),
        }
        named = {"entry": self.state.entry, **(attributes or {})}
        return Write(self.item, update, condition, {**known, **values}, named)


def stream_key(*about: str | None) -> str:
    """Name the item of the object that is identified by ``about``."""
    return item_key(KIND, *about)


def _event_of(key: str) -> str:
    """Return the event's id of an idempotency key, which may name a forced replay besides."""
    return key.partition(":")[0]
