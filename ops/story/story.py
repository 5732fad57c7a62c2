"""The story of one event, and how programs get it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

# Where a moment happens.
STRIPE: Final = "stripe"
BUS: Final = "bus"
ARCHIVE: Final = "archive"
RULE: Final = "rule"
FUNCTION: Final = "function"
API: Final = "api"
TABLE: Final = "table"
LEDGER: Final = "ledger"
QUEUE: Final = "queue"
REDRIVE: Final = "redrive"
REPLAY: Final = "replay"
# In the order in which an event passes them, which decides between moments of one time.
PLACES: Final = (STRIPE, BUS, ARCHIVE, REPLAY, RULE, REDRIVE, FUNCTION, API, TABLE, LEDGER, QUEUE)

# Outcomes besides those of a delivery (`ops.local.observations.OUTCOMES`): not ended yet, and not known.
WAITING: Final = "waiting"
UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened to the event.

    Parameters
    ----------
    at
        Unix seconds.
    place
        One of `PLACES`.
    sentence
        What happened, in one plain sentence without any value of the event.
    detail
        What else is known; it holds nothing personal.
    """

    at: float
    place: str
    sentence: str
    detail: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "time": precise(self.at),
            "place": self.place,
            "sentence": self.sentence,
            "detail": dict(self.detail),
        }


@dataclass(frozen=True, slots=True)
class Call:
    """A call of the Huntaze API.

    Parameters
    ----------
    at
        When it began, in Unix seconds.
    status
        The status of the answer; None without one.
    milliseconds
        How long it took; None if the log does not say.
    request
        The body that was sent, as the routing table makes it of the event; None if it can't be known.
    answer
        How the answer began, if a message in a dead-letter queue quotes it.
    """

    at: float
    path: str
    status: int | None
    milliseconds: float | None
    request: Any = field(default=None, repr=False)
    answer: Any = field(default=None, repr=False)

    def document(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "time": precise(self.at),
            "method": "POST",
            "path": self.path,
            "status": self.status,
            "ms": self.milliseconds,
            "request": self.request,
            "answer": self.answer,
        }


@dataclass(frozen=True)
class Story:
    """What became of one event.

    Parameters
    ----------
    created
        When Stripe created it, in Unix seconds.
    outcome
        How it ended: one of `ops.local.observations.OUTCOMES`, `WAITING` or `UNKNOWN`.
    attempts
        How often a handler has tried to apply it.
    latency_ms
        From its arrival in the audit's queue, which is when the bus had it, to its first end.
    why
        Why it has this outcome: one sentence without any value of the event.
    moments
        Its timeline, oldest first.
    calls
        The calls of the Huntaze API, oldest first.
    payload
        The event; without `reveal`, everything that may be personal is masked.
    unknown
        What can't be known, and why: one sentence each.
    """

    environment: str
    event_id: str
    event_type: str | None
    object_id: str | None
    customer_id: str | None
    created: float | None
    outcome: str
    attempts: int
    latency_ms: float | None
    why: str
    moments: tuple[Moment, ...]
    calls: tuple[Call, ...]
    payload: Any = field(repr=False)
    revealed: bool
    unknown: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "environment": self.environment,
            "event_id": self.event_id,
            "event_type": self.event_type,
            "object_id": self.object_id,
            "customer_id": self.customer_id,
            "created": None if self.created is None else precise(self.created),
            "outcome": self.outcome,
            "attempts": self.attempts,
            "latency_ms": self.latency_ms,
            "why": self.why,
            "moments": [moment.document() for moment in self.moments],
            "calls": [call.document() for call in self.calls],
            "payload": self.payload,
            "revealed": self.revealed,
            "unknown": list(self.unknown),
        }


def precise(at: float) -> str:
    """Format Unix seconds for programs, in UTC with milliseconds."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
