"""The audit's dead-letter queue, as the audit function uses it: for messages that no retry can help.

A message that fails goes back and holds its lane up until the queue shows it again, minutes later, five
times over. One that can never be stored is put into the dead-letter queue at once instead, as it came,
with its reason as attributes.
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

# A message of the audit queue as Lambda hands it over, and why it can't be stored.
Refused = tuple[Mapping[str, Any], InvalidEventError]


def park(queue_url: str, refused: Iterable[Refused]) -> list[str]:
    """Park messages and return the ids of those that the queue did not take; it never fails.

    What is not taken is left to SQS, which moves it there after its receives.
    """
    left: list[str] = []
    reached = True
    for message, refusal in refused:
        try:
            if reached:
                _park(queue_url, message, refusal)
                continue
        except EventError as error:
            logger.error(
                "message not parked", extra={"message_id": message["messageId"], "reason": error.reason}
            )
            # Waiting for a queue that does not answer, once a message, would take the function's time.
            reached = isinstance(error.__cause__, ClientError)
        left.append(message["messageId"])
    return left


def _park(queue_url: str, message: Mapping[str, Any], refusal: InvalidEventError) -> None:
    envelope = _envelope(message["body"])
    subject = outcomes.subject_of(envelope)
    parking.put(
        queue_url,
        message["body"],
        {
            "reason": refusal.reason,
            "error": type(refusal).__name__,
            "event_id": subject.event_id,
            "event_type": _type(envelope),
        },
        # A group of its own: SQS shows ten messages of a group, and these would hide all behind them.
        MessageGroupId=message["messageId"],
        # Where the answer is lost and the message comes again, the queue knows it for five minutes.
        MessageDeduplicationId=message["messageId"],
    )
    outcomes.parked_of_many(subject, refusal, message_id=message["messageId"])


def _envelope(body: str) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _type(envelope: object) -> str | None:
    """Return the type, one that no handler takes too: unlike a metric, a message may name any."""
    detail = envelope.get("detail") if isinstance(envelope, dict) else None
    return type_or_none(detail.get("type")) if isinstance(detail, dict) else None
