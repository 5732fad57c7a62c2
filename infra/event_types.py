"""Which of Stripe's event types an environment receives: those that are routed, and those for the ledger."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final

from functions.pipeline.routing_table import ROUTES
from functions.shared.names import THIN_PREFIX
from infra.patterns import stripe_event_types

# In front of a pattern: the types that it matches are left out.
EXCEPT: Final = "!"
EVERYTHING: Final = "*"


def subscribed(patterns: Iterable[str], *, thin: bool = False) -> tuple[str, ...]:
    """Return the types that the event destination sends, sorted.

    Parameters
    ----------
    patterns
        The setting `ledger_event_types`. A routed type is always among the result.
    thin
        Whether to return the types of the thin twins.
    """
    prefix = THIN_PREFIX if thin else ""
    return tuple(sorted(f"{prefix}{each}" for each in {*ROUTES, *_for_the_ledger(patterns)}))


def is_routed(event_type: str) -> bool:
    """Return whether a handler receives a type or its snapshot event's."""
    return event_type.removeprefix(THIN_PREFIX) in ROUTES


def _for_the_ledger(patterns: Iterable[str]) -> set[str]:
    listed = list(patterns)
    return {
        event_type
        for event_type in stripe_event_types()
        if _matches(event_type, (each for each in listed if not each.startswith(EXCEPT)))
        and not _matches(event_type, (each[len(EXCEPT) :] for each in listed if each.startswith(EXCEPT)))
    }


def _matches(event_type: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(event_type, pattern) for pattern in patterns)
