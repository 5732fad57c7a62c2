"""Parking: a handler puts an event that no retry can help into its dead-letter queue.

A parked message holds the original envelope, so that it can be redriven once the cause is fixed, and the
reason as message attributes, so that an operator can sort the queue without reading bodies. A message that
would be too large is packed; see `functions.shared.packing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast

from functions.pipeline.outcomes import UNROUTED, Subject
from functions.shared import aws, names
from functions.shared.errors import EventError, InvalidEventError, PermanentError
from functions.shared.json_text import compact
from functions.shared.packing import packed
from functions.shared.redaction import without_client_secrets, without_keys

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef

RESOURCE: Final = "the dead-letter queue"


def park(
    queue_url: str, *, handler: str, api_key: str, subject: Subject, envelope: object, refusal: EventError
) -> None:
    """Put an envelope into the dead-letter queue, with the reason why the event was refused.

    Parameters
    ----------
    api_key
        The key that the API was called with; it is removed from the API's answer.

    Raises
    ------
    TransientError, ConfigurationError
        The queue did not accept the message.
    InvalidEventError
        The envelope cannot be written as a message.
    """
    reason = {
        "reason": refusal.reason,
        "error": type(refusal).__name__,
        "status": refusal.status,
        "endpoint": refusal.path,
    }
    answer = without_keys(refusal.answer, api_key) if isinstance(refusal, PermanentError) else None
    document = {"parked": {**reason, "answer": answer, "handler": handler}, "envelope": envelope}
    event_type = None if subject.event_type == UNROUTED else subject.event_type
    try:
        message = compact(document)
    except RecursionError:
        # An envelope that could just be read may be nested too deeply to be written inside a message.
        raise InvalidEventError("the envelope", "is nested too deeply to be parked") from None
    send(queue_url, message, {**reason, "event_id": subject.event_id, "event_type": event_type})


def send(queue_url: str, body: str, attributes: Mapping[str, Any], **fifo: Any) -> None:
    """Send a message, without client secrets, to a dead-letter queue.

    SQS counts the attributes: a message that is too large with them is packed.

    Parameters
    ----------
    attributes
        Values of the message attributes by name; None for those that are unknown.
    fifo
        Arguments that only a FIFO queue takes.

    Raises
    ------
    TransientError, ConfigurationError
        The queue did not accept the message.
    """
    written = _attributes(attributes)
    body = without_client_secrets(body)
    if _bytes(body, written) > names.EVENT_BYTES:
        body = packed(body)
    try:
        _client().send_message(QueueUrl=queue_url, MessageBody=body, MessageAttributes=written, **fifo)
    except aws.AwsError as error:
        raise aws.fault(RESOURCE, error) from error


def _attributes(values: Mapping[str, Any]) -> dict[str, MessageAttributeValueTypeDef]:
    """Write the known values as message attributes; SQS accepts no empty one."""
    return {
        name: {"DataType": "String", "StringValue": str(value)}
        for name, value in values.items()
        if value is not None
    }


def _bytes(body: str, attributes: Mapping[str, MessageAttributeValueTypeDef]) -> int:
    """Return the size that SQS counts: body, and name, type and value of attributes ("Message quotas")."""
    texts = (text for name, value in attributes.items() for text in (name, *value.values()))
    return len(body.encode()) + sum(len(str(text).encode()) for text in texts)


@cache
def _client() -> SQSClient:
    return cast("SQSClient", aws.client("sqs"))
