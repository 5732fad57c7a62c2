"""Event patterns of the rules, built from the routing table of the functions.

A table that cannot work fails the synth: a type that is routed twice, a type that Stripe does not have, or a
pattern that is too long for EventBridge.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from functions.shared.json_text import compact
from functions.shared.names import OTHER_MESSAGE_GROUP, THIN_PREFIX
from infra.errors import RoutingError

# EventBridge quota "Event pattern size", in characters.
MAX_PATTERN_LENGTH: Final = 2_048
# How long and how often a rule tries to deliver: EventBridge's maxima, which are its defaults (EventBridge
# user guide, "How EventBridge retries delivering events").
RETRY_SECONDS: Final = 86_400
RETRIES: Final = 185
_STRIPE_TYPES_FILE: Final = Path(__file__).with_name("stripe_event_types.txt")


@cache
def stripe_event_types() -> frozenset[str]:
    """All event types that Stripe documents, from the list shipped beside this module."""
    lines = _STRIPE_TYPES_FILE.read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


def by_message_group(source: str, routed: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The patterns by message group: one for each handler and one for all other events.

    Each event type matches exactly one; its thin twin matches the same.

    Parameters
    ----------
    source
        The partner event source, which is the `source` of each of its events.
    routed
        Event types by handler.

    Raises
    ------
    RoutingError
        A type is routed twice, Stripe has no such type, or a pattern is too long.
    """
    owner: dict[str, str] = {}
    for handler, event_types in routed.items():
        for event_type in event_types:
            if event_type in owner:
                raise RoutingError(
                    f"event type {event_type} is routed twice, to {owner[event_type]} and {handler}; "
                    "keep one route in functions/pipeline/routing_table.py"
                )
            _check_known(event_type)
            owner[event_type] = handler
    patterns = {handler: _rendered(handler, source, with_thin(types)) for handler, types in routed.items()}
    others = [{"anything-but": with_thin(owner)}]
    patterns[OTHER_MESSAGE_GROUP] = _rendered(OTHER_MESSAGE_GROUP, source, others)
    return patterns


def with_thin(event_types: Iterable[str]) -> list[str]:
    """List event types, then the types of their thin twins."""
    types = list(event_types)
    return [*types, *(f"{THIN_PREFIX}{event_type}" for event_type in types)]


def everything(source: str) -> str:
    """The pattern that matches every event of the source."""
    return compact({"source": [source]})


def _check_known(event_type: str) -> None:
    known = stripe_event_types()
    if event_type not in known:
        near = difflib.get_close_matches(event_type, known, n=1)
        advice = f'did you mean "{near[0]}"?' if near else "see Stripe's list of event types"
        raise RoutingError(f'event type "{event_type}" is unknown to Stripe; {advice}')


def _rendered(group: str, source: str, detail_types: Sequence[Any]) -> str:
    text = compact({"detail-type": detail_types, "source": [source]})
    if len(text) > MAX_PATTERN_LENGTH:
        raise RoutingError(
            f"the event pattern of {group} has {len(text):,} characters, and EventBridge allows "
            f"{MAX_PATTERN_LENGTH:,}; split its types over two handlers in "
            "functions/pipeline/routing_table.py"
        )
    return text
