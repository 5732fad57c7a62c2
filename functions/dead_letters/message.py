"""What lies in a dead-letter queue, whoever put it there, as one record.

=====================  ==========================================================================
EventBridge            the envelope, and why it could not be handed over as message attributes
Lambda                 an on-failure record: the envelope, and how the last attempt ended
the handler itself     a parked message: the envelope, and why no retry can help
the audit function     the envelope, and why it can never be stored as message attributes
SQS, from the audit    the envelope alone, after its receives
=====================  ==========================================================================

A message that is none of these is a record too, of kind ``unknown`` and without an envelope: an operator
must see it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from functions.pipeline.envelope import TYPE
from functions.shared import names
from functions.shared.packing import unpacked

# By what a redrive can do about it.
TRANSIENT: Final = "transient"  # it failed for a time; the same event may succeed now
PERMANENT: Final = "permanent"  # the event or the API's answer must change first
CONFIGURATION: Final = "configuration"  # a key, a permission or a setting must change first
UNKNOWN: Final = "unknown"  # an error that no code path expects; look at the function's log
KINDS: Final = (TRANSIENT, PERMANENT, CONFIGURATION, UNKNOWN)

_KIND_OF_ERROR: Final[Mapping[str, str]] = {
    "TransientError": TRANSIENT,
    "UnsettledError": TRANSIENT,
    "PermanentError": PERMANENT,
    "DoubtfulRefusalError": PERMANENT,
    "InvalidEventError": PERMANENT,
    "LivemodeMismatchError": PERMANENT,
    "ConfigurationError": CONFIGURATION,
    "AuthenticationRefusedError": CONFIGURATION,
    # How Lambda names a function that was cut off (AWS Lambda, "Understanding the Lambda execution
    # environment lifecycle") and one that could not be loaded.
    "Sandbox.Timedout": TRANSIENT,
    "Runtime.ExitError": TRANSIENT,
    "Runtime.OutOfMemory": TRANSIENT,
    "Runtime.ImportModuleError": CONFIGURATION,
    "Runtime.HandlerNotFound": CONFIGURATION,
}
# A refusal that does not show whether an earlier call was applied.
DOUBTFUL: Final = "DoubtfulRefusalError"
# How Lambda tells a time-out where it gives the error no class.
TIMED_OUT: Final = "Task timed out"
# Errors of ours: their messages hold no value of the event. Another one's may.
_OURS: Final = frozenset(name for name in _KIND_OF_ERROR if "." not in name)


@dataclass(frozen=True, slots=True, eq=False)
class DeadLetterMessage:
    """One message of a dead-letter queue; the same message received twice is two of them.

    Parameters
    ----------
    receipt
        With which the message is deleted or given back.
    failed_at
        When it came into the queue, in Unix seconds.
    event_id, event_type
        As far as the envelope tells them.
    kind
        One of ``KINDS``.
    reason
        One sentence, free of the event's values.
    error
        Class of the error, or EventBridge's error code.
    status, endpoint
        The API's answer, where it was one.
    envelope
        What the handler was or would have been invoked with; None where the message holds none.
    body
        The text of the message, unpacked where its sender packed it.
    attributes, system_attributes
        What its sender and SQS tell about it.
    """

    message_id: str
    receipt: str = field(repr=False)
    failed_at: float
    event_id: str | None
    event_type: str | None
    kind: str
    reason: str
    error: str | None
    status: int | None
    endpoint: str | None
    envelope: Any = field(repr=False)
    body: str = field(repr=False)
    attributes: Mapping[str, str] = field(repr=False)
    system_attributes: Mapping[str, str] = field(repr=False)

    @property
    def unsettled(self) -> bool:
        """Whether its event may still be applied, or may have been: all but what was refused for good."""
        return self.envelope is not None and (self.kind != PERMANENT or self.error == DOUBTFUL)


@dataclass(frozen=True, slots=True)
class _Failure:
    kind: str
    reason: str
    error: str | None = None
    status: int | None = None
    endpoint: str | None = None


def parse(message: Mapping[str, Any]) -> DeadLetterMessage:
    """Read a received message, with all its attributes; it never fails."""
    attributes = {
        name: value.get("StringValue", "") for name, value in message.get("MessageAttributes", {}).items()
    }
    body = unpacked(message["Body"])
    envelope, failure = _understood(body, message["Attributes"], attributes)
    detail = envelope.get("detail") if isinstance(envelope, dict) else None
    detail = detail if isinstance(detail, dict) else {}
    event_id, event_type = detail.get("id"), detail.get("type")
    return DeadLetterMessage(
        message_id=message["MessageId"],
        receipt=message["ReceiptHandle"],
        failed_at=int(message["Attributes"]["SentTimestamp"]) / 1000,
        event_id=event_id if isinstance(event_id, str) and names.STRIPE_ID.fullmatch(event_id) else None,
        event_type=event_type if isinstance(event_type, str) and TYPE.fullmatch(event_type) else None,
        kind=failure.kind,
        reason=failure.reason,
        error=failure.error,
        status=failure.status,
        endpoint=failure.endpoint,
        envelope=envelope,
        body=body,
        attributes=attributes,
        system_attributes=message["Attributes"],
    )


def _understood(
    body: str, system_attributes: Mapping[str, str], attributes: Mapping[str, str]
) -> tuple[Any, _Failure]:
    try:
        record = json.loads(body)
    except (ValueError, RecursionError):
        record = None
    audited = "MessageGroupId" in system_attributes
    if audited and "reason" in attributes:
        # The audit function parks a message as it came, whatever that is.
        return record if isinstance(record, dict) and "detail" in record else None, _parked(attributes)
    if record is None:
        return None, _Failure(UNKNOWN, "the message is no JSON")
    if not isinstance(record, dict):
        return None, _Failure(UNKNOWN, "the message is no record of a failure")
    if isinstance(record.get("parked"), dict) and "envelope" in record:
        return record["envelope"], _parked(record["parked"])
    if "requestPayload" in record:
        return record["requestPayload"], _on_failure(record)
    if "detail" not in record:
        return None, _Failure(UNKNOWN, "the message is no record of a failure")
    if "ERROR_CODE" in attributes:
        return record, _not_handed_over(attributes)
    if audited:
        return record, _Failure(TRANSIENT, "the ledger did not take it")
    return record, _Failure(UNKNOWN, "the message does not say why it is here")


def _parked(parked: Mapping[str, Any]) -> _Failure:
    error, status, endpoint = (parked.get(name) for name in ("error", "status", "endpoint"))
    return _Failure(
        _KIND_OF_ERROR.get(str(error), UNKNOWN),
        str(parked.get("reason")),
        str(error),
        status if isinstance(status, int) else None,
        endpoint if isinstance(endpoint, str) else None,
    )


def _on_failure(record: Mapping[str, Any]) -> _Failure:
    """Read a record of AWS Lambda, "Capturing records of asynchronous invocations"."""
    payload = record.get("responsePayload")
    payload = payload if isinstance(payload, dict) else {}
    error, message = payload.get("errorType"), str(payload.get("errorMessage", ""))
    context = record.get("requestContext")
    condition = context.get("condition") if isinstance(context, dict) else None
    if error is None and TIMED_OUT in message:
        error = "Sandbox.Timedout"
    if error is None:
        # The last attempt never ran: the function had no concurrency left for it, or it was too old.
        return _Failure(TRANSIENT, f"Lambda gave up before the function ran ({condition})", str(condition))
    kind, reason = classify_failure(str(error), message)
    return _Failure(kind, reason, str(error))


def classify_failure(error: str, message: str) -> tuple[str, str]:
    """Tell the kind and the reason of an error that a function ended with, by its class and its text."""
    if error in _OURS:
        return _KIND_OF_ERROR[error], message
    known = "Sandbox.Timedout" if TIMED_OUT in message else error
    return _KIND_OF_ERROR.get(known, UNKNOWN), f"the function ended with {known}"


def _not_handed_over(attributes: Mapping[str, str]) -> _Failure:
    """Read the attributes of Amazon EventBridge, "Using dead-letter queues to process undelivered events"."""
    code = attributes["ERROR_CODE"]
    denied = code in ("NO_PERMISSIONS", "NO_RESOURCE", "RESOURCE_NOT_FOUND", "ACCESS_DENIED")
    told = attributes.get("ERROR_MESSAGE", "")
    return _Failure(
        CONFIGURATION if denied else TRANSIENT,
        f"EventBridge could not hand it over ({code}{': ' if told else ''}{told})",
        code,
    )
