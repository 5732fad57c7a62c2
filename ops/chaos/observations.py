"""What every part of the pipeline recorded at one moment, in the form in which the verdict reads it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from functions.shared.packing import unpacked

FailureKind = Literal["permanent", "transient", "configuration", "unknown", "none"]

PERMANENT = ("PermanentError", "DoubtfulRefusalError", "InvalidEventError", "LivemodeMismatchError")
TRANSIENT = ("TransientError", "UnsettledError", "Sandbox.Timedout", "Runtime.ExitError")
CONFIGURATION = ("ConfigurationError", "AuthenticationRefusedError")


@dataclass(frozen=True)
class Application:
    """A call that the reference API applied, from its own journal.

    Parameters
    ----------
    created
        The event's time as the header told it, in Unix seconds.
    """

    idempotency_key: str
    event_type: str
    object_id: str
    created: int

    @property
    def event_id(self) -> str:
        """The event whose key the call carried."""
        return self.idempotency_key.partition(":")[0]


@dataclass(frozen=True)
class Finished:
    """A handler's closing log line of one delivery."""

    event_id: str
    outcome: str


@dataclass(frozen=True)
class DeadLetter:
    """A message in a dead-letter queue.

    Parameters
    ----------
    message_id
        Its own; of a message that the audit function parked, the one that it had in the audit queue.
    event_id, envelope_id
        None where its body holds no envelope.
    kind
        By what a retry can do about it; "none" where the message carries no reason.
    reason
        Why it was parked; empty where nobody parked it.
    """

    queue: str
    message_id: str
    event_id: str | None
    envelope_id: str | None
    kind: FailureKind
    error: str = ""
    status: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class Seen:
    """Everything at one moment.

    Parameters
    ----------
    applied
        In the order of the API's journal.
    rows
        Deliveries by event id, as the ledger's table counts them.
    archived
        Ids of the envelopes that the ledger's bucket holds.
    waiting
        Messages in the audit queue.
    """

    applied: tuple[Application, ...] = ()
    finished: tuple[Finished, ...] = ()
    dead: tuple[DeadLetter, ...] = ()
    rows: Mapping[str, int] = field(default_factory=dict)
    archived: frozenset[str] = frozenset()
    waiting: int = 0


def read_journal(lines: Iterable[str]) -> tuple[Application, ...]:
    """Read what was applied from the lines of the reference API's journal."""
    entries = (json.loads(line)["applied"] for line in lines if line.endswith("\n"))
    return tuple(
        Application(entry["idempotency_key"], entry["event_type"], entry["object_id"], int(entry["created"]))
        for entry in entries
        if entry is not None
    )


def read_dead_letter(queue: str, message_id: str, body: str, attributes: Mapping[str, str]) -> DeadLetter:
    """Read a message in one of the shapes in which the pipeline's parts write them.

    A message that a handler parked holds `envelope`, Lambda's record holds `requestPayload`, and what the
    audit function parked, or EventBridge or the audit queue gave up on, is the envelope itself.
    """
    record = _object(body)
    error = attributes.get("error", "")
    if "parked" in record:
        told = attributes.get("status", "")
        envelope, status = record.get("envelope"), int(told) if told.isdigit() else None
    elif "requestPayload" in record:
        envelope, status = record["requestPayload"], None
        error = str((record.get("responsePayload") or {}).get("errorType", ""))
    else:
        envelope, status = record, None
    detail = envelope.get("detail") if isinstance(envelope, dict) else None
    event_id = detail.get("id") if isinstance(detail, dict) else None
    envelope_id = envelope.get("id") if isinstance(envelope, dict) else None
    kind = "transient" if "ERROR_CODE" in attributes else failure_kind(error)
    reason = attributes.get("reason", "")
    return DeadLetter(queue, message_id, event_id, envelope_id, kind, error, status, reason)


def failure_kind(error: str) -> FailureKind:
    """Tell what a retry can do about an error's class."""
    if not error:
        return "none"
    if error in PERMANENT:
        return "permanent"
    if error in TRANSIENT:
        return "transient"
    return "configuration" if error in CONFIGURATION else "unknown"


def _object(body: str) -> dict[str, Any]:
    try:
        record = json.loads(unpacked(body))
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}
