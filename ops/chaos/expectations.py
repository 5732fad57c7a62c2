"""What each event must lead to: written by hand for the event types below, for others from the routing table.

Two readings of one contract that agree are worth more than one reading used twice; a test compares them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, cast

from functions.pipeline.route import Route
from functions.pipeline.routing_table import ROUTES

Repeat = Literal["once", "latest", "each"]
Fate = Literal["applied", "recorded", "unrouted", "parked"]

PAYMENTS = "payments"
BILLING = "billing"


@dataclass(frozen=True)
class Kind:
    """An event type: who handles it (None: no rule routes it), and what a repeat of its effect means.

    ``ends`` tells that after it no state of its object may be applied.
    """

    handler: str | None
    repeat: Repeat
    fate: Fate = "applied"
    ends: bool = False


# By the shipped sample's name, which holds the mode of a checkout session.
WRITTEN: dict[str, Kind] = {
    "payment_intent.succeeded": Kind(PAYMENTS, "once"),
    "payment_intent.payment_failed": Kind(PAYMENTS, "each"),
    "payment_intent.canceled": Kind(PAYMENTS, "once"),
    "charge.succeeded": Kind(PAYMENTS, "once", "recorded"),
    "charge.failed": Kind(PAYMENTS, "each"),
    "checkout.session.completed--subscription": Kind(PAYMENTS, "once"),
    "checkout.session.completed--payment": Kind(PAYMENTS, "once"),
    "checkout.session.completed--setup": Kind(PAYMENTS, "once", "recorded"),
    "checkout.session.expired": Kind(PAYMENTS, "once"),
    "customer.subscription.created": Kind(BILLING, "once"),
    "customer.subscription.updated": Kind(BILLING, "latest"),
    "customer.subscription.deleted": Kind(BILLING, "once", ends=True),
    "customer.subscription.trial_will_end": Kind(BILLING, "each"),
    "invoice.paid": Kind(BILLING, "once"),
    "invoice.payment_failed": Kind(BILLING, "each"),
    "invoice.payment_action_required": Kind(BILLING, "each"),
    "customer.created": Kind(BILLING, "once"),
    "customer.updated": Kind(BILLING, "latest"),
    "customer.deleted": Kind(BILLING, "once", ends=True),
    "payout.paid": Kind(None, "each", "unrouted"),
    "product.created": Kind(None, "each", "unrouted"),
}


def routed(routes: Iterable[Route]) -> dict[str, Kind]:
    """Return what the routing table says of each sample's event."""
    return {
        f"{route.event_type}--{variant}" if variant else route.event_type: Kind(
            route.handler,
            cast(Repeat, route.repeat),
            "applied" if call else "recorded",
            route.ends_stream,
        )
        for route in routes
        for variant, call in route.variants.items()
    }


KINDS: dict[str, Kind] = routed(ROUTES.values()) | WRITTEN


# The class of a refusal that ends no doubt of an earlier call: its answer has no code that says more.
DOUBTFUL = "DoubtfulRefusalError"


@dataclass(frozen=True)
class Refusal:
    """Why an event must be parked: the error's class, and the API's status where it is asked."""

    error: str
    status: int | None = None


@dataclass(frozen=True)
class Event:
    """One event of a history, and what must become of it.

    Parameters
    ----------
    created
        Unix seconds; they order the states of one object.
    refusal
        Why it must be parked; None for one that must not.
    storable
        Whether PostgreSQL can hold it.
    """

    id: str
    type: str
    object_id: str
    created: int
    kind: Kind
    refusal: Refusal | None = None
    storable: bool = True

    @property
    def fate(self) -> Fate:
        """What must become of it."""
        return "parked" if self.refusal else self.kind.fate

    @property
    def rank(self) -> int | None:
        """Its place among the states of its object, whose end is newer than all of the same second."""
        if self.kind.ends:
            return self.created + 1
        return self.created if self.kind.repeat == "latest" else None

    @property
    def effect(self) -> tuple[str, str]:
        """What may happen once, where a repeat means so."""
        return self.type, self.object_id
