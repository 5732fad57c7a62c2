"""Once per object: several events may tell of one fact, and its effect happens once.

The first event of an effect claims it before it calls the API, and gives the claim up where the API has
surely not applied it. A second event finds the effect done, and is a duplicate; or finds it claimed and not
done, because the first one is at it, lost its answer, or was killed, so that nobody knows whether the API has
applied it. Then the second event waits, in its retries and in a dead-letter queue, until the first one has
come again and is done, or was refused. A refusal after a call of unknown end is no proof that the API has not
applied it; one more, of a delivery that a person asked for, is taken as one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from functions.pipeline.errors import UnsettledError
from functions.pipeline.table import ConditionFailedError, Table, item_key

KIND: Final = "effect"

_MINE: Final = "(attribute_not_exists(idempotency_key) OR idempotency_key = :key)"


class EffectDoneError(Exception):
    """Another event has brought the effect about."""


@dataclass(frozen=True, slots=True)
class Effect:
    """An effect that an event has claimed.

    Parameters
    ----------
    idempotency_key
        The event's, under which the API is called.
    done
        Whether the API has applied it, by an earlier delivery of the same event.
    called
        Whether an earlier delivery of the same event may have called the API, with an unknown end.
    last_word
        Whether a refusal of this delivery settles it: one came before, and a person asked for one more.
    """

    table: Table
    item: str
    idempotency_key: str
    done: bool
    called: bool
    last_word: bool

    def applied(self) -> None:
        """Remember that the API has applied it. Raises as :meth:`Table.update` does."""
        self.table.update(self.item, "SET done = :done", _MINE, key=self.idempotency_key, done=True)

    def doubt(self) -> None:
        """Keep the claim, and remember that the API refused it. Raises as :meth:`Table.update` does."""
        self.table.update(self.item, "SET refused = :refused", _MINE, key=self.idempotency_key, refused=True)

    def let_go(self) -> None:
        """Keep the claim as it is: what became of the call is not known."""

    def not_applied(self) -> None:
        """Forget the claim: another event may bring the effect about. Raises as :meth:`Table.delete`."""
        self.table.delete(
            self.item, "idempotency_key = :key AND attribute_not_exists(done)", key=self.idempotency_key
        )


def claim(table: Table, idempotency_key: str, *about: str | None, by_hand: bool) -> Effect:
    """Claim the effect that is identified by ``about``; ``by_hand`` tells that a person asked for it.

    Raises
    ------
    EffectDoneError
        Another event has brought it about.
    UnsettledError
        Another event has claimed it and is not settled.
    TransientError, ConfigurationError
        The table did not answer, or refused.
    """
    name = item_key(KIND, *about)
    try:
        before = table.update(
            name,
            "SET idempotency_key = :key, expiration = :expiration REMOVE refused",
            _MINE,
            key=idempotency_key,
            expiration=table.expiration(),
        )
    except ConditionFailedError as other:
        if other.item.get("done"):
            raise EffectDoneError from other
        raise UnsettledError("the first event of the same effect is not settled") from other
    return Effect(
        table,
        name,
        idempotency_key,
        done=bool(before.get("done")),
        called="idempotency_key" in before,
        last_word=by_hand and bool(before.get("refused")),
    )
