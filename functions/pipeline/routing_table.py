"""The routing table: one row per Stripe event type, with its handler, its API path and the body sent there.

The only place where a type is routed: infra builds the EventBridge patterns from it, and the handlers map
events by it. To add a type, add a row. Imports no third-party package. The third word of a row says what a
second event about the same object means; see `functions.pipeline.route`.

On the left of `=` is the key that the Huntaze API takes; on the right is how it is read from the event's
object, by Stripe's API reference for that object. Amounts are integers in the currency's minor unit, times
are Unix seconds, and an absent value is sent as null.
"""

from __future__ import annotations

from typing import Final

from functions.pipeline.objects import boolean, group, integer, metadata, own_id, reference, text
from functions.pipeline.route import (
    EACH,
    LATEST,
    ONCE,
    RECORDED,
    Route,
    post,
    table,
    types_of,
)
from functions.shared.names import BILLING, OTHER_MESSAGE_GROUP, PAYMENTS, THIN_PREFIX

CUSTOMER: Final = reference("customer")

# 2025-03-31.basil moved the invoice's subscription under its parent, and the subscription's period to its
# items. With several items, the first counts.
INVOICE_SUBSCRIPTION: Final = reference("subscription", "parent.subscription_details.subscription")
PERIOD_START: Final = integer("current_period_start", "items.data.0.current_period_start")
PERIOD_END: Final = integer("current_period_end", "items.data.0.current_period_end")
# Subscriptions older than the Prices API have a plan; its id is usable as a price id.
PRICE: Final = reference("items.data.0.price", "items.data.0.plan", "plan")

# Only these four values of the failure: Stripe's error object holds the customer's payment method.
INTENT_FAILURE: Final = group(
    code=text("last_payment_error.code"),
    declineCode=text("last_payment_error.decline_code"),
    message=text("last_payment_error.message"),
    type=text("last_payment_error.type"),
)
# A charge has no decline code: its outcome's reason is the code of the issuer or of Radar.
CHARGE_FAILURE: Final = group(
    code=text("failure_code"),
    declineCode=text("outcome.reason"),
    message=text("failure_message"),
    type=text("outcome.type"),
)

# One argument per line would hide the rows.
# fmt: off
ROUTES: Final = table(
    Route("payment_intent.succeeded", PAYMENTS, ONCE, post("/api/billing/payment-succeeded",
        paymentIntentId=own_id, amount=integer("amount"), currency=text("currency"), customerId=CUSTOMER,
        metadata=metadata)),
    Route("payment_intent.payment_failed", PAYMENTS, EACH, post("/api/billing/payment-failed",
        objectId=own_id, customerId=CUSTOMER, amount=integer("amount"), failureReason=INTENT_FAILURE,
        metadata=metadata)),
    Route("payment_intent.canceled", PAYMENTS, ONCE, post("/api/billing/payment-canceled",
        paymentIntentId=own_id, customerId=CUSTOMER, amount=integer("amount"), metadata=metadata)),
    # payment_intent.succeeded carries the business fact; a second call would count the payment twice.
    Route("charge.succeeded", PAYMENTS, ONCE, RECORDED),
    Route("charge.failed", PAYMENTS, EACH, post("/api/billing/payment-failed",
        objectId=own_id, customerId=CUSTOMER, amount=integer("amount"), failureReason=CHARGE_FAILURE,
        metadata=metadata)),
    Route("checkout.session.completed", PAYMENTS, ONCE, {
        "subscription": post("/api/billing/subscription-created",
            sessionId=own_id, customerId=CUSTOMER, subscriptionId=reference("subscription"),
            metadata=metadata),
        "payment": post("/api/billing/one-time-payment",
            sessionId=own_id, customerId=CUSTOMER, paymentIntentId=reference("payment_intent"),
            metadata=metadata),
        "setup": RECORDED,
    }),
    Route("checkout.session.expired", PAYMENTS, ONCE, post("/api/billing/checkout-expired",
        sessionId=own_id, customerId=CUSTOMER, metadata=metadata)),

    Route("customer.subscription.created", BILLING, ONCE, post("/api/billing/subscription-created",
        subscriptionId=own_id, customerId=CUSTOMER, status=text("status"),
        currentPeriodStart=PERIOD_START, currentPeriodEnd=PERIOD_END, priceId=PRICE, metadata=metadata)),
    Route("customer.subscription.updated", BILLING, LATEST, post("/api/billing/subscription-updated",
        subscriptionId=own_id, customerId=CUSTOMER, status=text("status"),
        currentPeriodStart=PERIOD_START, currentPeriodEnd=PERIOD_END, priceId=PRICE,
        cancelAtPeriodEnd=boolean("cancel_at_period_end"), metadata=metadata)),
    Route("customer.subscription.deleted", BILLING, ONCE, post("/api/billing/subscription-deleted",
        subscriptionId=own_id, customerId=CUSTOMER, canceledAt=integer("canceled_at"), metadata=metadata)),
    Route("customer.subscription.trial_will_end", BILLING, EACH, post("/api/billing/trial-will-end",
        subscriptionId=own_id, customerId=CUSTOMER, trialEnd=integer("trial_end"), metadata=metadata)),
    Route("invoice.paid", BILLING, ONCE, post("/api/billing/invoice-paid",
        invoiceId=own_id, customerId=CUSTOMER, subscriptionId=INVOICE_SUBSCRIPTION,
        amountPaid=integer("amount_paid"), currency=text("currency"),
        periodStart=integer("period_start"), periodEnd=integer("period_end"), metadata=metadata)),
    Route("invoice.payment_failed", BILLING, EACH, post("/api/billing/invoice-payment-failed",
        invoiceId=own_id, customerId=CUSTOMER, subscriptionId=INVOICE_SUBSCRIPTION,
        amountDue=integer("amount_due"), attemptCount=integer("attempt_count"),
        nextPaymentAttempt=integer("next_payment_attempt"), metadata=metadata)),
    Route("invoice.payment_action_required", BILLING, EACH, post(
        "/api/billing/invoice-payment-action-required",
        invoiceId=own_id, customerId=CUSTOMER, subscriptionId=INVOICE_SUBSCRIPTION,
        hostedInvoiceUrl=text("hosted_invoice_url"), metadata=metadata)),
    Route("customer.created", BILLING, ONCE, post("/api/billing/customer-created",
        customerId=own_id, email=text("email"), name=text("name"), metadata=metadata)),
    Route("customer.updated", BILLING, LATEST, post("/api/billing/customer-updated",
        customerId=own_id, email=text("email"), name=text("name"), metadata=metadata)),
    Route("customer.deleted", BILLING, ONCE, post("/api/billing/customer-deleted",
        customerId=own_id, metadata=metadata)),
)
# fmt: on


def event_types(handler: str) -> tuple[str, ...]:
    """List the event types of a handler, in the table's order."""
    return types_of(ROUTES.values(), handler)


def message_group(event_type: str) -> str:
    """Return the FIFO message group of a type in the audit queue: its handler, or `other` for the rest.

    A thin event's type belongs to the group of its snapshot event.
    """
    route = ROUTES.get(event_type.removeprefix(THIN_PREFIX))
    return OTHER_MESSAGE_GROUP if route is None else route.handler
