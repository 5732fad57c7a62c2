"""Once per object: several events may tell of one fact, and its effect happens once.

The first event of an effect claims it before it calls the API, and gives the claim up where the API has
surely not applied it. A second event finds the effect done, and is a duplicate; or finds it claimed and not
done, because the first one is being applied or its outcome is unknown. Then the second event waits, in its
retries and in a dead-letter queue, until the first one has come again and is settled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from functions.pipeline.idempotency_table import Item, Table, Write, item_key
from functions.shared.errors import UnsettledError

KIND: Final = "effect"

_FREE: Final = "attribute_not_exists(idempotency_key)"
_MINE: Final = "idempotency_key = :key AND attribute_not_exists(done)"


class EffectDoneError(Exception):
    """The effect was brought about before; ``by`` is the idempotency key of the event that did."""

    def __init__(self, by: str) -> None:
        super().__init__("the effect was brought about before")
        self.by = by


@dataclass(frozen=True, slots=True)
class Effect:
    """An effect, as one invocation uses it.

    Parameters
    ----------
    item
        The item's key; see :func:`effect_key`.
    key
        Idempotency key of the event, under which the API is called.
    claim
        A name of the invocation that no other has.
    seen
        The item as it was read; {} where there is none.
    """

    table: Table
    item: str
    key: str
    claim: str
    seen: Item

    def check(self) -> None:
        """Raise what keeps this event from bringing the effect about.

        Raises
        ------
        EffectDoneError
            It was brought about before.
        UnsettledError
            Another event has claimed it and is not settled.
        """
        holder = self.seen.get("idempotency_key")
        if holder is not None and self.seen.get("done"):
            raise EffectDoneError(holder)
        if holder is not None and holder != self.key:
            raise UnsettledError("the first event of the same effect is not settled")

    @property
    def doubt(self) -> bool:
        """Whether an earlier delivery of the event holds the claim, and may have called the API."""
        # Its own write comes back where the answer to it was lost, and the client repeated it.
        mine = self.seen.get("claim") == self.claim
        return self.seen.get("idempotency_key") == self.key and not mine

    def begin(self) -> Write:
        """Write that the event claims the effect."""
        return self._write(
            "SET idempotency_key = :key, claim = :claim, expiration = :expiration",
            _MINE if self.seen else _FREE,
        )

    def complete(self) -> Write:
        """Write that the API has applied it: a fact, whoever has claimed it since."""
        return self._write("SET idempotency_key = :key, done = :done, expiration = :expiration", None)

    def release(self) -> Write:
        """Write that another event may bring the effect about."""
        return self._write(None, _MINE)

    def _write(self, update: str | None, condition: str | None) -> Write:
        values = {"key": self.key, "claim": self.claim, "done": True, "expiration": self.table.expiration()}
        return Write(self.item, update, condition, values)


def effect_key(*about: str | None) -> str:
    """Name the effect that is identified by ``about``."""
    return item_key(KIND, *about)
