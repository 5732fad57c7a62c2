"""What `huntaze-stripe verify` asks of Stripe: objects are created, changed and deleted, and events follow.

The paths are those of `Changes.answer`. Each change makes the events that Stripe makes for it, which are
listed like all others, and delivered.

Sources: Stripe's API reference, "Customers", "Products", "Subscriptions" and "PaymentIntents"; "Types of
events"; Stripe, "Testing" (test payment methods).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ops.reference.server.messages import Received, Reply, json_reply
from ops.reference.stripe import forms, rendering
from ops.reference.stripe.rendering import DECLINED, Object
from ops.reference.stripe.store import Store

PAYS: Final = "pm_card_visa"
DECLINES: Final = "pm_card_visa_chargeDeclined"

Deliver = Callable[[Mapping[str, Any]], object]


class RefusedError(Exception):
    """Stripe refuses the request; `error` is the object of its answer."""

    def __init__(self, status: int, message: str, **error: Any) -> None:
        super().__init__(message)
        self.status = status
        self.error = {"type": "invalid_request_error", **error, "message": message}


@dataclass
class Changes:
    """Changes of one Stripe account and its connected accounts.

    Parameters
    ----------
    store
        Where objects and events are kept.
    deliver
        Sends an event to the event destinations.
    """

    store: Store
    deliver: Deliver
    _answered: dict[str, Reply] = field(default_factory=dict)

    def answer(self, request: Received, path: str) -> Reply | None:
        """Return the reply to a request that changes something; None for any other.

        A repeated Idempotency-Key gets the first reply again.
        """
        if request.method not in ("POST", "DELETE"):
            return None
        parts = path.removeprefix("/v1/").split("/")
        change = _CHANGES.get((request.method, parts[0], len(parts), parts[2] if len(parts) > 2 else ""))
        if change is None:
            return None
        key = request.header("Idempotency-Key") if request.method == "POST" else None
        if key in self._answered:
            return self._answered[key]
        account = request.header("Stripe-Account")
        try:
            reply = json_reply(200, change(_Change(self, account, parts), forms.parse(request.content)))
        except RefusedError as refused:
            reply = json_reply(refused.status, {"error": refused.error})
        except (KeyError, ValueError, IndexError) as error:
            missing = {"type": "invalid_request_error", "message": f"Missing or invalid parameter: {error}"}
            reply = json_reply(400, {"error": missing})
        if key:
            self._answered[key] = reply
        return reply


@dataclass(frozen=True)
class _Change:
    """One request: the account that it is for, and the parts of its path."""

    changes: Changes
    account: str | None
    parts: list[str]

    def keep(self, stripe_object: Object, *event_types: str, previous: Object | None = None) -> Object:
        """Keep an object's state, and make its events."""
        self.changes.store.put(stripe_object, api_version=None, account=self.account)
        for event_type in event_types:
            made = rendering.event(event_type, stripe_object, self.account, previous)
            self.changes.store.add_events([made])
            # A destination has either snapshot or thin events.
            for each in (made, rendering.thin(made)):
                self.changes.deliver(each)
        return stripe_object

    def found(self, kind: str, object_id: str | None = None) -> Object:
        """Return the object of the path, or the one with this id."""
        wanted = self.parts[1] if object_id is None else object_id
        found = self.changes.store.object(kind, wanted, api_version=None, account=self.account)
        if found is None or found.get("deleted"):
            raise RefusedError(404, f"No such {kind}: '{wanted}'", code="resource_missing", param="id")
        return dict(found)

    def pay(self, intent: Object, payment_method: str) -> Object:
        """Try to pay an intent."""
        paid = payment_method == PAYS
        if not paid and payment_method != DECLINES:
            raise RefusedError(400, f"No such PaymentMethod: '{payment_method}'", code="resource_missing")
        charge = rendering.charge(intent, paid=paid)
        intent["latest_charge"] = charge["id"]
        if paid:
            intent |= {"status": "succeeded", "amount_received": intent["amount"]}
            self.keep(charge, "charge.succeeded")
            return self.keep(intent, "payment_intent.succeeded")
        intent["last_payment_error"] = {**DECLINED, "charge": charge["id"]}
        self.keep(charge, "charge.failed")
        self.keep(intent, "payment_intent.payment_failed")
        error = {name: value for name, value in DECLINED.items() if name != "message"}
        raise RefusedError(402, DECLINED["message"], **error, charge=charge["id"], payment_intent=intent)


