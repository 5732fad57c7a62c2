"""Effects that happen once per object, even if several events report the same fact.

The first event of an effect claims it before it calls the API, and releases it if the API has certainly not
applied it. A second event that finds the effect done is a duplicate. One that finds it claimed but not done
waits, in its retries and in a dead-letter queue, until the first event is settled: that one is still being
applied, or its outcome is unknown.
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
    """The effect is done; `by` is the idempotency key of the event that caused it."""

    def __init__(self, by: str) -> None:
        super().__init__("the effect is already done")
        self.by = by


@dataclass(frozen=True, slots=True)
class Effect:
    """An effect, as one invocation uses it.

    Parameters
    ----------
    item
        The item's key; see `effect_key`.
    key
        Idempotency key of the event, sent to the API.
    claim_id
        Id of the invocation's claim.
    seen
        The item as it was read; {} if there is none.
    """

    table: Table
    item: str
    key: str
    claim_id: str
    seen: Item

    def check(self) -> None:
        """Raise if this event may not cause the effect now.

        Raises
        ------
        EffectDoneError
            The effect is done.
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
        # This invocation's own write, if its response was lost and the client repeated the request.
        mine = self.seen.get("claim") == self.claim_id
        return self.seen.get("idempotency_key") == self.key and not mine

    def begin(self) -> Write:
        """Write that the event claims the effect."""
        return self._write(
            "SET idempotency_key = :key, claim = :claim, expiration = :expiration",
            _MINE if self.seen else _FREE,
        )

    def complete(self) -> Write:
        """Write that the API has applied it, even if another event has claimed it since."""
        return self._write("SET idempotency_key = :key, done = :done, expiration = :expiration", None)

    def release(self) -> Write:
        """Write that another event may cause the effect."""
        return self._write(None, _MINE)

    def _write(self, update: str | None, condition: str | None) -> Write:
        values = {
            "key": self.key,
            "claim": self.claim_id,
            "done": True,
            "expiration": self.table.expiration(),
        }
        return Write(self.item, update, condition, values)


def effect_key(*parts: str | None) -> str:
    """Return the key of the effect that the parts identify."""
    return item_key(KIND, *parts)
