"""What each part of a running pipeline recorded at one moment: the API, the handlers, the queues, the ledger.

The local run and the chaos suite read the same observations and conclude from them independently.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from functions.dead_letters.message import parse

Outcome = Literal["applied", "recorded", "duplicate", "stale", "parked", "unrouted"]
OUTCOMES: Final[tuple[Outcome, ...]] = ("applied", "recorded", "duplicate", "stale", "parked", "unrouted")


@dataclass(frozen=True)
class FinishedEvent:
    """A handler's closing log line for one delivery of an event. `at` is Unix milliseconds."""

    event_id: str
    outcome: Outcome
    at: float = 0.0


@dataclass(frozen=True)
class ApiRequest:
    """A request that the reference API received. `body` is the JSON that was sent, `at` Unix milliseconds."""

    event_id: str
    path: str
    idempotency_key: str
    headers: Mapping[str, str]
    body: Any
    status: int
    at: float


@dataclass(frozen=True)
class AppliedCall:
    """A call that the reference API applied. `created` is the event's time in Unix seconds."""

    idempotency_key: str
    event_type: str
    object_id: str
    created: int

    @property
    def event_id(self) -> str:
        """The event of the call's idempotency key."""
        return event_of(self.idempotency_key)


@dataclass(frozen=True)
class ParkedMessage:
    """A message in a dead-letter queue.

    Parameters
    ----------
    message_id
        The message's own id. The audit function parks a message under the id it had in the audit queue.
    event_id, envelope_id
        None if the message holds no envelope.
    kind, reason, error, status
        As `functions.dead_letters.message` reads them.
    explained
        Whether a function parked the message with a reason; SQS and Lambda move messages without one.
    code
        The code of the API's answer.
    at
        When the message was sent, in Unix milliseconds.
    """

    queue: str
    message_id: str
    event_id: str | None
    envelope_id: str | None
    kind: str
    reason: str = ""
    error: str = ""
    status: int | None = None
    explained: bool = False
    code: str | None = None
    at: float = 0.0

    @property
    def outcome(self) -> Outcome:
        """What it says about its event."""
        return "parked"


@dataclass(frozen=True)
class RefusedCall:
    """A call that no policy allows, how often it was made, and what would allow it.

    Parameters
    ----------
    caller
        The ARN of a role, without its session, or the name of an AWS service.
    """

    caller: str
    action: str
    resource: str
    calls: int
    advice: str


@dataclass(frozen=True)
class Observations:
    """Everything recorded so far.

    Parameters
    ----------
    applied
        In the order in which the API applied them.
    parked
        The messages in the dead-letter queues now.
    ledger
        Deliveries by event id, from the ledger's table.
    archived
        When the audit queue received each delivery in the ledger's bucket, in Unix milliseconds, by envelope
        id.
    queues
        Messages in each queue, in-flight ones included.
    """

    finished: tuple[FinishedEvent, ...] = ()
    requests: tuple[ApiRequest, ...] = ()
    applied: tuple[AppliedCall, ...] = ()
    parked: tuple[ParkedMessage, ...] = ()
    ledger: Mapping[str, int] = field(default_factory=dict)
    archived: Mapping[str, float] = field(default_factory=dict)
    queues: Mapping[str, int] = field(default_factory=dict)


def event_of(idempotency_key: str) -> str:
    """Return the event id of an idempotency key: a forced replay appends a colon and a suffix to it."""
    return idempotency_key.partition(":")[0]


def read_parked(queue: str, message: Mapping[str, Any]) -> ParkedMessage:
    """Read a message as SQS returns it from a dead-letter queue, with all its attributes."""
    dead = parse(message)
    explained = "reason" in dead.attributes
    original_id = dead.system_attributes.get("MessageDeduplicationId") if explained else None
    return ParkedMessage(
        queue=queue,
        message_id=original_id or dead.message_id,
        event_id=dead.event_id,
        envelope_id=dead.envelope_id,
        kind=dead.kind,
        reason=dead.reason,
        error=dead.error or "",
        status=dead.status,
        explained=explained,
        code=dead.api_code,
        at=dead.failed_at * 1000,
    )
