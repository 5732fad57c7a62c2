"""What a row of the routing table is, and how one event is mapped by it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from functions.pipeline.objects import ROOT, Accessor, StripeObject
from functions.shared.errors import InvalidEventError
from functions.shared.names import HANDLERS


@dataclass(frozen=True, slots=True)
class Call:
    """One POST to the API: its path, and for each key of the body how the value is read."""

    path: str
    body: Mapping[str, Accessor]


def post(path: str, **body: Accessor) -> Call:
    """Write a call as the table does: the path, then ``key=accessor`` for each key of the body."""
    return Call(path, MappingProxyType(body))


# What a second event means, by type. A word for a whole type is enough, because Stripe's types are facts
# about one object.
ONCE: Final = "once"  # the effect happens once per object, whatever number of events tell of it
LATEST: Final = "latest"  # a stream of states: an older one never overwrites a newer one
EACH: Final = "each"  # every event counts
REPEATS: Final = (ONCE, LATEST, EACH)

# No call: the event is recorded as handled, and audited like every other.
RECORDED: Final = None


@dataclass(frozen=True, slots=True)
class Request:
    """A call with the values of one event."""

    path: str
    body: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Route:
    """One row: what becomes of an event type.

    Parameters
    ----------
    event_type
        The type, as Stripe spells it.
    handler
        The function that the type's rule invokes.
    repeat
        What a second event about the same object means: one of ``REPEATS``.
    action
        The call, or None where the event is only recorded; a checkout session means different things by
        its mode, so there it is one of these for each mode.
    """

    event_type: str
    handler: str
    repeat: str
    action: Call | Mapping[str, Call | None] | None

    @property
    def stream(self) -> str:
        """The kind of object that the type tells of: all before the type's last word."""
        return self.event_type.rpartition(".")[0]

    @property
    def ends_stream(self) -> bool:
        """Whether the type tells of the object's end, as Stripe's last word for it says."""
        return self.event_type.rpartition(".")[2] == "deleted"

    @property
    def variants(self) -> Mapping[str, Call | None]:
        """All that the type can lead to, by mode; what has no modes is under the empty string."""
        return self.action if isinstance(self.action, Mapping) else {"": self.action}

    def request(self, stripe_object: StripeObject) -> Request | None:
        """Map the event's object to the request, or to None where no call is due.

        Raises
        ------
        InvalidEventError
            A value has a type that Stripe does not document, or the mode is one that the row does not
            name: what that means for the customer's money is not known, so a person decides.
        """
        action = self.action
        call = _by_mode(action, stripe_object) if isinstance(action, Mapping) else action
        if call is None:
            return None
        return Request(call.path, {key: read(stripe_object) for key, read in call.body.items()})


def table(*rows: Route) -> Mapping[str, Route]:
    """Index the rows by event type, in their order.

    Raises
    ------
    ValueError
        A type stands twice, or a row names a handler that does not exist.
    """
    routes: dict[str, Route] = {}
    for row in rows:
        if row.event_type in routes:
            raise ValueError(f"routing table: {row.event_type} is routed twice; keep one row")
        if row.handler not in HANDLERS:
            raise ValueError(
                f"routing table: {row.event_type} goes to {row.handler!r}; handlers are {', '.join(HANDLERS)}"
            )
        if row.repeat not in REPEATS:
            raise ValueError(
                f"routing table: {row.event_type} repeats {row.repeat!r}; take one of {', '.join(REPEATS)}"
            )
        routes[row.event_type] = row
    return MappingProxyType(routes)


def types_of(routes: Iterable[Route], handler: str) -> tuple[str, ...]:
    """List the event types of a handler in the table's order."""
    if handler not in HANDLERS:
        raise ValueError(f"{handler!r} is no handler; handlers are {', '.join(HANDLERS)}")
    return tuple(route.event_type for route in routes if route.handler == handler)


def _by_mode(actions: Mapping[str, Call | None], stripe_object: StripeObject) -> Call | None:
    mode = stripe_object.get("mode")
    if not isinstance(mode, str) or mode not in actions:
        raise InvalidEventError(f"{ROOT}.mode", f"must be one of {', '.join(actions)}")
    return actions[mode]
