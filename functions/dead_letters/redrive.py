"""The way back: a dead letter's envelope goes to its handler again, and the message is deleted after that.

A handler is invoked and waited for, so that what it answers decides about the message. Between its answer
and the deletion the event is in both places, never in none; handing it over twice is harmless, because the
handler knows what it has applied.
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
# The API was not called.
NOT_CALLED: Final = ("recorded", "duplicate", "stale")
DONE: Final = (APPLIED, *NOT_CALLED)
PARKED: Final = "parked"
QUEUED: Final = "queued"
FAILED: Final = "failed"
# What can become of a dead letter that is redriven.
RESULTS: Final = (*DONE, QUEUED, PARKED, FAILED)

# Kind of a failure: the event waits for another one, and the API was not called.
UNSETTLED: Final = "unsettled"
UNSETTLED_ERROR: Final = "UnsettledError"

NO_ENVELOPE: Final = "the message holds no envelope: purge it, which writes it to a file"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one dead letter.

    Parameters
    ----------
    outcome
        One of ``RESULTS``: what the handler said; ``queued`` for the audit; ``parked`` where the handler
        refused it again and has put a new message with the new reason into the queue; ``failed`` where
        the message stays.
    kind, reason
        Of a failure.
    """

    outcome: str
    kind: str | None = None
    reason: str | None = None

    @property
    def settled(self) -> bool:
        """Whether the message has done its duty and was deleted."""
        return self.outcome != FAILED


class RedriveTarget(Protocol):
    """Where a queue's letters are handed to."""

    def send(self, letter: DeadLetterMessage, /) -> Result:
        """Hand a letter's envelope over, and tell what became of it."""


@dataclass(frozen=True)
class HandlerTarget:
    """Hands envelopes to a Lambda function and waits for its answer.

    Parameters
    ----------
    settle
        Whether the API's answer is taken for the last word on an earlier call of unknown outcome. Only for
        events that a person has looked at: a refusal may come from what stands before the API.
    """

    function: str
    client: LambdaClient = field(repr=False)
    settle: bool

    def send(self, letter: DeadLetterMessage) -> Result:
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
                Payload=json.dumps(letter.envelope).encode(),
                ClientContext=self._client_context(),
            )
            document = _document(answer["Payload"].read())
        except aws.AwsError as error:
            raise aws.fault(f"the function {self.function}", error) from error
        if answer.get("FunctionError"):
            error_type = str(document.get("errorType", "an error"))
            kind, reason = classify_failure(error_type, str(document.get("errorMessage")))
            return Result(FAILED, UNSETTLED if error_type == UNSETTLED_ERROR else kind, reason)
        outcome = document.get("outcome")
        if outcome in DONE or outcome == PARKED:
            return Result(outcome)
        return Result(FAILED, UNKNOWN, "the function answered something else than an outcome")

    def _client_context(self) -> str:
        """Return what the handler finds at its context (AWS Lambda, "Invoke", X-Amz-Client-Context)."""
        return base64.b64encode(compact({"custom": {names.SETTLE: self.settle}}).encode()).decode()


@dataclass(frozen=True)
class AuditQueueTarget:
    """Puts envelopes into the audit's FIFO queue."""

    url: str
    client: SQSClient = field(repr=False)

    def send(self, letter: DeadLetterMessage) -> Result:
        """Send the envelope in its type's lane. Raises as :meth:`HandlerTarget.send` does."""
        try:
            self.client.send_message(
                QueueUrl=self.url,
                MessageBody=_text(letter),
                MessageGroupId=message_group(letter.event_type or ""),
                # The queue would take the same content for a repetition within five minutes.
                MessageDeduplicationId=str(uuid.uuid4()),
            )
        except aws.AwsError as error:
            raise aws.fault("the audit queue", error) from error
        return Result(QUEUED)


def redrive(letter: DeadLetterMessage, queue: DeadLetterQueue, target: RedriveTarget) -> Result:
    """Hand one dead letter back, and delete it where that has settled it.

    Raises
    ------
    ConfigurationError
        The target or the queue refuses whoever asks; every other letter would meet the same.
    TransientError
        They did not answer.
    """
    if letter.envelope is None:
        return Result(FAILED, UNKNOWN, NO_ENVELOPE)
    try:
        result = target.send(letter)
    except RecursionError:
        return Result(FAILED, UNKNOWN, "the envelope is nested too deeply to be handed over: purge it")
    if result.settled:
        queue.delete(letter)
    return result


def _text(letter: DeadLetterMessage) -> str:
    """Return the envelope as it stands in the queue; one inside a record of a failure is written anew."""
    return letter.body if json.loads(letter.body) == letter.envelope else compact(letter.envelope)


def _document(payload: bytes) -> dict[str, Any]:
    try:
        document = json.loads(payload)
    except ValueError as error:
        raise ConfigurationError("the function answered something else than JSON") from error
    return document if isinstance(document, dict) else {}
