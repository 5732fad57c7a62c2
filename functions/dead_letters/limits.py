"""What bounds the redrive: one run at a time, and so many attempts of each event.

Both are kept in the idempotency table, so that they hold for every run, whoever started it.
"""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from functions.dead_letters.records import DeadLetter
from functions.pipeline import names
from functions.pipeline.errors import EventError
from functions.pipeline.table import ConditionFailedError, Table, item_key

# How long a turn needs not be written anew.
KEPT_SECONDS: Final = 15


@dataclass(frozen=True, slots=True)
class Attempts:
    """How often events were handed back, and how often each may be."""

    table: Table
    most: int

    def take(self, letter: DeadLetter) -> bool:
        """Count an attempt of the letter's event and return True, or False where it has had them all.

        Counted before the attempt, so that a run which is killed has counted it.

        Raises
        ------
        TransientError, ConfigurationError
            The table did not answer, or refused.
        """
        try:
            self.table.update(
                _item(letter),
                "SET expiration = :expiration ADD attempts :one",
                "attribute_not_exists(attempts) OR attempts < :most",
                one=1,
                most=self.most,
                expiration=self.table.expiration(),
            )
        except ConditionFailedError:
            return False
        return True

    def give_back(self, letter: DeadLetter) -> None:
        """Uncount an attempt that did not reach the handler. Raises as :meth:`take` does."""
        self.table.update(_item(letter), "ADD attempts :less", less=-1)


@dataclass
class Turn:
    """A run's right to be the only one, for ``seconds`` from the last time that it was kept.

    It ends soon by itself, so that a run which was killed keeps the next one waiting for no longer than
    one event may take.
    """

    table: Table
    seconds: float
    holder: str = field(default_factory=lambda: str(uuid.uuid4()))
    until: float = 0.0

    def take(self) -> bool:
        """Take the turn, or return False where another run has it. Raises as :meth:`Attempts.take` does."""
        return self._write("attribute_not_exists(lease_until) OR lease_until < :now")

    def keep(self) -> bool:
        """Make sure of ``seconds``, or return False where another run has taken over. Raises as above."""
        return time.time() + self.seconds < self.until or self._write("holder = :holder")

    def end(self) -> None:
        """Let another run begin."""
        with suppress(EventError):  # it ends by itself, and how the run ended is what counts
            self.table.delete(names.REDRIVE_TURN, "holder = :holder", holder=self.holder)

    def _write(self, condition: str) -> bool:
        now = time.time()
        until = now + self.seconds + KEPT_SECONDS
        try:
            self.table.update(
                names.REDRIVE_TURN,
                "SET holder = :holder, lease_until = :until, expiration = :expiration",
                condition,
                holder=self.holder,
                now=round(now * 1000),
                until=round(until * 1000),
                expiration=self.table.expiration(),
            )
        except ConditionFailedError:
            return False
        self.until = until
        return True


def _item(letter: DeadLetter) -> str:
    return item_key(names.REDRIVE_ATTEMPTS, letter.event_id or letter.message_id)
