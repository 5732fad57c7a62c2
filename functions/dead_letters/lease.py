"""What runs of the redrive share in an item of the idempotency table: the lease, and what kept failing."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from functions.pipeline.idempotency_table import ConditionFailedError, Table, digest
from functions.shared import names
from functions.shared.errors import EventError

# How long the item need not be written anew.
RENEW_SECONDS: Final = 15
# Seconds between two tries to take the lease of a run that is about to end.
POLL_SECONDS: Final = 1.0
# Events whose failures are remembered. An item of DynamoDB holds 400 KB, an event takes some 30 bytes of it.
MOST_EVENTS: Final = 5000
KEY_DIGITS: Final = 16


@dataclass
class RunLease:
    """A run's right to be the only one, for ``seconds`` from the last time that it was renewed.

    It ends soon by itself, so that a run which was killed keeps the next one waiting for no longer than one
    event may take.

    Parameters
    ----------
    attempts
        By event: how many of its attempts failed although they could have succeeded. An event is in here from
        its first failure on, also one that counts as none.
    """

    table: Table
    seconds: float
    holder: str = field(default_factory=lambda: str(uuid.uuid4()))
    until: float = 0.0
    attempts: dict[str, int] = field(default_factory=dict)
    _seen: dict[str, int] = field(default_factory=dict)

    def acquire(self) -> bool:
        """Take the lease, from the run before where that one ends soon; return False where it does not.

        Raises
        ------
        TransientError, ConfigurationError
            The table did not answer, or refused.
        """
        end = time.time() + self.seconds + RENEW_SECONDS
        while not self.try_acquire():
            if time.time() > end:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def try_acquire(self) -> bool:
        """Take the lease, or return False where another run has it. Raises as :meth:`acquire` does."""
        return self._write("attribute_not_exists(lease_until) OR lease_until < :now", "")

    def renew(self) -> bool:
        """Make sure of ``seconds``, or return False where another run has taken over. Raises as above."""
        return time.time() + self.seconds < self.until or self._write(
            "holder = :holder", ", failed = :failed"
        )

    def release(self) -> None:
        """Let another run begin, and leave to it what is known of failures."""
        with suppress(
            EventError, ConditionFailedError
        ):  # it ends by itself; how the run ended is what counts
            self.table.update(
                names.REDRIVE_RUN,
                "SET failed = :failed REMOVE holder, lease_until",
                "holder = :holder",
                holder=self.holder,
                failed=self._failed(),
            )

    def count(self, event: str, attempts: int) -> int:
        """Add attempts to an event's, and return how many it has had."""
        if event in self.attempts or len(self.attempts) < MOST_EVENTS:
            self.attempts[event] = self.attempts.get(event, 0) + attempts
            self.saw(event)
        return self.attempts.get(event, 0)

    def saw(self, event: str) -> None:
        """Remember that the event is still there."""
        if event in self.attempts:
            self._seen[event] = int(time.time())

    def forget(self, event: str) -> None:
        """Forget an event that is settled."""
        self.attempts.pop(event, None)
        self._seen.pop(event, None)

    def _write(self, condition: str, also: str) -> bool:
        now = time.time()
        until = now + self.seconds + RENEW_SECONDS
        try:
            before = self.table.update(
                names.REDRIVE_RUN,
                f"SET holder = :holder, lease_until = :until, expiration = :expiration{also}",
                condition,
                holder=self.holder,
                now=round(now * 1000),
                until=round(until * 1000),
                expiration=self.table.expiration(),
                failed=self._failed(),
            )
        except ConditionFailedError:
            return False
        if not also:
            self._remember(before.get("failed", {}))
        self.until = until
        return True

    def _remember(self, failed: Mapping[str, Any]) -> None:
        """Read what earlier runs knew; a message that was not seen for so long was deleted."""
        oldest = time.time() - names.QUEUE_RETENTION_SECONDS
        for event, (attempts, seen) in failed.items():
            if seen > oldest:
                self.attempts[event], self._seen[event] = int(attempts), int(seen)

    def _failed(self) -> dict[str, list[int]]:
        return {event: [attempts, self._seen[event]] for event, attempts in self.attempts.items()}


def event_key(event_id: str) -> str:
    """Name an event in the item, in as few characters as tell events apart."""
    return digest(event_id)[:KEY_DIGITS]
