"""A message in a dead-letter queue, whoever sent it there.

=======================  =======================================================================
Sender                   Message
=======================  =======================================================================
EventBridge              the envelope; why it was not delivered is in the message attributes
Lambda                   an on-failure record: the envelope, and how the last attempt ended
the handler itself       a parked message: the envelope, and why no retry can help
the audit function       the envelope; why it can never be stored is in the message attributes
SQS, from the audit      the envelope alone, after its last receive
=======================  =======================================================================

A message of any other form is of kind `unknown` and has no envelope: an operator must see it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from functions.pipeline.envelope import TYPE, identity
from functions.shared import names
from functions.shared.packing import unpacked

# By what a redrive can do about the failure.
TRANSIENT: Final = "transient"  # the failure was temporary: the same event may succeed now
PERMANENT: Final = "permanent"  # the event or the API's answer must change first
CONFIGURATION: Final = "configuration"  # a key, a permission or a setting must change first
UNKNOWN: Final = "unknown"  # an unexpected error: see the function's log
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
# What Lambda writes about a time-out for which it names no error class.
TIMED_OUT: Final = "Task timed out"
# In the API's response, whatever its form: docs/huntaze-api.md has it at the top, others below `error`.
_API_CODE: Final = re.compile(r'"code"\s*:\s*"([a-z][a-z0-9_]{0,63})"')
# Our own errors, whose messages never hold a value of the event. The message of any other error may.
_OWN_ERRORS: Final = frozenset(name for name in _KIND_OF_ERROR if "." not in name)


@dataclass(frozen=True, slots=True, eq=False)
class DeadLetterMessage:
    """A received message of a dead-letter queue. Two receives of one message are not equal.

    Parameters
    ----------
    receipt
        The receipt handle that deletes or releases the message.
    failed_at
        When the message arrived in the queue, in Unix seconds.
    event_id, event_type
        None if the envelope does not name them.
    kind
        One of `KINDS`.
    reason
        One sentence without any value of the event.
    error
        The error's class, or EventBridge's error code.
    status, endpoint
        The API's status and path if the API refused the event.
    envelope
        What the handler was, or would have been, invoked with; None if the message has no envelope.
    body
        The text of the message, unpacked if its sender packed it.
    attributes, system_attributes
        The message attributes of the sender and of SQS.
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
    def envelope_id(self) -> str | None:
        """Id of the envelope, or None if it has none."""
        envelope_id = self.envelope.get("id") if isinstance(self.envelope, dict) else None
        return envelope_id if isinstance(envelope_id, str) else None

    @property
    def api_code(self) -> str | None:
        """The error code in the API's response that a parked message quotes, if there is one."""
        try:
            answer = json.loads(self.body)["parked"]["answer"]
        except (ValueError, RecursionError, KeyError, TypeError):
            return None
        found = _API_CODE.search(answer) if isinstance(answer, str) else None
        return found[1] if found else None

    def brief(self) -> DeadLetterMessage:
        """Return it without the event: what identifies it, says why it failed, and releases it.

        An event takes many kilobytes in memory, and a queue may hold 100,000.
        """
        code, envelope = self.api_code, self.envelope
        return replace(
            self,
            # Most messages of a queue share these.
            reason=sys.intern(self.reason),
            event_type=self.event_type and sys.intern(self.event_type),
            envelope={name: envelope.get(name) for name in ("id", "time")}
            if isinstance(envelope, dict)
            else None,
            body=json.dumps({"parked": {"answer": f'"code":"{code}"'}}) if code else "",
            attributes={},
            system_attributes={},
        )

    @property
    def unsettled(self) -> bool:
        """Whether the event may still be applied, or may have been: false after a clear refusal."""
        return self.envelope is not None and (self.kind != PERMANENT or self.error == DOUBTFUL)


@dataclass(frozen=True, slots=True)
class _Failure:
    kind: str
    reason: str
    error: str | None = None
    status: int | None = None
    endpoint: str | None = None


def parse(received: Mapping[str, Any]) -> DeadLetterMessage:
    """Parse a message that SQS returned with all its attributes; never fail."""
    attributes = {
        name: value.get("StringValue", "") for name, value in received.get("MessageAttributes", {}).items()
    }
    body = unpacked(received["Body"])
    envelope, failure = _envelope_and_failure(body, received["Attributes"], attributes)
    detail = envelope.get("detail") if isinstance(envelope, dict) else None
    detail = detail if isinstance(detail, dict) else {}
    event_id, event_type = identity(detail)
    return DeadLetterMessage(
        message_id=received["MessageId"],
        receipt=received["ReceiptHandle"],
        failed_at=int(received["Attributes"]["SentTimestamp"]) / 1000,
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
        system_attributes=received["Attributes"],
    )


def _envelope_and_failure(
    body: str, system_attributes: Mapping[str, str], attributes: Mapping[str, str]
) -> tuple[Any, _Failure]:
    try:
        record = json.loads(body)
    except (ValueError, RecursionError):
        record = None
    from_audit = "MessageGroupId" in system_attributes
    if from_audit and "reason" in attributes:
        # The audit function parks a message unchanged, whatever it holds.
        return record if isinstance(record, dict) and "detail" in record else None, _parked(attributes)
    if record is None:
        return None, _Failure(UNKNOWN, "the message is not valid JSON")
    if not isinstance(record, dict):
        return None, _Failure(UNKNOWN, "the message is not a failure record")
    if isinstance(record.get("parked"), dict) and "envelope" in record:
        return record["envelope"], _parked(record["parked"])
    if "requestPayload" in record:
        return record["requestPayload"], _on_failure(record)
    if "detail" not in record:
        return None, _Failure(UNKNOWN, "the message is not a failure record")
    if "ERROR_CODE" in attributes:
        return record, _not_delivered(attributes)
    if from_audit:
        return record, _Failure(TRANSIENT, "the ledger did not store the event")
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
    """Read an on-failure record (AWS Lambda, "Capturing records of asynchronous invocations")."""
    payload = record.get("responsePayload")
    payload = payload if isinstance(payload, dict) else {}
    error, message = payload.get("errorType"), str(payload.get("errorMessage", ""))
    context = record.get("requestContext")
    condition = context.get("condition") if isinstance(context, dict) else None
    if error is None and TIMED_OUT in message:
        error = "Sandbox.Timedout"
    if error is None:
        # The last attempt never ran: the function had no concurrency left, or the event was too old.
        return _Failure(TRANSIENT, f"Lambda gave up before the function ran ({condition})", str(condition))
    kind, reason = classify_failure(str(error), message)
    return _Failure(kind, reason, str(error))


def classify_failure(error: str, message: str) -> tuple[str, str]:
    """Return the kind and the reason of a function's error, given its class and its text."""
    if error in _OWN_ERRORS:
        return _KIND_OF_ERROR[error], message
    known = "Sandbox.Timedout" if TIMED_OUT in message else error
    return _KIND_OF_ERROR.get(known, UNKNOWN), f"the function ended with {known}"


def _not_delivered(attributes: Mapping[str, str]) -> _Failure:
    """Read EventBridge's attributes ("Using dead-letter queues to process undelivered events")."""
    code = attributes["ERROR_CODE"]
    denied = code in ("NO_PERMISSIONS", "NO_RESOURCE", "RESOURCE_NOT_FOUND", "ACCESS_DENIED")
    text = attributes.get("ERROR_MESSAGE", "")
    return _Failure(
        CONFIGURATION if denied else TRANSIENT,
        f"EventBridge could not deliver the event ({code}{': ' if text else ''}{text})",
        code,
    )
