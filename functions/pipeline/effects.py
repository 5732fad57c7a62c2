"""Once per object: several events may tell of one fact, and its effect happens once.

The first event of an effect claims it and gives it its idempotency key. A second event finds the effect
done and is a duplicate; or finds it claimed and not done, because the first one is at it, failed, or was
killed, so that nobody knows whether the API has applied it. Then the second event calls the API under the
effect's key, which the API applies once whoever uses it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from functions.pipeline.table import Table, item_key

KIND: Final = "effect"


@dataclass(frozen=True, slots=True)
class Effect:
    """A claimed effect.

    Parameters
    ----------
    idempotency_key
        The key under which the API is called for it: that of the event which claimed it first.
    done
        Whether the API has applied it.
    """

    table: Table
    item: str
    idempotency_key: str
    done: bool

    def settle(self) -> None:
        """Remember that the API has applied it. Raises as :meth:`Table.update` does."""
        self.table.update(self.item, "SET done = :done", done=True)

    def release(self) -> None:
        """Forget the claim: the API refused it, so another event may still bring the effect about."""
        self.table.delete(
            self.item, "idempotency_key = :key AND attribute_not_exists(done)", key=self.idempotency_key
        )


def claim(table: Table, idempotency_key: str, *about: str | None) -> Effect:
    """Claim the effect that is identified by ``about``.

    Raises
    ------
    TransientError, ConfigurationError
        The table did not answer, or refused.
    """
    name = item_key(KIND, *about)
    found = table.update(
        name,
        "SET idempotency_key = if_not_exists(idempotency_key, :key), expiration = :expiration",
        key=idempotency_key,
        expiration=table.expiration(),
    )
    return Effect(table, name, found["idempotency_key"], bool(found.get("done")))
