"""The rows of the routing table, and how a row maps an event to a request."""

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
    """One POST to the API: its path, and an accessor for each key of the body."""

    path: str
    body: Mapping[str, Accessor]


def post(path: str, **body: Accessor) -> Call:
    """Return a call, written as in the table: the path, then `key=accessor` for each key of the body."""
    return Call(path, MappingProxyType(body))


# What a second event about the same object means. One word per type is enough, because each of Stripe's
# types is one kind of fact about an object.
ONCE: Final = "once"  # the effect happens once per object, however many events report it
LATEST: Final = "latest"  # each event carries a state: an older one never overwrites a newer one
EACH: Final = "each"  # every event counts
REPEATS: Final = (ONCE, LATEST, EACH)

# Objects that event types call by another name.
OBJECT_NAMES: Final[Mapping[str, str]] = {"customer.subscription": "subscription"}

# No call: the event is recorded as handled, and written to the ledger like every other.
RECORDED: Final = None


@dataclass(frozen=True, slots=True)
class Request:
    """A call with the values of one event."""

    path: str
    body: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Route:
    """One row: how an event type is handled.

    Parameters
    ----------
    event_type
        The type, as Stripe spells it.
    handler
        The function that the type's rule invokes.
    repeat
        What a second event about the same object means: one of `REPEATS`.
    action
        The call, or None if the event is only recorded. For a checkout session, one of these per mode.
    """

    event_type: str
    handler: str
    repeat: str
    action: Call | Mapping[str, Call | None] | None

    @property
    def object_type(self) -> str:
        """The object's type, such as `customer.subscription`: all but the last word of the event type."""
        return self.event_type.rpartition(".")[0]

    @property
    def object_name(self) -> str:
        """The object's type as Stripe's objects spell it, such as `subscription` or `checkout.session`."""
        return OBJECT_NAMES.get(self.object_type, self.object_type)

    @property
    def has_modes(self) -> bool:
        """Whether the action depends on the object's mode."""
        return isinstance(self.action, Mapping)

    @property
    def ends_object(self) -> bool:
        """Whether the event is the object's end, which Stripe calls deleted."""
        return self.event_type.rpartition(".")[2] == "deleted"

    @property
    def variants(self) -> Mapping[str, Call | None]:
        """Each possible action by mode; the only action of a type without modes has the key ""."""
        return self.action if isinstance(self.action, Mapping) else {"": self.action}

    def request(self, stripe_object: StripeObject) -> Request | None:
        """Map the event's object to a request, or to None if the event needs no call.

        Raises
        ------
        InvalidEventError
            A value has a type that Stripe does not document, or the row does not name the mode. What an
            unknown mode means for the customer's money is an operator's decision.
        """
        action = self.action
        call = _by_mode(action, stripe_object) if isinstance(action, Mapping) else action
        if call is None:
            return None
        return Request(call.path, {key: read(stripe_object) for key, read in call.body.items()})

    def unread_request(self) -> Request | None:
        """Return the call of a thin event without its body, for which the object has to be fetched.

        None if no call is needed, or if the path depends on the object too.
        """
        action = self.action
        return Request(action.path, {}) if isinstance(action, Call) else None


def table(*rows: Route) -> Mapping[str, Route]:
    """Index the rows by event type, in their order.

    Raises
    ------
    ValueError
        A type is routed twice, or a row names an unknown handler or repeat.
    """
    routes: dict[str, Route] = {}
    for row in rows:
        if row.event_type in routes:
            raise ValueError(f"routing table: {row.event_type} is routed twice; keep one row")
        if row.handler not in HANDLERS:
            raise ValueError(
                f"routing table: unknown handler {row.handler!r} for {row.event_type}; "
                f"handlers are {', '.join(HANDLERS)}"
            )
        if row.repeat not in REPEATS:
            raise ValueError(
                f"routing table: unknown repeat {row.repeat!r} for {row.event_type}; "
                f"use one of {', '.join(REPEATS)}"
            )
        routes[row.event_type] = row
    return MappingProxyType(routes)


def types_of(routes: Iterable[Route], handler: str) -> tuple[str, ...]:
    """List the event types of a handler in the table's order."""
    if handler not in HANDLERS:
        raise ValueError(f"unknown handler {handler!r}; handlers are {', '.join(HANDLERS)}")
    return tuple(route.event_type for route in routes if route.handler == handler)


def _by_mode(actions: Mapping[str, Call | None], stripe_object: StripeObject) -> Call | None:
    mode = stripe_object.get("mode")
    if not isinstance(mode, str) or mode not in actions:
        raise InvalidEventError(f"{ROOT}.mode", f"must be one of {', '.join(actions)}")
    return actions[mode]
