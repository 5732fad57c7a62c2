"""Make the story of what is known about an event."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from functions.ledger.records import customer_of
from functions.shared.errors import InvalidEventError
from functions.shared.redaction import without_client_secrets
from ops.dlq import mask
from ops.story import moments
from ops.story.attempts import LoggedCall, attempts, calls
from ops.story.facts import Facts
from ops.story.reasons import ending
from ops.story.records import said
from ops.story.story import Call, Story


def compose(facts: Facts, *, reveal: bool = False) -> Story:
    """Return the story.

    Parameters
    ----------
    reveal
        Whether payload, requests and answers show personal data.
    """
    words = said(facts.items, facts.event_id, facts.created, facts.object_id or "its object", facts.now)
    tried, made = attempts(facts.lines), calls(facts.lines)
    end = ending(facts, words, tried, made)
    first = next((attempt.end for attempt in tried if attempt.end is not None), None)
    latency = None
    if first is not None and facts.arrived_at is not None:
        latency = max(0.0, round((first.at - facts.arrived_at) * 1000, 1))
    return Story(
        environment=facts.environment,
        event_id=facts.event_id,
        event_type=facts.event_type,
        object_id=facts.object_id,
        customer_id=customer_of(facts.object),
        created=facts.created,
        outcome=end.outcome,
        attempts=len(tried),
        latency_ms=latency,
        why=end.why,
        moments=moments.moments(facts, words, tried, made),
        calls=tuple(
            _call(facts, call, last={one.path: one for one in made}[call.path] is call, reveal=reveal)
            for call in made
        ),
        payload=shown(facts.event, reveal=reveal),
        revealed=reveal,
        unknown=(*facts.unknown, *_unsaid(facts, made)),
    )


def shown(document: Any, *, reveal: bool) -> Any:
    """Return a JSON document without client secrets; without `reveal`, all that may be personal is masked."""
    if document is None:
        return None
    try:
        # Only the ledger's copies are without them already: not Stripe's, nor what EventBridge parked.
        return json.loads(without_client_secrets(json.dumps(document))) if reveal else mask.masked(document)
    except (mask.TooDeepError, RecursionError):
        return mask.MASKED


def _call(facts: Facts, call: LoggedCall, *, last: bool, reveal: bool) -> Call:
    """Return a call; a message quotes the answer to the last one of its path."""
    answer = _answers(facts).get(call.path) if last and call.status is not None else None
    return Call(
        call.at,
        call.path,
        call.status,
        call.milliseconds,
        shown(_request(facts, call.path), reveal=reveal),
        answer if reveal or answer is None else mask.MASKED,
    )


def _request(facts: Facts, path: str) -> Mapping[str, Any] | None:
    """Return the body that the routing table makes of the event, if it makes one for this path."""
    if facts.route is None or not facts.object.get("object"):
        return None
    try:
        request = facts.route.request(facts.object)
    except InvalidEventError:
        return None
    return request.body if request is not None and request.path == path else None


def _answers(facts: Facts) -> dict[str, Any]:
    """Return how the API's answers began, by path, as messages quote them."""
    found: dict[str, Any] = {}
    for message, _ in facts.messages:
        try:
            answer = json.loads(message.body)["parked"]["answer"]
        except (ValueError, RecursionError, KeyError, TypeError):
            continue
        if message.endpoint and answer:
            found[message.endpoint] = answer
    return found


def _unsaid(facts: Facts, made: tuple[LoggedCall, ...]) -> list[str]:
    """Return what none of the sources records."""
    lacking = []
    if made and any(call.status is not None for call in made) and not _answers(facts):
        lacking.append("what the API answered beside its status: no log holds an answer's body")
    if facts.event is None:
        lacking.append("the event itself: no source that was asked holds it")
    return lacking
