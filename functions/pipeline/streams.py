"""The latest state of an object: an older one never overwrites a newer one.

Events of one object are applied one at a time: each holds the object's lease during its call of the API,
and at most until its invocation's time is up. What an event has tried to apply is remembered before the
call, so that after a call with an unknown end (an answer that was lost, a handler that was killed) an older
event waits until the newer one is settled, instead of being applied over it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from functions.pipeline.errors import TransientError
from functions.pipeline.table import ConditionFailedError, Item, Table, item_key

KIND: Final = "stream"

_FREE: Final = "(attribute_not_exists(holder) OR holder = :holder OR lease_until < :now)"
_NEWEST: Final = (
    "(attribute_not_exists(applied) OR applied <= :created)"
    " AND (attribute_not_exists(attempted) OR attempted <= :created)"
)
_HOLD: Final = "SET holder = :holder, lease_until = :until, expiration = :expiration"
_LET_GO: Final = "REMOVE holder, lease_until"


class StaleEventError(Exception):
    """A newer event of the same object was applied before."""


@dataclass(frozen=True, slots=True)
class Stream:
    """The states of one object, for one event that wants to apply the next.

    Parameters
    ----------
    item
        Key of the stream's item; see :func:`stream`.
    holder
        Idempotency key of the event.
    created
        When Stripe made the event, in Unix seconds.
    """

    table: Table
    item: str
    holder: str
    created: int

    def hold(self, lease_seconds: float) -> None:
        """Take the object's lease, whatever state the event brings: it will fetch the present one.

        Raises
        ------
        TransientError
            Another event of the object is being applied, or the table did not answer.
        ConfigurationError
            The table refused.
        """
        try:
            self._write(_HOLD, _FREE, lease_seconds)
        except ConditionFailedError as found:
            raise _busy() from found

    def advance(self, lease_seconds: float) -> None:
        """Take the object's lease for the newest state.

        Raises
        ------
        StaleEventError
            The event is strictly older than the newest applied one.
        TransientError
            Another event of the object is being applied, or a newer one is not settled.
        ConfigurationError
            The table refused.
        """
        try:
            self._write(f"{_HOLD}, attempted = :created", f"{_FREE} AND {_NEWEST}", lease_seconds)
        except ConditionFailedError as found:
            if found.item.get("applied", 0) > self.created:
                raise StaleEventError from found
            if _is_held(found.item, self.holder):
                raise _busy() from found
            raise TransientError("a newer event of the same object is not settled") from found

    def applied(self) -> None:
        """Remember the state as applied, and give the lease up. Raises as :meth:`advance` does."""
        self._give_up(f"SET applied = :created {_LET_GO}")

    def refused(self) -> None:
        """Give the lease up: the API refused the state, so the one before it is still the newest."""
        self._give_up(f"{_LET_GO}, attempted")

    def let_go(self) -> None:
        """Give the lease up; what was attempted stays remembered."""
        self._give_up(_LET_GO)

    def _give_up(self, expression: str) -> None:
        try:
            self.table.update(
                self.item, expression, "holder = :holder", holder=self.holder, created=self.created
            )
        except ConditionFailedError:
            # The lease ran out and another event took it: what it applies is no older.
            return

    def _write(self, expression: str, condition: str, lease_seconds: float) -> None:
        now = time.time()
        self.table.update(
            self.item,
            expression,
            condition,
            holder=self.holder,
            created=self.created,
            now=round(now * 1000),
            until=round((now + lease_seconds) * 1000),
            expiration=self.table.expiration(),
        )


def stream(table: Table, holder: str, created: int, *about: str | None) -> Stream:
    """Name the stream of the object that is identified by ``about``."""
    return Stream(table, item_key(KIND, *about), holder, created)


def _is_held(item: Item, holder: str) -> bool:
    return item.get("holder", holder) != holder and bool(item["lease_until"] >= time.time() * 1000)


def _busy() -> TransientError:
    return TransientError("another event of the same object is being applied")
