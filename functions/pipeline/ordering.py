"""The order of an object's states: none is applied over a newer one, nor over the object's end.

Events of one object are applied one at a time: each holds the object's lease. Before the API is called, the
event is entered in `unsettled`, so that an older event waits as long as the outcome of a newer one is
unknown. The object's end, a `once` event of its own, takes part in the order too.

Attributes of the object's item:

`applied`
    `created` of the newest applied event, in Unix seconds; with `refetch` at least the time of the fetch,
    less `SKEW_SECONDS`
`applied_by`, `after_hash`, `before_hash`
    that event's id; hashes of the body that it sent, and of the body just before it
`ended`
    `created` of the object's applied end
`unsettled`
    `created` of what may have been applied, by idempotency key; an end's key begins with `END`
`holder`, `lease_until`, `claim`
    the event that is being applied, until when (Unix milliseconds), and the id of the claim that wrote last.
    In the last `COOLING_SECONDS` of a lease nobody waits for its end: the invocation has timed out, and only
    a call that it sent may still be in flight

The item is the same for every value of the setting `order`, so a change of the setting loses nothing.
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
# How long the API may still process a call after nobody waits for its answer, in seconds
# (docs/huntaze-api.md).
LATE_SECONDS: Final = 10
# After this time, on any machine's clock, no such call can be applied any more; seconds.
COOLING_SECONDS: Final = LATE_SECONDS + SKEW_SECONDS

# Most entries that one write removes.
MOST_REMOVED: Final = 50

# The condition, for an item that was not read, that no other event prevents this one.
_OPEN: Final = (
    "(attribute_not_exists(lease_until) OR lease_until < :now)"
    " AND (attribute_not_exists(applied) OR applied < :created)"
    " AND (attribute_not_exists(ended) OR ended < :created)"
    " AND (attribute_not_exists(unsettled) OR size(unsettled) = :none)"
)
_MINE: Final = "claim = :claim"


class StaleEventError(Exception):
    """A newer state, or the object's end, was applied before."""


class BusyError(Exception):
    """Another event of the object is being applied; it may end within a short wait."""


@dataclass(frozen=True, slots=True)
class State:
    """What an event would apply to its object.

    Parameters
    ----------
    key
        The event's idempotency key.
    created
        When Stripe created the event, in Unix seconds.
    order
        One of `functions.shared.names.ORDERS`.
    is_end
        Whether it is the object's end.
    after, before
        Hashes of the body that the event sends, and of the body just before it, by the event's
        `previous_attributes`; None if unknown.
    """

    key: str
    created: int
    order: str
    is_end: bool = False
    after: str | None = None
    before: str | None = None

    @property
    def time(self) -> int:
        """When it was created; an object's end is newer than every state of its second."""
        return self.created + self.is_end

    @property
    def entry(self) -> str:
        """Its key in `unsettled`."""
        return f"{END}{self.key}" if self.is_end else self.key


