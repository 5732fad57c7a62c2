"""Which events concern a customer.

An event concerns the customer that it names: under a key of `CUSTOMERS`, as an id or as an object, or as the
object itself, at any depth but in metadata, where merchants may name another person's account. Stripe's
disputes, refunds and reviews name no customer, and hold an e-mail address all the same: an event without a
customer concerns the customer whose charge, invoice or other object it is about. So does one that names only
the account of the Accounts v2 API that stands for the customer.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ops.dlq.mask import FREE

# Keys that name a customer (Stripe API reference: the Charge and VerificationSession objects, among others).
CUSTOMERS: Final = ("customer", "related_customer")
# Keys, or paths to them, by which an object refers to one that belongs to a single customer (Stripe API
# reference: the Dispute, Refund, Review, Mandate, Transfer and VerificationReport objects, among others).
OWNED: Final = (
    *("charge", "credit_grant", "destination_payment", "invoice", "latest_charge", "originating_transaction"),
    *("payment_intent", "payment_method", "setup_intent", "source", "source_charge", "source_transaction"),
    *("subscription", "verification_session"),
    *("customer_account", "related_customer_account", "account_holder.customer_account"),
)


@dataclass(frozen=True, slots=True)
class About:
    """Whom and what an event is about: ids of customers, and of objects that belong to one customer."""

    customers: frozenset[str]
    objects: frozenset[str]


def about(event: Mapping[str, Any]) -> About:
    """Return whom and what an event is about."""
    customers = {
        found
        for each in _objects(event)
        for found in (*(_id(each.get(key)) for key in CUSTOMERS), _own_id(each))
        if found is not None
    }
    related = event.get("related_object")
    if isinstance(related, dict):
        # A thin event holds nothing of the object but its type and id.
        found = frozenset(each for each in (_id(related),) if each is not None)
        is_customer = related.get("type") == "customer"
        return About(found | customers, frozenset()) if is_customer else About(frozenset(customers), found)
    data = event.get("data")
    stripe_object = data.get("object") if isinstance(data, dict) else None
    if not isinstance(stripe_object, dict):
        return About(frozenset(customers), frozenset())
    objects = {_id(stripe_object), *(_id(_at(stripe_object, path)) for path in OWNED)}
    return About(frozenset(customers), frozenset(found for found in objects if found is not None))


def _objects(event: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield every JSON object in an event, but not what merchants and customers write."""
    remaining: list[Any] = [event]
    while remaining:
        value = remaining.pop()
        if isinstance(value, dict):
            yield value
            remaining += (below for key, below in value.items() if key not in FREE)
        elif isinstance(value, list):
            remaining += value


def _own_id(each: Mapping[str, Any]) -> str | None:
    return _id(each) if each.get("object") == "customer" else None


def _at(value: Any, path: str) -> Any:
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _id(value: Any) -> str | None:
    """Return the id of an object that is given as its id or whole."""
    found = value.get("id") if isinstance(value, dict) else value
    return found if isinstance(found, str) and found else None


@dataclass
class Search:
    """The search for what concerns a customer; add everything, then `settle`.

    Parameters
    ----------
    objects
        Ids of the customer's objects that are known so far.
    found
        What concerns the customer, in the order in which it was found.
    """

    customer: str
    objects: set[str] = field(default_factory=set)
    found: dict[Hashable, None] = field(default_factory=dict)
    _open: list[tuple[Hashable, About]] = field(default_factory=list)

    def add(self, place: Hashable, event: About) -> None:
        """Add an event and where it is."""
        if self.customer in event.customers:
            self.found[place] = None
            self.objects |= event.objects
        elif not event.customers and event.objects:
            self._open.append((place, event))

    def settle(self) -> None:
        """Find the events without a customer that are about the customer's objects, and their objects."""
        known = -1
        while known < len(self.objects):
            known = len(self.objects)
            waiting = self._open
            self._open = []
            for place, event in waiting:
                if self.concerns(event):
                    self.found[place] = None
                    self.objects |= event.objects
                else:
                    self._open.append((place, event))

    def concerns(self, event: About) -> bool:
        """Return whether an event concerns the customer, by what is known so far."""
        if event.customers:
            return self.customer in event.customers
        return not self.objects.isdisjoint(event.objects)
