"""Small Stripe objects in two API generations, and the envelope around them.

Written after Stripe's API reference. Each holds the fields that the mapping reads, a few that it must not
pass on (card data, secrets), and nothing else.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

ACACIA = "2025-01-27.acacia"
CURRENT = "2026-03-25.dahlia"
GENERATIONS = (ACACIA, CURRENT)

PERIOD_START = 1_750_000_000
PERIOD_END = 1_752_592_000


# Any JSON value.
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def envelope(
    event_type: str, stripe_object: dict[str, Any], *, api_version: str = CURRENT, **detail: Any
) -> dict[str, Any]:
    """Wrap an object as Stripe delivers it to EventBridge; `detail` overrides fields of the event."""
    return {
        "version": "0",
        "id": "3f0c8b1e-8f9c-4a51-9f6a-0d8a2b7c6e10",
        "detail-type": event_type,
        "source": "aws.partner/stripe.com/ed_test_unit",
        "account": "111122223333",
        "time": "2026-04-01T10:00:05Z",
        "region": "eu-west-1",
        "resources": [],
        "detail": {
            "id": "evt_unit_1",
            "object": "event",
            "api_version": api_version,
            "created": 1_775_037_600,
            "data": {"object": stripe_object},
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": event_type,
            **detail,
        },
    }


def thin(snapshot: dict[str, Any], **detail: Any) -> dict[str, Any]:
    """The thin twin of a snapshot event's envelope; `detail` overrides fields of the thin event.

    Written after Stripe's API reference, "The Event object" of API v2, and the stripe library's
    `stripe.v2.core.Event`.
    """
    event = snapshot["detail"]
    stripe_object = event["data"]["object"]
    thin_type = f"v1.{event['type']}"
    kind = stripe_object["object"]
    paths = {"checkout.session": "checkout/sessions"}
    return snapshot | {
        "id": f"{snapshot['id']}-thin",
        "detail-type": thin_type,
        "detail": {
            "id": f"{event['id']}_thin",
            "object": "v2.core.event",
            "context": event.get("account"),
            "created": datetime.fromtimestamp(event["created"], UTC).strftime("%Y-%m-%dT%H:%M:%S.123Z"),
            "livemode": event["livemode"],
            "reason": {"type": "request", "request": {"id": "req_1", "idempotency_key": "key_1"}},
            "related_object": {
                "id": stripe_object["id"],
                "type": kind,
                "url": f"/v1/{paths.get(kind, f'{kind}s')}/{stripe_object['id']}",
            },
            "snapshot_event": event["id"],
            "type": thin_type,
            **detail,
        },
    }


def stored(envelope: dict[str, Any]) -> dict[str, Any]:
    """An envelope as it is stored: the client secret of its object is null."""
    detail = envelope["detail"]
    stripe_object = detail["data"]["object"]
    if "client_secret" in stripe_object:
        stripe_object = stripe_object | {"client_secret": None}
    return envelope | {"detail": detail | {"data": detail["data"] | {"object": stripe_object}}}


def payment_intent(**fields: Any) -> dict[str, Any]:
    """A PaymentIntent; the same in both generations."""
    return {
        "id": "pi_1",
        "object": "payment_intent",
        "amount": 2599,
        "amount_received": 2599,
        "client_secret": "pi_1_secret_never_sent",
        "currency": "eur",
        "customer": "cus_1",
        "last_payment_error": None,
        "metadata": {"order": "42"},
        **fields,
    }


def charge(**fields: Any) -> dict[str, Any]:
    """A Charge; the same in both generations."""
    return {
        "id": "ch_1",
        "object": "charge",
        "amount": 2599,
        "billing_details": {"email": "never@sent.example", "name": "Never Sent"},
        "currency": "eur",
        "customer": "cus_1",
        "failure_code": None,
        "failure_message": None,
        "metadata": {"order": "42"},
        "outcome": None,
        **fields,
    }


def session(mode: str, **fields: Any) -> dict[str, Any]:
    """A Checkout Session; the same in both generations."""
    return {
        "id": "cs_1",
        "object": "checkout.session",
        "customer": "cus_1",
        "customer_details": {"email": "never@sent.example"},
        "metadata": {"plan": "pro"},
        "mode": mode,
        "payment_intent": None,
        "subscription": None,
        **fields,
    }


def subscription(api_version: str, **fields: Any) -> dict[str, Any]:
    """A Subscription: its period is its own in acacia, its items' since basil."""
    period = {"current_period_start": PERIOD_START, "current_period_end": PERIOD_END}
    item: dict[str, Any] = {"id": "si_1", "object": "subscription_item", "price": {"id": "price_1"}}
    own = period if api_version == ACACIA else {}
    return {
        "id": "sub_1",
        "object": "subscription",
        "cancel_at_period_end": False,
        "canceled_at": None,
        "customer": "cus_1",
        "items": {"object": "list", "data": [item if own else item | period]},
        "metadata": {"plan": "pro"},
        "status": "active",
        "trial_end": None,
        **own,
        **fields,
    }


def invoice(api_version: str, **fields: Any) -> dict[str, Any]:
    """An Invoice: it names its subscription itself in acacia, its parent does since basil."""
    link: dict[str, Any] = {"subscription": "sub_1"}
    if api_version != ACACIA:
        link = {"parent": {"type": "subscription_details", "subscription_details": {"subscription": "sub_1"}}}
    return {
        "id": "in_1",
        "object": "invoice",
        "amount_due": 4900,
        "amount_paid": 4900,
        "attempt_count": 2,
        "currency": "eur",
        "customer": "cus_1",
        "customer_email": "never@sent.example",
        "hosted_invoice_url": "https://invoice.stripe.com/i/acct_1/1",
        "metadata": {"plan": "pro"},
        "next_payment_attempt": 1_752_900_000,
        "period_end": PERIOD_END,
        "period_start": PERIOD_START,
        **link,
        **fields,
    }


def customer(**fields: Any) -> dict[str, Any]:
    """A Customer; the same in both generations."""
    return {
        "id": "cus_1",
        "object": "customer",
        "email": "ada@example.com",
        "metadata": {"user": "7"},
        "name": "Ada Lovelace",
        "phone": "+15550100",
        **fields,
    }
