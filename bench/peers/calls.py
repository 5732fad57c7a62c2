"""Which call the API gets for an event, and who sends it: the part that all peers in Python share.

`calls.json` has the path and the body of each event type, and of each mode of a checkout session. A value's
paths are separated by spaces; the first that is not null counts. The peer in Node.js reads the same file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

CALLS: Final[Mapping[str, Any]] = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))


def call_of(event: Any) -> tuple[str, dict[str, Any]] | None:
    """Return path and body for an event, as a dict or as the stripe library's object; None for no call."""
    stripe_object = event["data"]["object"]
    name = event["type"]
    if name == "checkout.session.completed":
        name = f"{name}/{stripe_object['mode']}"
    call = CALLS.get(name)
    return None if call is None else (call["path"], _body(call["body"], stripe_object))


def headers_of(event: Any, api_key: str) -> dict[str, str]:
    """Return the headers of an event's call; see docs/huntaze-api.md."""
    return {
        "Authorization": f"Bearer {api_key}",
        "User-Agent": "huntaze-stripe-eventbridge/peer",
        "Idempotency-Key": event["id"],
        "X-Stripe-Event-Type": event["type"],
        "X-Stripe-Event-Created": str(event["created"]),
        "X-Stripe-Api-Version": event["api_version"],
    }


def _body(template: Mapping[str, Any], stripe_object: Any) -> dict[str, Any]:
    return {
        key: _body(paths, stripe_object) if isinstance(paths, dict) else _value(key, paths, stripe_object)
        for key, paths in template.items()
    }


def _value(key: str, paths: str, stripe_object: Any) -> Any:
    for path in paths.split():
        value = stripe_object
        for step in path.split("."):
            try:
                value = value[int(step) if step.isdigit() else step]
            except (KeyError, IndexError, TypeError):
                value = None
                break
        if value is None:
            continue
        if hasattr(value, "to_dict"):
            value = value.to_dict()
        # An id may be the expanded object.
        return value["id"] if isinstance(value, dict) and key != "metadata" else value
    return None
