"""The latest state of an object: an older one never overwrites a newer one.

Events of one object are applied one at a time: each holds the object's lease during its turn, and at most
until its invocation's time is up. What an event tries to apply is remembered before the call of the API, so
that after a call with an unknown end (an answer that was lost, a handler that was killed) an older event
waits until the newer one is settled, instead of being applied over it. A refusal after such a call settles
nothing; one more, of a delivery that a person asked for, does.

An object's end, which is an effect of its own, takes its turn too: no older state is applied over it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from functions.pipeline.errors import UnsettledError
from functions.pipeline.table import ConditionFailedError, Table, item_key

KIND: Final = "stream"

_FREE: Final = "(attribute_not_exists(holder) OR holder = :holder OR lease_until < :now)"
_NOT_STALE: Final = "(attribute_not_exists(applied) OR applied <= :created)"
_HOLD: Final = "SET holder = :holder, lease_until = :until, expiration = :expiration"


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
    by_hand
        Whether a person asked for the delivery.
    """

    table: Table
    item: str
    holder: str
    created: int
    by_hand: bool

    def hold(self, lease_seconds: float) -> Turn:
        """Take the object's lease, whatever state the event brings: it will fetch the present one.

        Raises
        ------
        UnsettledError
            Another event of the object is being applied.
        TransientError, ConfigurationError
            The table did not answer, or refused.
        """
        try:
            return self._take(_FREE, lease_seconds)
        except ConditionFailedError as found:
            raise _busy() from found

    def advance(self, lease_seconds: float) -> Turn:
        """Take the object's lease for the newest state.

        Raises
        ------
        StaleEventError
            The event is strictly older than the newest applied one.
        UnsettledError
            Another event of the object is being applied, or a newer one is not settled.
        TransientError, ConfigurationError
            The table did not answer, or refused.
        """
        try:
            turn = self._take(f"{_FREE} AND {_NOT_STALE}", lease_seconds)
        except ConditionFailedError as found:
            if found.item.get("applied", 0) > self.created:
                raise StaleEventError from found
            raise _busy() from found
        if any(created > self.created for created in turn.unsettled.values()):
            turn.let_go()
            raise UnsettledError("a newer event of the same object is not settled")
        turn.begin()
        return turn

    def end(self, lease_seconds: float) -> Turn:
        """Take the object's lease for its end, which is never stale. Raises as :meth:`hold` does."""
        turn = self.hold(lease_seconds)
        turn.begin()
        return turn

    def _take(self, condition: str, lease_seconds: float) -> Turn:
        now = time.time()
        before = self.table.update(
            self.item,
            _HOLD,
            condition,
            holder=self.holder,
            created=self.created,
            now=round(now * 1000),
            until=round((now + lease_seconds) * 1000),
            expiration=self.table.expiration(),
        )
        unsettled: Mapping[str, Any] = before.get("unsettled", {})
        return Turn(
            self,
            newest=int(before.get("applied", 0)),
            unsettled={key: int(created) for key, created in unsettled.items() if key != self.holder},
            called=self.holder in unsettled,
            last_word=self.by_hand and before.get("refused") == self.holder,
        )


@dataclass(frozen=True, slots=True)
class Turn:
    """An event's turn, while it holds its object's lease: nobody else writes the stream's item.

    Parameters
    ----------
    newest
        ``created`` of the newest applied event.
    unsettled
        ``created`` of the other events with an unknown end, by idempotency key.
    called
        Whether an earlier delivery of the same event may have called the API, with an unknown end.
    last_word
        Whether a refusal of this delivery settles it: one came before, and a person asked for one more.
    """

    stream: Stream
    newest: int
    unsettled: Mapping[str, int]
    called: bool
    last_word: bool

    def begin(self) -> None:
        """Remember what is about to be tried.

        Raises
        ------
        UnsettledError
            The lease ran out and another event took it.
        TransientError, ConfigurationError
            The table did not answer, or refused.
        """
        tried = {**self.unsettled, self.stream.holder: self.stream.created}
        try:
            self._write("SET unsettled = :unsettled REMOVE refused", unsettled=tried)
        except ConditionFailedError as found:
            raise _busy() from found

    def applied(self) -> None:
        """Remember the state as applied, and give the lease up. Raises as :meth:`Table.update` does."""
        newest = max(self.newest, self.stream.created)
        # An unsettled event that is older will be stale.
        rest = {key: created for key, created in self.unsettled.items() if created >= newest}
        self._give_up("SET applied = :applied, unsettled = :unsettled", applied=newest, unsettled=rest)

    def not_applied(self) -> None:
        """Give the lease up; the state before this one is still the newest."""
        self._give_up("SET unsettled = :unsettled", unsettled=self.unsettled)

    def doubt(self) -> None:
        """Give the lease up; what was tried stays remembered, and that the API refused it."""
        self._give_up("SET refused = :holder")

    def let_go(self) -> None:
        """Give the lease up; what was tried stays remembered."""
        self._give_up("")

    def _give_up(self, expression: str, **values: Any) -> None:
        # Where the lease ran out and another event took it, what that one applies is no older.
        with suppress(ConditionFailedError):
            self._write(f"{expression} REMOVE holder, lease_until", **values)

    def _write(self, expression: str, **values: Any) -> None:
        self.stream.table.update(
            self.stream.item, expression, "holder = :holder", holder=self.stream.holder, **values
        )


def stream(table: Table, holder: str, created: int, *about: str | None, by_hand: bool) -> Stream:
    """Name the stream of the object that is identified by ``about``."""
    return Stream(table, item_key(KIND, *about), holder, created, by_hand)


def _busy() -> UnsettledError:
    return UnsettledError("another event of the same object is being applied")
