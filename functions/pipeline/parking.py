"""The handler's dead-letter queue, as the handler itself uses it: for what no retry can help.

A parked message holds the original envelope, so that it can be handed to the handler again once its reason
is gone, and the reason as attributes, so that an operator can sort the queue without reading any body.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from functions.pipeline import aws
from functions.pipeline.compact import compact
from functions.pipeline.errors import EventError, InvalidEventError, PermanentError
from functions.pipeline.telemetry import UNROUTED, Subject

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef

RESOURCE: Final = "the dead-letter queue"
# SQS takes 256 KiB, attributes included, and the attributes here are shorter than 1 KiB.
MOST_BYTES: Final = 255 * 1024


def park(queue_url: str, *, handler: str, subject: Subject, envelope: object, refusal: EventError) -> None:
    """Put an envelope into the dead-letter queue with the reason why it was refused.

    Raises
    ------
    TransientError, ConfigurationError
        The queue did not take it.
    InvalidEventError
        It can't be written as a message.
    """
    reason = {
        "reason": refusal.reason,
        "error": type(refusal).__name__,
        "status": refusal.status,
        "endpoint": refusal.path,
    }
    answer = refusal.answer if isinstance(refusal, PermanentError) else None
    parked = {**reason, "answer": answer, "handler": handler}
    event_type = None if subject.event_type == UNROUTED else subject.event_type
    try:
        message = compact({"parked": parked, "envelope": envelope})
        if len(message.encode()) > MOST_BYTES:
            message = compact({"parked": {**parked, "answer": None}, "envelope": envelope})
    except RecursionError:
        # What can just be read may be nested too deeply to be written again, inside a message.
        raise InvalidEventError("the envelope", "is nested too deeply to be parked") from None
    put(queue_url, message, {**reason, "event_id": subject.event_id, "event_type": event_type})


def put(queue_url: str, body: str, about: Mapping[str, Any], **fifo: Any) -> None:
    """Put a message into a dead-letter queue, with what is known about it as attributes.

    ``fifo`` are the arguments that only a FIFO queue takes.

    Raises
    ------
    TransientError, ConfigurationError
        The queue did not take it.
    """
    try:
        _client().send_message(
            QueueUrl=queue_url, MessageBody=body, MessageAttributes=_attributes(about), **fifo
        )
    except aws.AwsError as error:
        raise aws.fault(RESOURCE, error) from error


def _attributes(values: Mapping[str, Any]) -> dict[str, MessageAttributeValueTypeDef]:
    """Write what is known as message attributes; SQS takes no empty one."""
    return {
        name: {"DataType": "String", "StringValue": str(value)}
        for name, value in values.items()
        if value is not None
    }


@cache
def _client() -> SQSClient:
    return aws.session().client("sqs", config=aws.CONFIG)
