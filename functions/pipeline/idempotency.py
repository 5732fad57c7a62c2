"""Idempotency records: one per event, by the event's idempotency key.

============  ======================================================================================
no record     no handler has seen the event
`INPROGRESS`  a handler is applying it, at most until `in_progress_expiration` (Unix milliseconds);
              after that the outcome is unknown: the API may have applied it
`RELEASED`    a handler has seen it, and the API has certainly not applied it
`COMPLETED`   `data` is the result as JSON; `completed_at` is the time (Unix milliseconds)
============  ======================================================================================

Key, `status`, `data`, `in_progress_expiration` and `expiration` are those of Powertools' idempotency
utility, whose records can still be read. `claim` is the id of the claim that wrote last: an invocation that
has timed out cannot overwrite what its successor wrote.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from functions.pipeline.idempotency_table import ConditionFailedError, Item, Table, Write, digest
from functions.shared.errors import UnsettledError

IN_PROGRESS: Final = "INPROGRESS"
RELEASED: Final = "RELEASED"
COMPLETED: Final = "COMPLETED"

_NEW: Final = "attribute_not_exists(id)"
# The record is as it was read; records of Powertools have no claim.
_UNCHANGED: Final = "#status = :seen_status AND (claim = :seen_claim OR attribute_not_exists(claim))"
_MINE: Final = "claim = :claim"


class CompletedError(Exception):
    """The event was completed before, at `completed_at` (Unix milliseconds)."""

    def __init__(self, completed_at: int) -> None:
        super().__init__("the event was completed before")
        self.completed_at = completed_at


@dataclass(frozen=True, slots=True)
class Record:
    """An event's record, as one invocation uses it.

    Parameters
    ----------
    key
        The item's key; see `record_key`.
    claim_id
        Id of the invocation's claim.
    seen
        The item as it was read; {} if there is none.
    """

    table: Table
    key: str
    claim_id: str
    seen: Item

    def check(self) -> None:
        """Raise if this invocation may not apply the event now.

        Raises
        ------
        CompletedError
            It was completed before.
        UnsettledError
            Another invocation is applying it.
        """
        now = time.time()
        if int(self.seen.get("expiration", 0)) <= now:
            return
        if self.seen.get("status") == COMPLETED:
            raise CompletedError(self._completed_at())
        until = int(self.seen.get("in_progress_expiration", 0)) / 1000
        if self._in_progress and not self.mine and until > now:
            raise UnsettledError("another invocation is applying this event")

    @property
    def doubt(self) -> bool:
        """Whether an earlier delivery may have called the API, with an unknown outcome.

        In an invocation's own write, whose response was lost, `doubt` is what the invocation knew before.
        """
        return self._in_progress and (not self.mine or bool(self.seen.get("doubt")))

    def begin(self, until: float, *, doubt: bool) -> Write:
        """Write that this invocation is applying the event.

        Parameters
        ----------
        until
            When the invocation times out, in Unix seconds.
        doubt
            Whether any of the claim's items says that an earlier delivery may have called the API.
        """
        return self._write(
            "SET #status = :status, claim = :claim, in_progress_expiration = :until, doubt = :doubt, "
            "expiration = :expiration REMOVE #data, completed_at",
            self._as_seen(),
            status=IN_PROGRESS,
            until=round(until * 1000),
            doubt=doubt,
        )

    def complete(self, result: Mapping[str, Any]) -> Write:
        """Write that the API has applied the event, even if another invocation has the record by now."""
        return self._completed(result, None)

    def complete_without_call(self, result: Mapping[str, Any]) -> Write:
        """Write that the event needs no call, if the record is as it was read."""
        return self._completed(result, self._as_seen())

    def release(self) -> Write:
        """Write that the API has certainly not applied the event."""
        return self._write(
            "SET #status = :status, expiration = :expiration REMOVE doubt", _MINE, status=RELEASED
        )

    def mark_unknown(self) -> Write:
        """Write that the outcome is unknown, so that the next delivery calls the API without waiting."""
        return self._write("SET in_progress_expiration = :until", _MINE, until=round(time.time() * 1000))

    @property
    def _in_progress(self) -> bool:
        return self.seen.get("status") == IN_PROGRESS

    @property
    def mine(self) -> bool:
        """Whether this invocation wrote it: the response was lost, and the client repeated the request."""
        return self.seen.get("claim") == self.claim_id

    def _completed_at(self) -> int:
        # Powertools writes no time of completion, but an expiry that counts from it.
        before = (int(self.seen["expiration"]) - self.table.expiry_seconds) * 1000
        return int(self.seen.get("completed_at", before))

    def _as_seen(self) -> str:
        return _UNCHANGED if self.seen else _NEW

    def _completed(self, result: Mapping[str, Any], condition: str | None) -> Write:
        return self._write(
            "SET #status = :status, #data = :data, completed_at = :now, claim = :claim, "
            "expiration = :expiration REMOVE in_progress_expiration, doubt",
            condition,
            status=COMPLETED,
            data=json.dumps(dict(result)),
            now=round(time.time() * 1000),
        )

    def _write(self, update: str, condition: str | None, **values: Any) -> Write:
        seen = {"seen_status": self.seen.get("status"), "seen_claim": self.seen.get("claim")}
        return Write(
            self.key,
            update,
            condition,
            {"claim": self.claim_id, "expiration": self.table.expiration(), **seen, **values},
            {"status": "status", "data": "data"},
        )


def record_seen(table: Table, key: str) -> None:
    """Write that a handler has seen an event that it refused before it claimed it; an existing record stays.

    Raises
    ------
    TransientError, ConfigurationError
        The table did not answer, or refused.
    """
    update = "SET #status = :status, expiration = :expiration"
    values = {"status": RELEASED, "expiration": table.expiration()}
    with suppress(ConditionFailedError):
        table.write(Write(key, update, _NEW, values, {"status": "status"}))


def record_key(handler: str, idempotency_key: str) -> str:
    """Return the key of an event's record, built as Powertools builds it."""
    return f"{handler}#{digest(idempotency_key)}"
