"""What each event must lead to: written by hand for the event types below, for others from the routing table.

Two readings of one contract that agree are worth more than one reading used twice; a test compares them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, cast

from functions.pipeline.route import Route
from functions.pipeline.routing_table import ROUTES
from functions.shared.names import BILLING, PAYMENTS

Repeat = Literal["once", "latest", "each"]
ExpectedOutcome = Literal["applied", "recorded", "unrouted", "parked"]


@dataclass(frozen=True)
class Expected:
    """What an event of a type must lead to.

    Parameters
    ----------
    handler
        None if no rule routes the type.
    repeat
        What a repeat of the effect means.
    ends
        Whether the event ends its object: no state of the object may be applied after it.
    """

    handler: str | None
    repeat: Repeat
    outcome: ExpectedOutcome = "applied"
    ends: bool = False


# By the shipped sample's name, which holds the mode of a checkout session.
WRITTEN: Final[dict[str, Expected]] = {
    "payment_intent.succeeded": Expected(PAYMENTS, "once"),
    "payment_intent.payment_failed": Expected(PAYMENTS, "each"),
    "payment_intent.canceled": Expected(PAYMENTS, "once"),
    "charge.succeeded": Expected(PAYMENTS, "once", "recorded"),
    "charge.failed": Expected(PAYMENTS, "each"),
    "checkout.session.completed--subscription": Expected(PAYMENTS, "once"),
    "checkout.session.completed--payment": Expected(PAYMENTS, "once"),
    "checkout.session.completed--setup": Expected(PAYMENTS, "once", "recorded"),
    "checkout.session.expired": Expected(PAYMENTS, "once"),
    "customer.subscription.created": Expected(BILLING, "once"),
    "customer.subscription.updated": Expected(BILLING, "latest"),
    "customer.subscription.deleted": Expected(BILLING, "once", ends=True),
    "customer.subscription.trial_will_end": Expected(BILLING, "each"),
    "invoice.paid": Expected(BILLING, "once"),
    "invoice.payment_failed": Expected(BILLING, "each"),
    "invoice.payment_action_required": Expected(BILLING, "each"),
    "customer.created": Expected(BILLING, "once"),
    "customer.updated": Expected(BILLING, "latest"),
    "customer.deleted": Expected(BILLING, "once", ends=True),
    "payout.paid": Expected(None, "each", "unrouted"),
    "product.created": Expected(None, "each", "unrouted"),
}


def routed(routes: Iterable[Route]) -> dict[str, Expected]:
    """Return what the routing table says of each sample's event."""
    return {
        f"{route.event_type}--{variant}" if variant else route.event_type: Expected(
            route.handler,
            cast(Repeat, route.repeat),
            "applied" if call else "recorded",
            route.ends_object,
        )
        for route in routes
        for variant, call in route.variants.items()
    }


EXPECTED: Final[dict[str, Expected]] = routed(ROUTES.values()) | WRITTEN


# The error class of a refusal that leaves the outcome of an earlier call unknown: its answer has no code.
DOUBTFUL: Final = "DoubtfulRefusalError"


@dataclass(frozen=True)
class ExpectedRefusal:
    """Why an event must be parked: the error class, and the API's status if the API is called."""

    error: str
    status: int | None = None


@dataclass(frozen=True)
class Event:
    """One event of a history, and its expected outcome.

    Parameters
    ----------
    created
        Unix seconds; they order the states of one object.
    refusal
        Why it must be parked; None if it must not be.
    storable
        Whether PostgreSQL can store it.
    """

    id: str
    type: str
    object_id: str
    created: int
    expected: Expected
    refusal: ExpectedRefusal | None = None
    storable: bool = True

    @property
    def outcome(self) -> ExpectedOutcome:
        """The expected outcome."""
        return "parked" if self.refusal else self.expected.outcome

    @property
    def rank(self) -> int | None:
        """Its place among its object's states; the object's end comes after a state of the same second."""
        if self.expected.ends:
            return self.created + 1
        return self.created if self.expected.repeat == "latest" else None

    @property
    def effect(self) -> tuple[str, str]:
        """What may happen only once if `repeat` is `once`."""
        return self.type, self.object_id
