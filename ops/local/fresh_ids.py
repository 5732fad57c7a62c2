"""New ids for a copy of Stripe events: the same history, about other objects."""

from __future__ import annotations

import hashlib
import re
import string
import uuid
from collections.abc import Iterable
from typing import Any, Final

# The objects in our events and Stripe's fixtures. An account (acct_) stays: the company is the same.
PREFIXES: Final = (
    "evt|pi|pm|ch|py|cs|cus|sub|in|il|ii|si|seti|mandate|card|src|ba|txn|re|pyr|dp|cn|po|tr|fee|price|plan"
    "|prod|di|promo|sub_sched|qt|prv|req"
)
STRIPE_ID: Final = re.compile(rf"((?:{PREFIXES})_(?:test_|live_)?)([A-Za-z0-9]{{8,}})")
# Words such as card_declined look like ids. Stripe draws ids from 62 characters, so practically every id has
# a digit or a capital letter.
DRAWN: Final = re.compile(r"[A-Z0-9]")
ALPHABET: Final = string.ascii_letters + string.digits
# Long enough that two ids are never equal by chance.
MINIMUM_TAIL: Final = 14


class FreshIds:
    """Replace ids by new ones; the same id and salt always give the same new id.

    Parameters
    ----------
    salt
        Different for each copy.
    known
        Values that are ids even if they don't look like Stripe's.
    """

    def __init__(self, salt: str, known: Iterable[str] = ()) -> None:
        self._salt = salt
        self._known = frozenset(known)

    def uuid(self, value: str) -> str:
        """Return the new form of an envelope's id."""
        return str(uuid.UUID(bytes=self._digest(value)[:16], version=4))

    def of(self, value: str) -> str:
        """Return the new id for an id, and any other text unchanged."""
        match = STRIPE_ID.fullmatch(value)
        if match and (DRAWN.search(match[2]) or value in self._known):
            return match[1] + self._tail(value, len(match[2]))
        if value in self._known:
            prefix, separator, tail = value.rpartition("_")
            return prefix + separator + self._tail(value, len(tail))
        return value

    def rewritten(self, value: Any) -> Any:
        """Return a JSON value with new ids in all strings that are ids. Keys stay."""
        if isinstance(value, dict):
            return {key: self.rewritten(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.rewritten(item) for item in value]
        return self.of(value) if isinstance(value, str) else value

    def rewritten_envelope(self, envelope: dict[str, Any]) -> dict[str, Any]:
        """Return the envelope with new ids in its event, and a new id of its own."""
        detail = self.rewritten(envelope["detail"])
        return {**envelope, "id": self.uuid(str(envelope.get("id"))), "detail": detail}

    def _tail(self, value: str, length: int) -> str:
        number = int.from_bytes(self._digest(value), "big")
        tail = ""
        while len(tail) < max(length, MINIMUM_TAIL):
            number, place = divmod(number, len(ALPHABET))
            tail += ALPHABET[place]
        return tail

    def _digest(self, value: str) -> bytes:
        return hashlib.sha512(f"{self._salt}\n{value}".encode()).digest()
