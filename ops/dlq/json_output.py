"""Documents about dead letters, for programs; and for people, where a letter is shown whole."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from functions.dead_letters.message import DeadLetterMessage
from functions.dead_letters.redrive import RESULTS
from ops.dlq.drain import Letters, Seen
from ops.dlq.mask import MASKED, check_depth, masked
from ops.dlq.purge import Purge
from ops.dlq.queues import Queue
from ops.dlq.redrive import Work
from ops.dlq.tables import failures, groups
from ops.times import stamp_of


def groups_document(letters: Letters, now: float) -> list[dict[str, Any]]:
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
        for group in groups(letters)
    ]


def queues_document(counts: Seen, queues: Sequence[Queue]) -> list[dict[str, Any]]:
    """Return what each queue holds, for programs."""
    return [
        {
            "queue": queue.name,
            "messages": len(counts.seen.get(queue.name, ())) + counts.unseen(queue.name),
            "unseen": counts.unseen(queue.name),
        }
        for queue in queues
    ]


def letter_document(letter: DeadLetterMessage, queue: Queue, *, reveal: bool) -> dict[str, Any]:
    """Return a letter whole; without `reveal` what may be personal is masked."""
    # The reason is told in our words or AWS's, never in the event's.
    words = {letter.reason, letter.message_id, letter.event_id or ""}
    if "ERROR_CODE" in letter.attributes:
        words.add(letter.attributes.get("ERROR_MESSAGE", ""))
    attributes, system = dict(letter.attributes), dict(letter.system_attributes)
    about = {"error": letter.error, "status": letter.status, "endpoint": letter.endpoint}
    return {
        "queue": queue.name,
        "message_id": letter.message_id,
        "failed_at": stamp_of(letter.failed_at),
        "kind": letter.kind,
        "reason": letter.reason,
        "event_id": letter.event_id,
        "event_type": letter.event_type,
        **(about if reveal else masked(about)),
        "attributes": attributes if reveal else masked(attributes, words=words),
        "system_attributes": system if reveal else masked(system, words=words),
        "message": _body(letter.body, words, reveal=reveal),
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


def work_document(work: Work) -> dict[str, Any]:
    """Return what became of the letters, for programs."""
    return {
        "outcomes": {outcome: work.outcomes()[outcome] for outcome in RESULTS},
        "not_tried": work.not_tried,
        "left": work.left,
        "unseen": work.counts.all_unseen,
        "failures": [
            {"queue": queue, "reason": reason, "letters": count}
            for (queue, reason), count in sorted(failures(work).items())
        ],
        "letters": [
            {
                "queue": each.queue.name,
                "message_id": each.letter.message_id,
                "event_id": each.letter.event_id,
                "event_type": each.letter.event_type,
                "outcome": each.result.outcome,
                "reason": each.result.reason,
            }
            for each in work.handed
        ],
    }


def purge_document(work: Purge, spared: int) -> dict[str, Any]:
    """Return what was written and deleted, for programs."""
    return {
        "file": str(work.file) if work.written else None,
        "written": work.written,
        "deleted": work.deleted,
        "left": work.left,
        "unsettled_spared": spared,
        "unseen": work.counts.all_unseen,
    }
