"""Documents about dead-letter messages, for programs; and for people, if a message is shown whole."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from functions.dead_letters.message import DeadLetterMessage
from ops.dlq.drain import Messages, QueueCounts
from ops.dlq.mask import MASKED, check_depth, masked
from ops.dlq.queues import NamedQueue
from ops.dlq.tables import groups
from ops.times import stamp_of


def groups_document(messages: Messages, now: float) -> list[dict[str, Any]]:
    """Return the groups for programs."""
    return [
        {
            "queue": group.queue,
            "kind": group.kind,
            "reason": group.reason,
            "event_type": group.event_type,
            "letters": group.count,
            "oldest": stamp_of(group.oldest),
            "oldest_age_seconds": max(0, int(now - group.oldest)),
        }
        for group in groups(messages)
    ]


def queues_document(counts: QueueCounts, queues: Sequence[NamedQueue]) -> list[dict[str, Any]]:
    """Return what each queue holds, for programs."""
    return [
        {
            "queue": queue.name,
            "messages": len(counts.received.get(queue.name, ())) + counts.unseen(queue.name),
            "unseen": counts.unseen(queue.name),
        }
        for queue in queues
    ]


def about(message: DeadLetterMessage, queue: NamedQueue) -> dict[str, Any]:
    """Return what identifies a message and says why it failed; it holds nothing personal."""
    event_time = message.envelope.get("time") if isinstance(message.envelope, dict) else None
    return {
        "queue": queue.name,
        "message_id": message.message_id,
        "failed_at": stamp_of(message.failed_at),
        # A redrive that fails makes a new message, so that the event may be older than its failure.
        "event_time": masked({"time": event_time})["time"],
        "kind": message.kind,
        "reason": message.reason,
        "api_code": message.api_code,
        "event_id": message.event_id,
        "event_type": message.event_type,
    }


def message_document(message: DeadLetterMessage, queue: NamedQueue, *, reveal: bool) -> dict[str, Any]:
    """Return a message whole; without `reveal` everything that may be personal is masked."""
    # The reason is in our words or AWS's, never in the event's.
    words = {message.reason, message.message_id, message.event_id or ""}
    if "ERROR_CODE" in message.attributes:
        words.add(message.attributes.get("ERROR_MESSAGE", ""))
    attributes, system = dict(message.attributes), dict(message.system_attributes)
    answer = {"error": message.error, "status": message.status, "endpoint": message.endpoint}
    return {
        **about(message, queue),
        **(answer if reveal else masked(answer)),
        "attributes": attributes if reveal else masked(attributes, words=words),
        "system_attributes": system if reveal else masked(system, words=words),
        "message": _body(message.body, words, reveal=reveal),
    }


def _finite(number: str) -> float | str:
    value = float(number)
    return value if math.isfinite(value) else number


def _body(body: str, words: set[str], *, reveal: bool) -> Any:
    try:
        # Neither NaN nor Infinity is JSON for other programs.
        document = json.loads(body, parse_constant=str, parse_float=_finite)
        check_depth(document)
    except (ValueError, RecursionError):
        return body if reveal else MASKED
    return document if reveal else masked(document, words=words)