def _create_customer(change: _Change, given: Object) -> Object:
    return change.keep(rendering.customer(given), "customer.created")


def _delete_customer(change: _Change, _given: Object) -> Object:
    customer = change.found("customer")
    change.keep(customer, "customer.deleted")
    return change.keep({"id": customer["id"], "object": "customer", "deleted": True})


def _create_product(change: _Change, given: Object) -> Object:
    return change.keep(rendering.product(given), "product.created")


def _update_product(change: _Change, given: Object) -> Object:
    product = change.found("product")
    previous = {"active": product["active"]}
    product["active"] = given.get("active") != "false"
    return change.keep(product, "product.updated", previous=previous)


def _create_subscription(change: _Change, given: Object) -> Object:
    """Create an active subscription whose first invoice is paid by the customer's default payment method."""
    method = change.found("customer", given["customer"])["invoice_settings"]["default_payment_method"]
    if method is None:
        raise RefusedError(400, "This customer has no attached payment source or default payment method.")
    price_data = given["items"][0]["price_data"]
    change.found("product", price_data["product"])
    subscription = rendering.subscription(given, price_data)
    amount, currency = int(price_data["unit_amount"]), price_data["currency"]
    intent = rendering.payment_intent(
        {"amount": amount, "currency": currency, "customer": given["customer"], "metadata": {}}
    )
    change.pay(change.keep(intent, "payment_intent.created"), method)
    invoice = rendering.invoice(subscription, amount, currency)
    subscription["latest_invoice"] = invoice["id"]
    change.keep(invoice, "invoice.created", "invoice.finalized", "invoice.paid", "invoice.payment_succeeded")
    return change.keep(subscription, "customer.subscription.created")


def _update_subscription(change: _Change, given: Object) -> Object:
    subscription = change.found("subscription")
    changed: Object = {}
    if "metadata" in given:
        changed["metadata"] = subscription["metadata"] | given["metadata"]
    if "cancel_at_period_end" in given:
        changed["cancel_at_period_end"] = given["cancel_at_period_end"] == "true"
    previous = {name: subscription[name] for name, value in changed.items() if subscription[name] != value}
    subscription |= changed
    return change.keep(subscription, "customer.subscription.updated", previous=previous)


def _cancel_subscription(change: _Change, _given: Object) -> Object:
    now = int(time.time())
    subscription = change.found("subscription") | {"status": "canceled", "canceled_at": now, "ended_at": now}
    return change.keep(subscription, "customer.subscription.deleted")


def _create_intent(change: _Change, given: Object) -> Object:
    return change.keep(rendering.payment_intent(given), "payment_intent.created")


def _confirm_intent(change: _Change, given: Object) -> Object:
    return change.pay(change.found("payment_intent"), given["payment_method"])


def _cancel_intent(change: _Change, _given: Object) -> Object:
    canceled = {"status": "canceled", "canceled_at": int(time.time())}
    return change.keep(change.found("payment_intent") | canceled, "payment_intent.canceled")


# By method, collection, number of parts of the path, and action.
_CHANGES: Final[Mapping[tuple[str, str, int, str], Callable[[_Change, Object], Object]]] = {
    ("POST", "customers", 1, ""): _create_customer,
    ("DELETE", "customers", 2, ""): _delete_customer,
    ("POST", "products", 1, ""): _create_product,
    ("POST", "products", 2, ""): _update_product,
    ("POST", "subscriptions", 1, ""): _create_subscription,
    ("POST", "subscriptions", 2, ""): _update_subscription,
    ("DELETE", "subscriptions", 2, ""): _cancel_subscription,
    ("POST", "payment_intents", 1, ""): _create_intent,
    ("POST", "payment_intents", 3, "confirm"): _confirm_intent,
    ("POST", "payment_intents", 3, "cancel"): _cancel_intent,
}
