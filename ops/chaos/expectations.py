"""What each event must lead to, written from the contract of the pipeline and not from its routing table.

Two readings of one contract that agree are worth more than one reading used twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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


# By the shipped sample's name, which tells apart the modes of a checkout session.
KINDS: dict[str, Kind] = {
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
