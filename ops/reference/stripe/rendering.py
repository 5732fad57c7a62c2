"""New objects as Stripe renders them: those of the shipped samples, with ids and values of their own."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from functions.shared.names import THIN_PREFIX
from ops.local.envelopes import GENERATIONS, SAMPLES

MONTH_SECONDS: Final = 30 * 24 * 3600
# What Stripe answers for the test payment method of a declined card (Stripe, "Test card numbers").
DECLINED: Final = {
    "code": "card_declined",
    "decline_code": "generic_decline",
    "doc_url": "https://docs.stripe.com/error-codes/card-declined",
    "message": "Your card was declined.",
    "type": "card_error",
}

Object = dict[str, Any]


def new_id(prefix: str) -> str:
    """Return a new id with Stripe's prefix, `cus_` for example."""
    return f"{prefix}1R{secrets.token_hex(11)}"


def event(event_type: str, stripe_object: Object, account: str | None, previous: Object | None) -> Object:
    """Return a new snapshot event about an object, as it is now."""
    data: Object = {"object": dict(stripe_object)}
    if previous is not None:
        data["previous_attributes"] = previous
    return {
        "id": new_id("evt_"),
        "object": "event",
        **({} if account is None else {"account": account}),
        "api_version": _sample("customer.created")["api_version"],
        "created": int(time.time()),
        "data": data,
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": new_id("req_"), "idempotency_key": None},
        "type": event_type,
    }


def thin(snapshot: Object) -> Object:
    """Return the thin twin of a snapshot event (Stripe, "Migrate from snapshot events to thin events")."""
    stripe_object = snapshot["data"]["object"]
    kind = stripe_object["object"]
    collection = {"checkout.session": "checkout/sessions"}.get(kind, f"{kind}s")
    created = datetime.fromtimestamp(snapshot["created"], UTC).isoformat(timespec="milliseconds")
    return {
        "id": new_id("evt_test_"),
        "object": "v2.core.event",
        "type": f"{THIN_PREFIX}{snapshot['type']}",
        "context": snapshot.get("account"),
        "created": created.replace("+00:00", "Z"),
        "livemode": snapshot["livemode"],
        "reason": {"type": "request", "request": snapshot["request"]},
        "related_object": {
            "id": stripe_object["id"],
            "type": kind,
            "url": f"/v1/{collection}/{stripe_object['id']}",
        },
        "snapshot_event": snapshot["id"],
    }


def customer(given: Mapping[str, Any]) -> Object:
    """Return a new customer."""
    default = (given.get("invoice_settings") or {}).get("default_payment_method")
    made = _object("customer.created", "cus_", given, "email", "name")
    settings = made["invoice_settings"] | {"default_payment_method": default}
    return made | {"individual_name": None, "preferred_locales": [], "invoice_settings": settings}


def product(given: Mapping[str, Any]) -> Object:
    """Return a new product."""
    return _object("product.created", "prod_", given, "name") | {"active": True, "description": None}


def subscription(given: Mapping[str, Any], price_data: Mapping[str, Any]) -> Object:
    """Return a new active subscription of a customer to one price, for its first month."""
    now = int(time.time())
    made = _object("customer.subscription.created", "sub_", given, "customer")
    recurring = {**made["items"]["data"][0]["price"]["recurring"], "interval": "month"}
    of_price = {
        "id": new_id("price_"),
        "created": now,
        "currency": price_data["currency"],
        "product": price_data["product"],
        "lookup_key": None,
    }
    amount = {"unit_amount": int(price_data["unit_amount"]), "unit_amount_decimal": price_data["unit_amount"]}
    item = made["items"]["data"][0]
    item |= {"id": new_id("si_"), "created": now, "subscription": made["id"]}
    item |= {"current_period_start": now, "current_period_end": now + MONTH_SECONDS}
    item["price"] |= {**of_price, **amount, "recurring": recurring}
    item["plan"] |= {**of_price, "amount": amount["unit_amount"], "amount_decimal": price_data["unit_amount"]}
    return made | {
        "status": "active",
        "currency": price_data["currency"],
        "billing_cycle_anchor": now,
        "start_date": now,
        "trial_start": None,
        "trial_end": None,
        "cancel_at_period_end": False,
        "default_payment_method": None,
    }


def invoice(of: Object, amount: int, currency: str) -> Object:
    """Return the paid first invoice of a subscription."""
    now = int(time.time())
    made = _object("invoice.paid", "in_", {"customer": of["customer"]}, "customer")
    amounts = {"amount_due": amount, "amount_paid": amount, "amount_remaining": 0, "total": amount}
    address = {name: None for name in made if name.startswith("customer_") and name != "customer_tax_ids"}
    parent = {"type": "subscription_details", "quote_details": None}
    details = {"metadata": of["metadata"], "subscription": of["id"]}
    return made | {
        **address,
        **amounts,
        "attempt_count": 1,
        "billing_reason": "subscription_create",
        "currency": currency,
        "lines": {"object": "list", "data": [], "has_more": False, "total_count": 0},
        "parent": {**parent, "subscription_details": details},
        "period_start": now,
        "period_end": now,
        "status": "paid",
    }


def payment_intent(given: Mapping[str, Any]) -> Object:
    """Return a new payment intent that waits for a payment method."""
    made = _object("payment_intent.payment_failed", "pi_", given, "customer", "currency")
    return made | {
        "amount": int(given["amount"]),
        "amount_received": 0,
        "client_secret": f"{made['id']}_secret_{secrets.token_hex(12)}",
        "description": given.get("description"),
        "last_payment_error": None,
        "latest_charge": None,
        "receipt_email": None,
        "payment_method": None,
        "status": "requires_payment_method",
    }


def charge(of: Object, *, paid: bool) -> Object:
    """Return the charge of an attempt to pay a payment intent."""
    name = "charge.succeeded" if paid else "charge.failed"
    made = _object(name, "ch_", {"customer": of["customer"], "metadata": of["metadata"]}, "customer")
    outcome = {
        "network_status": "approved_by_network" if paid else "declined_by_network",
        "reason": None if paid else DECLINED["decline_code"],
        "type": "authorized" if paid else "issuer_declined",
        "risk_level": "normal",
    }
    return made | {
        "amount": of["amount"],
        "amount_captured": of["amount"] if paid else 0,
        "billing_details": {"address": {}, "email": None, "name": None, "phone": None, "tax_id": None},
        "currency": of["currency"],
        "failure_code": None if paid else DECLINED["code"],
        "failure_message": None if paid else DECLINED["message"],
        "outcome": made["outcome"] | outcome,
        "payment_intent": of["id"],
        "receipt_email": None,
    }


def _object(sample: str, prefix: str, given: Mapping[str, Any], *names: str) -> Object:
    """Return a sample's object under a new id, with metadata and `names` as given."""
    made: Object = json.loads(json.dumps(_sample(sample)["data"]["object"]))
    values = {name: given.get(name) for name in names}
    return made | {
        "id": new_id(prefix),
        "created": int(time.time()),
        "livemode": False,
        "metadata": dict(given.get("metadata") or {}),
        **values,
    }


@cache
def _sample(name: str) -> Object:
    path = SAMPLES / GENERATIONS[-1] / f"{name}.json"
    detail: Object = json.loads(path.read_text(encoding="utf-8"))["detail"]
    return detail