@dataclass(frozen=True, slots=True)
class ObjectStates:
    """The states of one object, as one invocation uses them.

    Parameters
    ----------
    item
        The item's key; see `states_key`.
    claim_id
        Id of the invocation's claim.
    seen
        The item as it was read; {} if there is none, None if it was not read.
    """

    table: Table
    item: str
    claim_id: str
    state: State
    seen: Item | None

    def check(self) -> None:
        """Raise if this event may not be applied now.

        Raises
        ------
        StaleEventError
            A newer state, or the object's end, was applied before.
        BusyError
            Another event of the object is being applied.
        UnsettledError
            The outcome of a newer event is unknown, or an earlier call may still be in flight.
        """
        if self._mine:
            return
        ordered = not self.state.is_end and self.state.order != names.OFF
        if ordered and self._newest >= self.state.time and self._is_stale():
            raise StaleEventError
        left = int(self._seen.get("lease_until", 0)) / 1000 - time.time()
        # Repeating the same call is harmless; a state that is fetched again may differ.
        held = left > 0 and (self._seen.get("holder") != self.state.key or self._may_fetch)
        if held and left > COOLING_SECONDS:
            raise BusyError("another event of the same object is being applied")
        if ordered and self._waits_for_newer():
            raise UnsettledError("a newer event of the same object is not settled")
        if held:
            raise UnsettledError("an earlier call for the same object may still be in flight")

    @property
    def _may_fetch(self) -> bool:
        """Whether the object's current state may be sent, under a key of its own."""
        return not self.state.is_end and (self.state.order == names.REFETCH or self.undecided)

    @property
    def doubt(self) -> bool:
        """Whether an earlier delivery of the event may have called the API, with an unknown outcome."""
        return not self._mine and self.state.entry in self._unsettled

    @property
    def undecided(self) -> bool:
        """Whether another event of the same second was applied, and it is unknown which is newer."""
        tie = self._seen.get("applied") == self.state.time and not self.state.is_end
        return (
            tie
            and self.state.order == names.WATERMARK
            and not self._by_this_event
            and self._is_older == self._is_newer
        )

    def begin(self, until: float) -> Write:
        """Write that this invocation is applying the event; it times out at `until` (Unix seconds)."""
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
            When the sent state was fetched from Stripe, in Unix seconds; None for the event's own state.
        body
            Hash of the body that was sent.
        """
        applied = self._applied(fetched_at)
        # DynamoDB limits expressions to 4 KB. Entries older than the applied state may stay: they block
        # nothing.
        moot = [entry for entry, created in self._unsettled.items() if created < applied][:MOST_REMOVED]
        attributes = {f"moot{n}": entry for n, entry in enumerate(moot) if entry != self.state.entry}
        removed = [
            "holder",
            "lease_until",
            "unsettled.#entry",
            *(f"unsettled.#{name}" for name in attributes),
        ]
        update, values = self._applied_state(fetched_at, body)
        condition = f"{_MINE} AND (attribute_not_exists(applied) OR applied <= :applied)"
        return self._write(f"{update} REMOVE {', '.join(removed)}", condition, attributes, **values)

    def complete_late(self, *, fetched_at: float | None = None, body: str | None = None) -> tuple[Write, ...]:
        """Return the writes for when another invocation has the lease by now; the first possible one counts.

        The first is for an event that is the newest applied one, the second for when a newer one was applied.
        """
        update, values = self._applied_state(fetched_at, body)
        newest = "attribute_exists(unsettled) AND (attribute_not_exists(applied) OR applied < :applied)"
        return (
            self._write(f"{update} REMOVE unsettled.#entry", newest, **values),
            self._write("REMOVE unsettled.#entry", "attribute_exists(unsettled.#entry)"),
        )

    def release(self) -> Write:
        """Write that the API has certainly not applied the event."""
        return self._write("REMOVE holder, lease_until, unsettled.#entry", _MINE)

    def mark_unknown(self, *, in_flight: bool) -> Write:
        """Write that the outcome is unknown; `in_flight`: the API may still be processing a call."""
        now = time.time()
        # A call of an earlier delivery of the event may be in flight for longer than this delivery's.
        earlier = 0 if self._mine else int(self._seen.get("lease_until", 0)) / 1000
        until = now + COOLING_SECONDS if in_flight or self._mine else earlier
        if until <= now:
            return self._write("REMOVE holder, lease_until", _MINE)
        return self._write("SET lease_until = :until", _MINE, until=round(until * 1000))

    @property
    def _seen(self) -> Item:
        return self.seen or {}

    @property
    def _mine(self) -> bool:
        """Whether this invocation wrote it: the response was lost, and the client repeated the request."""
        return self._seen.get("claim") == self.claim_id

    @property
    def _unsettled(self) -> Mapping[str, int]:
        return {entry: int(created) for entry, created in self._seen.get("unsettled", {}).items()}

    @property
    def _newest(self) -> int:
        """`created` of the state or end that no older state may be applied over."""
        ended = int(self._seen.get("ended", 0))
        return ended if self.state.order == names.REFETCH else max(int(self._seen.get("applied", 0)), ended)

    def _is_stale(self) -> bool:
        tie = self._newest == self.state.time and int(self._seen.get("ended", 0)) < self.state.time
        return not tie or (not self._by_this_event and self._is_older and not self._is_newer)

    def _waits_for_newer(self) -> bool:
        # With refetch a state is as new as its lease, whatever the event's age. Only an end is newer.
        ends_only = self.state.order == names.REFETCH
        # An event of the same second may be newer. One whose own outcome is unknown goes first, or two of
        # them would wait for each other.
        since = self.state.time + self.doubt
        return any(
            created >= since and (entry.startswith(END) or not ends_only)
            for entry, created in self._unsettled.items()
            if entry != self.state.entry
        )

    @property
    def _by_this_event(self) -> bool:
        """Whether this event applied the current state, in an earlier delivery or before a forced replay."""
        return self._seen.get("applied_by") == _event_of(self.state.key)

    @property
    def _is_older(self) -> bool:
        """Whether the applied event followed this event's state directly."""
        return self.state.after is not None and self._seen.get("before_hash") == self.state.after

    @property
    def _is_newer(self) -> bool:
        """Whether this event followed the applied state directly, or has the same one."""
        applied = self._seen.get("after_hash")
        return applied is not None and applied in (self.state.before, self.state.after)

    def _applied(self, fetched_at: float | None) -> int:
        fetched = 0 if fetched_at is None else int(fetched_at) - SKEW_SECONDS
        return max(int(self._seen.get("applied", 0)), self.state.time, fetched)

    def _applied_state(self, fetched_at: float | None, body: str | None) -> tuple[str, dict[str, Any]]:
        """Return the update expression, with its values, for an applied event."""
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
            "claim": self.claim_id,
            "seen_claim": self._seen.get("claim"),
            "entries": {self.state.entry: self.state.time},
            "none": 0,
            "now": round(time.time() * 1000),
            "expiration": self.table.expiration(),
        }
        named = {"entry": self.state.entry, **(attributes or {})}
        return Write(self.item, update, condition, {**known, **values}, named)


def states_key(*parts: str | None) -> str:
    """Return the key of the states of the object that the parts identify."""
    return item_key(KIND, *parts)


def _event_of(key: str) -> str:
    """Return the event's id in an idempotency key, which may also name a forced replay."""
    return key.partition(":")[0]
