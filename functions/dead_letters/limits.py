"""What bounds the redrive: one run at a time, and so many attempts of each event.

Both are kept in the idempotency table, so that they hold for every run, whoever started it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from functions.dead_letters.records import DeadLetter
from functions.pipeline.errors import EventError
from functions.pipeline.table import ConditionFailedError, Table, item_key

KIND: Final = "redrives"
RUN: Final = "redrive#run"


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


@contextmanager
def only_run(table: Table, seconds: float) -> Iterator[bool]:
    """Tell whether this run is the only one; it is until the block ends, or ``seconds`` are over.

    Raises
    ------
    TransientError, ConfigurationError
        The table did not answer, or refused.
    """
    holder = str(uuid.uuid4())
    now = time.time()
    try:
        table.update(
            RUN,
            "SET holder = :holder, lease_until = :until, expiration = :expiration",
            "attribute_not_exists(lease_until) OR lease_until < :now",
            holder=holder,
            now=round(now * 1000),
            until=round((now + seconds) * 1000),
            expiration=table.expiration(),
        )
    except ConditionFailedError:
        yield False
        return
    try:
        yield True
    finally:
        with suppress(EventError):  # it ends by itself, and how the run ended is what counts
            table.delete(RUN, "holder = :holder", holder=holder)


def _item(letter: DeadLetter) -> str:
    return item_key(KIND, letter.event_id or letter.message_id)
