"""What redrive runs share in one item of the idempotency table: a lease, and the attempts that failed."""

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

# A lease is renewed at most this often.
RENEW_SECONDS: Final = 15
# Seconds between two attempts to acquire a lease that another run holds.
POLL_SECONDS: Final = 1.0
# Events whose attempts are remembered. A DynamoDB item holds 400 KB; an event takes some 30 bytes of it.
MAX_EVENTS: Final = 5000
KEY_DIGITS: Final = 16


@dataclass
class RunLease:
    """A run's exclusive right to redrive, for `seconds` after it was last renewed.

    It expires soon by itself: after a killed run, the next one waits no longer than one event may take.

    Parameters
    ----------
    attempts
        Failed attempts by event. An event is included from its first failure on, even if that failure did not
        count as an attempt.
    """

    table: Table
    seconds: float
    holder: str = field(default_factory=lambda: str(uuid.uuid4()))
    until: float = 0.0
    attempts: dict[str, int] = field(default_factory=dict)
    _last_seen: dict[str, int] = field(default_factory=dict)

    def acquire(self) -> bool:
        """Acquire the lease, waiting for a run that ends soon; return False if another run keeps it.

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
        """Acquire the lease, or return False if another run holds it.

        Raises
        ------
        TransientError, ConfigurationError
            The table did not answer, or refused.
        """
        return self._write("attribute_not_exists(lease_until) OR lease_until < :now", "")

    def renew(self) -> bool:
        """Extend the lease to at least `seconds` from now, or return False if another run has acquired it.

        Raises
        ------
        TransientError, ConfigurationError
            The table did not answer, or refused.
        """
        if time.time() + self.seconds < self.until:
            return True
        return self._write("holder = :holder", ", failed = :failed")

    def release(self) -> None:
        """Save the failed attempts and end the lease; ignore an error, because the lease also expires."""
        with suppress(EventError, ConditionFailedError):
            self.table.update(
                names.REDRIVE_RUN,
                "SET failed = :failed REMOVE holder, lease_until",
                "holder = :holder",
                holder=self.holder,
                failed=self._failed(),
            )

    def count(self, event: str, attempts: int) -> int:
        """Add failed attempts of an event, and return its total."""
        if event in self.attempts or len(self.attempts) < MAX_EVENTS:
            self.attempts[event] = self.attempts.get(event, 0) + attempts
            self.mark_seen(event)
        return self.attempts.get(event, 0)

    def mark_seen(self, event: str) -> None:
        """Note that the event is still in its queue."""
        if event in self.attempts:
            self._last_seen[event] = int(time.time())

    def forget(self, event: str) -> None:
        """Forget the attempts of a settled event."""
        self.attempts.pop(event, None)
        self._last_seen.pop(event, None)

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
            self._load(before.get("failed", {}))
        self.until = until
        return True

    def _load(self, failed: Mapping[str, Any]) -> None:
        """Load the attempts of earlier runs, except of messages that SQS must have deleted by now."""
        oldest = time.time() - names.QUEUE_RETENTION_SECONDS
        for event, (attempts, last_seen) in failed.items():
            if last_seen > oldest:
                self.attempts[event], self._last_seen[event] = int(attempts), int(last_seen)

    def _failed(self) -> dict[str, list[int]]:
        return {event: [attempts, self._last_seen[event]] for event, attempts in self.attempts.items()}


def event_key(event_id: str) -> str:
    """Return a short key for an event in the shared item."""
    return digest(event_id)[:KEY_DIGITS]
