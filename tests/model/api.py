"""An API that applies each idempotency key once, in one of the dialects of `ops.reference.huntaze`.

Its state is immutable, and so is what stands before it: a gateway that refuses or loses answers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ops.reference.huntaze.contract import ALREADY_APPLIED, IDEMPOTENCY_KEY_REUSED, REQUEST_IN_PROGRESS
from ops.reference.huntaze.dialects import Dialect

EVENT_REJECTED: Final = "event_rejected"
# How long the API may process a call after its caller is gone, in seconds (docs/huntaze-api.md).
LATE_SECONDS: Final = 10

# How a call ends. OK is the API's usual answer; each of the others is a fault.
OK: Final = "answered"
LOST: Final = "answered, and the answer is lost"
LATE: Final = "no answer: the API is still at it"
LATE_524: Final = "524 from a proxy: the API is still at it"
UNSENT: Final = "not sent: no connection"
FAILED: Final = "500, not applied"
FAILED_APPLIED: Final = "500, and applied"
STRANGER_404: Final = "404 from a proxy"
STRANGER_422: Final = "422 without a code from a proxy"
STRANGER_409: Final = "409 from a proxy"
REJECTED: Final = "422, rejects the event"
LIMITED: Final = "429"
UNAUTHORISED: Final = "401"
KILLED_BEFORE: Final = "not sent: the invocation is killed"
KILLED_AFTER: Final = "applied, and the invocation is killed"
KILLED_LATE: Final = "the invocation is killed, and the API is still at it"

KILLS: Final = (KILLED_BEFORE, KILLED_AFTER, KILLED_LATE)
_GATEWAY: Final[Mapping[str, int]] = {
    FAILED: 500,
    STRANGER_404: 404,
    STRANGER_422: 422,
    LIMITED: 429,
    UNAUTHORISED: 401,
}

Answer = dict[str, Any]


class Call(NamedTuple):
    """A call, with what the promises need to know of it.

    Parameters
    ----------
    event
        Place of the event in the model.
    body
        As JSON text.
    order
        The setting of the invocation that made the call.
    """

    event: int
    key: str
    path: str
    type: str
    body: str
    order: str

    @property
    def rank(self) -> int:
        """The place of the state that it sends, in the order in which Stripe created them."""
        return int((json.loads(self.body).get("metadata") or {}).get("rank", 0))


class Applied(NamedTuple):
    """A call that was applied, `at` a time in Unix seconds."""

    call: Call
    at: float


class Open(NamedTuple):
    """A call that nobody waits for any more; the API ends it before `until`, either way."""

    call: Call
    until: float


class Api(NamedTuple):
    """What the API has applied, in order, and what it is still processing."""

    journal: tuple[Applied, ...] = ()
    open: tuple[Open, ...] = ()

    def possible(self, call: Call, outcome: str, dialect: Dialect) -> bool:
        """Whether an outcome can be in this state."""
        if outcome in (LATE, LATE_524, KILLED_LATE):
            return not self._known(call)
        if outcome == REJECTED:
            return not self._known(call) or not dialect.key_first
        return True

    def handle(self, call: Call, outcome: str, now: float, dialect: Dialect) -> tuple[Api, Answer]:
        """Return the state after a call, and the answer, which a killed invocation does not receive."""
        if outcome in _GATEWAY:
            return self, _answer(_GATEWAY[outcome])
        if outcome == STRANGER_409:
            return self, _answer(409, "stranger")
        if outcome in (UNSENT, KILLED_BEFORE):
            return self, {"fails": "ConnectError"}
        if outcome in (LATE, LATE_524, KILLED_LATE):
            still = Open(call, now + LATE_SECONDS)
            answer = _answer(524) if outcome == LATE_524 else {"fails": "ReadTimeout"}
            return self._replace(open=tuple(sorted((*self.open, still)))), answer
        if outcome == REJECTED:
            return self, _refused(422, EVENT_REJECTED, dialect)
        after, answer = self._usual(call, now, dialect)
        if outcome == OK:
            return after, answer
        return after, _answer(500) if outcome == FAILED_APPLIED else {"fails": "ReadTimeout"}

    def end(self, place: int, now: float, *, applies: bool) -> Api:
        """Return the state after an open call has ended."""
        call = self.open[place].call
        rest = self._replace(open=self.open[:place] + self.open[place + 1 :])
        if not applies or any(applied.call.key == call.key for applied in self.journal):
            return rest
        return rest._replace(journal=(*rest.journal, Applied(call, now)))

    def _known(self, call: Call) -> bool:
        calls = (*(applied.call for applied in self.journal), *(still.call for still in self.open))
        return any(known.key == call.key for known in calls)

    def _usual(self, call: Call, now: float, dialect: Dialect) -> tuple[Api, Answer]:
        if any(entry.call.key == call.key for entry in self.open):
            return self, _refused(dialect.in_progress, REQUEST_IN_PROGRESS, dialect)
        before = next((applied for applied in self.journal if applied.call.key == call.key), None)
        if before is not None:
            return self, _repeated(before.call, call, dialect)
        return self._replace(journal=(*self.journal, Applied(call, now))), _answer(200)


def _repeated(first: Call, second: Call, dialect: Dialect) -> Answer:
    if (first.path, first.body) != (second.path, second.body):
        return _refused(dialect.reused, IDEMPOTENCY_KEY_REUSED, dialect)
    if dialect.replays:
        return _answer(200)
    return _refused(409, ALREADY_APPLIED, dialect)


def _refused(status: int, code: str, dialect: Dialect) -> Answer:
    return _answer(status, code if dialect.codes else None)


def _answer(status: int, code: str | None = None) -> Answer:
    return {"status": status, "body": {} if code is None else {"code": code}}
