"""Redrive: send a message's envelope to its target again, then delete the message.

A handler is invoked synchronously, and its answer decides about the message. Until the deletion the event is
in both places, so none is lost. Sending it twice is harmless: the handler knows which events it has applied.
"""

from __future__ import annotations

import base64
import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from functions.dead_letters.message import UNKNOWN, DeadLetterMessage, classify_failure
from functions.dead_letters.queue import DeadLetterQueue
from functions.pipeline.routing_table import message_group
from functions.shared import aws, names
from functions.shared.errors import ConfigurationError
from functions.shared.json_text import compact

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient

APPLIED: Final = "applied"
# The handler did not call the API.
NOT_CALLED: Final = ("recorded", "duplicate", "stale")
DONE: Final = (APPLIED, *NOT_CALLED)
PARKED: Final = "parked"
QUEUED: Final = "queued"
FAILED: Final = "failed"
# The outcomes of a redrive.
OUTCOMES: Final = (*DONE, QUEUED, PARKED, FAILED)

# Kind of a failure: the event must wait for another one, and the handler did not call the API.
UNSETTLED: Final = "unsettled"
UNSETTLED_ERROR: Final = "UnsettledError"

NO_ENVELOPE: Final = "the message has no envelope: purge it, which saves it to a file"


@dataclass(frozen=True, slots=True)
class RedriveResult:
    """What redriving one message led to.

    Parameters
    ----------
    outcome
        One of `OUTCOMES`: the handler's outcome; `queued` for the audit queue; `parked` if the handler
        refused the event again and put a new message with the new reason into the queue; `failed` if the
        message stays.
    kind, reason
        Why it failed.
    """

    outcome: str
    kind: str | None = None
    reason: str | None = None

    @property
    def settled(self) -> bool:
        """Whether the message is no longer needed, and was deleted."""
        return self.outcome != FAILED


class RedriveTarget(Protocol):
    """Where the messages of a dead-letter queue are sent."""

    def send(self, message: DeadLetterMessage, /) -> RedriveResult:
        """Send a message's envelope, and return the result."""


@dataclass(frozen=True)
class HandlerTarget:
    """Invokes a handler and waits for its answer.

    Parameters
    ----------
    settle
        Whether the API's answer settles an earlier call of unknown outcome. Only for events that an operator
        has checked: a refusal may come from a proxy in front of the API.
    """

    function: str
    client: LambdaClient = field(repr=False)
    settle: bool

    def send(self, message: DeadLetterMessage) -> RedriveResult:
        """Invoke the function with the original envelope.

        Raises
        ------
        TransientError, ConfigurationError
            Lambda did not answer, or refused.
        """
        try:
            answer = self.client.invoke(
                FunctionName=self.function,
                InvocationType="RequestResponse",
                Payload=json.dumps(message.envelope).encode(),
                ClientContext=self._client_context(),
            )
            document = _document(answer["Payload"].read())
        except aws.AwsError as error:
            raise aws.fault(f"the function {self.function}", error) from error
        if answer.get("FunctionError"):
            error_type = str(document.get("errorType", "an error"))
            kind, reason = classify_failure(error_type, str(document.get("errorMessage")))
            return RedriveResult(FAILED, UNSETTLED if error_type == UNSETTLED_ERROR else kind, reason)
        outcome = document.get("outcome")
        if outcome in DONE or outcome == PARKED:
            return RedriveResult(outcome)
        return RedriveResult(FAILED, UNKNOWN, "the function's answer has no known outcome")

    def _client_context(self) -> str:
        """Return the client context of the invocation (AWS Lambda, "Invoke", X-Amz-Client-Context)."""
        return base64.b64encode(compact({"custom": {names.SETTLE: self.settle}}).encode()).decode()


@dataclass(frozen=True)
class AuditQueueTarget:
    """Puts envelopes into the audit's FIFO queue."""

    url: str
    client: SQSClient = field(repr=False)

    def send(self, message: DeadLetterMessage) -> RedriveResult:
        """Send the envelope, in the message group of its event type.

        Raises
        ------
        TransientError, ConfigurationError
            SQS did not answer, or refused.
        """
        try:
            self.client.send_message(
                QueueUrl=self.url,
                MessageBody=_envelope_text(message),
                MessageGroupId=message_group(message.event_type or ""),
                # Within five minutes the queue would drop the same content as a duplicate.
                MessageDeduplicationId=str(uuid.uuid4()),
            )
        except aws.AwsError as error:
            raise aws.fault("the audit queue", error) from error
        return RedriveResult(QUEUED)


def redrive(message: DeadLetterMessage, queue: DeadLetterQueue, target: RedriveTarget) -> RedriveResult:
    """Send one message to its target, and delete it from its queue if that settled it.

    Raises
    ------
    ConfigurationError
        The target or the queue refuses the caller; every other message would fail too.
    TransientError
        The target or the queue did not answer.
    """
    if message.envelope is None:
        return RedriveResult(FAILED, UNKNOWN, NO_ENVELOPE)
    try:
        result = target.send(message)
    except RecursionError:
        return RedriveResult(FAILED, UNKNOWN, "the envelope is nested too deeply: purge the message")
    if result.settled:
        queue.delete(message)
    return result


def _envelope_text(message: DeadLetterMessage) -> str:
    """Return the envelope byte for byte as in the queue, unless it was part of a failure record."""
    return message.body if json.loads(message.body) == message.envelope else compact(message.envelope)


def _document(payload: bytes) -> dict[str, Any]:
    try:
        document = json.loads(payload)
    except ValueError as error:
        raise ConfigurationError("the function's answer is not valid JSON") from error
    return document if isinstance(document, dict) else {}
