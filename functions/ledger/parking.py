"""Parking: the audit function moves a message that can never be stored to the dead-letter queue.

A failed message blocks its message group until the queue delivers it again, minutes later and several times
over. So a message that no retry can help is moved at once, unchanged and with its reason as attributes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from functions.ledger.records import type_or_none
from functions.pipeline import outcomes, parking
from functions.shared.errors import EventError, InvalidEventError
from functions.shared.telemetry import logger

# A message of a batch, and why it can't be stored.
Refused = tuple[Mapping[str, Any], InvalidEventError]


def park(queue_url: str, refused: Iterable[Refused]) -> list[str]:
    """Park messages; return the ids of those that the queue did not accept, and never fail.

    SQS moves those to the dead-letter queue after their last receive.
    """
    not_parked: list[str] = []
    reachable = True
    for message, refusal in refused:
        try:
            if reachable:
                _park(queue_url, message, refusal)
                continue
        except EventError as error:
            logger.error(
                "message not parked", extra={"message_id": message["messageId"], "reason": error.reason}
            )
            # To wait for each message, while the queue does not answer, would use up the function's time.
            reachable = isinstance(error.__cause__, ClientError)
        not_parked.append(message["messageId"])
    return not_parked


def _park(queue_url: str, message: Mapping[str, Any], refusal: InvalidEventError) -> None:
    envelope = _envelope(message["body"])
    subject = outcomes.subject_of(envelope)
    parking.send(
        queue_url,
        message["body"],
        {
            "reason": refusal.reason,
            "error": type(refusal).__name__,
            "event_id": subject.event_id,
            "event_type": _type(envelope),
        },
        # A group for each message: SQS delivers ten messages of a group, which would block all others.
        MessageGroupId=message["messageId"],
        # If the answer is lost and the message is delivered again, the queue drops the duplicate.
        MessageDeduplicationId=message["messageId"],
    )
    outcomes.parked_of_many(subject, refusal, message_id=message["messageId"])


def _envelope(body: str) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _type(envelope: object) -> str | None:
    """Return the event type, routed or not: unlike a metric's dimension, an attribute may have any value."""
    detail = envelope.get("detail") if isinstance(envelope, dict) else None
    return type_or_none(detail.get("type")) if isinstance(detail, dict) else None
