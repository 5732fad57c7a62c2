"""Every event type's request, body by body, in both API generations."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from functions.pipeline.objects import own_id
from functions.pipeline.route import ONCE, Request, Route, post, table
from functions.pipeline.routing_table import ROUTES, event_types, message_group
from functions.shared.errors import InvalidEventError
from functions.shared.names import BILLING, OTHER_MESSAGE_GROUP, PAYMENTS
from tests.unit import snapshots as stripe

PERIOD = {"currentPeriodStart": 1_750_000_000, "currentPeriodEnd": 1_752_592_000}
CARD_ERROR = {
    "code": "card_declined",
    "decline_code": "insufficient_funds",
    "message": "Your card has insufficient funds.",
    "type": "card_error",
    "payment_method": {"id": "pm_1", "card": {"last4": "4242"}, "billing_details": {"email": "x@y.example"}},
}


def request_of(event_type: str, stripe_object: dict[str, Any]) -> Request | None:
    return ROUTES[event_type].request(stripe_object)


def assert_posts(event_type: str, stripe_object: dict[str, Any], path: str, body: dict[str, Any]) -> None:
    request = request_of(event_type, stripe_object)
    assert request is not None
    assert (request.path, dict(request.body)) == (path, body)
    assert list(request.body) == list(body), "keys come in the contract's order"


def test_payment_intent_succeeded() -> None:
    assert_posts(
        "payment_intent.succeeded",
        stripe.payment_intent(),
        "/api/billing/payment-succeeded",
        {
            "paymentIntentId": "pi_1",
            "amount": 2599,
            "currency": "eur",
            "customerId": "cus_1",
            "metadata": {"order": "42"},
        },
    )


def test_payment_intent_payment_failed_sends_four_values_of_the_error() -> None:
    assert_posts(
        "payment_intent.payment_failed",
        stripe.payment_intent(last_payment_error=CARD_ERROR),
        "/api/billing/payment-failed",
        {
            "objectId": "pi_1",
            "customerId": "cus_1",
            "amount": 2599,
            "failureReason": {
                "code": "card_declined",
                "declineCode": "insufficient_funds",
                "message": "Your card has insufficient funds.",
                "type": "card_error",
            },
            "metadata": {"order": "42"},
        },
    )


def test_payment_failure_without_an_error_is_an_object_of_nulls() -> None:
    request = request_of("payment_intent.payment_failed", stripe.payment_intent())
    assert request is not None
    assert request.body["failureReason"] == {
        "code": None,
        "declineCode": None,
        "message": None,
        "type": None,
    }


def test_charge_failed_reads_the_charges_failure_and_outcome() -> None:
    outcome = {"type": "issuer_declined", "reason": "do_not_honor", "seller_message": "never sent"}
    assert_posts(
        "charge.failed",
        stripe.charge(
            failure_code="card_declined", failure_message="Your card was declined.", outcome=outcome
        ),
        "/api/billing/payment-failed",
        {
            "objectId": "ch_1",
            "customerId": "cus_1",
            "amount": 2599,
            "failureReason": {
                "code": "card_declined",
                "declineCode": "do_not_honor",
                "message": "Your card was declined.",
                "type": "issuer_declined",
            },
            "metadata": {"order": "42"},
        },
    )


def test_payment_intent_canceled() -> None:
    assert_posts(
        "payment_intent.canceled",
        stripe.payment_intent(),
        "/api/billing/payment-canceled",
        {"paymentIntentId": "pi_1", "customerId": "cus_1", "amount": 2599, "metadata": {"order": "42"}},
    )


def test_charge_succeeded_is_recorded_without_a_call() -> None:
    assert request_of("charge.succeeded", stripe.charge()) is None


def test_checkout_completed_with_a_subscription() -> None:
    assert_posts(
        "checkout.session.completed",
        stripe.session("subscription", subscription="sub_1"),
        "/api/billing/subscription-created",
        {
            "sessionId": "cs_1",
            "customerId": "cus_1",
            "subscriptionId": "sub_1",
            "metadata": {"plan": "pro"},
        },
    )


def test_checkout_completed_with_a_payment() -> None:
    assert_posts(
        "checkout.session.completed",
        stripe.session("payment", payment_intent="pi_1"),
        "/api/billing/one-time-payment",
        {
            "sessionId": "cs_1",
            "customerId": "cus_1",
            "paymentIntentId": "pi_1",
            "metadata": {"plan": "pro"},
        },
    )


def test_checkout_completed_in_setup_mode_is_recorded_without_a_call() -> None:
    assert request_of("checkout.session.completed", stripe.session("setup")) is None


@pytest.mark.parametrize("mode", ["donation", None, 3, ["payment"]])
def test_checkout_in_an_unknown_mode_is_refused_by_name(mode: Any) -> None:
    with pytest.raises(InvalidEventError, match=r"detail\.data\.object\.mode must be one of subscription,"):
        request_of("checkout.session.completed", stripe.session(mode))


def test_checkout_expired() -> None:
    assert_posts(
        "checkout.session.expired",
        stripe.session("payment", customer=None),
        "/api/billing/checkout-expired",
        {"sessionId": "cs_1", "customerId": None, "metadata": {"plan": "pro"}},
    )


@pytest.mark.parametrize("api_version", stripe.GENERATIONS)
def test_subscription_created(api_version: str) -> None:
    assert_posts(
        "customer.subscription.created",
        stripe.subscription(api_version),
        "/api/billing/subscription-created",
        {
            "subscriptionId": "sub_1",
            "customerId": "cus_1",
            "status": "active",
            **PERIOD,
            "priceId": "price_1",
            "metadata": {"plan": "pro"},
        },
    )


@pytest.mark.parametrize("api_version", stripe.GENERATIONS)
def test_subscription_updated(api_version: str) -> None:
    assert_posts(
        "customer.subscription.updated",
        stripe.subscription(api_version, cancel_at_period_end=True, status="past_due"),
        "/api/billing/subscription-updated",
        {
            "subscriptionId": "sub_1",
            "customerId": "cus_1",
            "status": "past_due",
            **PERIOD,
            "priceId": "price_1",
            "cancelAtPeriodEnd": True,
            "metadata": {"plan": "pro"},
        },
    )


@pytest.mark.parametrize("api_version", stripe.GENERATIONS)
def test_subscription_deleted(api_version: str) -> None:
    assert_posts(
        "customer.subscription.deleted",
        stripe.subscription(api_version, canceled_at=1_751_000_000, status="canceled"),
        "/api/billing/subscription-deleted",
        {
            "subscriptionId": "sub_1",
            "customerId": "cus_1",
            "canceledAt": 1_751_000_000,
            "metadata": {"plan": "pro"},
        },
    )


@pytest.mark.parametrize("api_version", stripe.GENERATIONS)
def test_trial_will_end(api_version: str) -> None:
    assert_posts(
        "customer.subscription.trial_will_end",
        stripe.subscription(api_version, trial_end=1_750_600_000, status="trialing"),
        "/api/billing/trial-will-end",
        {
            "subscriptionId": "sub_1",
            "customerId": "cus_1",
            "trialEnd": 1_750_600_000,
            "metadata": {"plan": "pro"},
        },
    )


@pytest.mark.parametrize("api_version", stripe.GENERATIONS)
def test_invoice_paid(api_version: str) -> None:
    assert_posts(
        "invoice.paid",
        stripe.invoice(api_version),
        "/api/billing/invoice-paid",
        {
            "invoiceId": "in_1",
            "customerId": "cus_1",
            "subscriptionId": "sub_1",
            "amountPaid": 4900,
            "currency": "eur",
            "periodStart": 1_750_000_000,
            "periodEnd": 1_752_592_000,
            "metadata": {"plan": "pro"},
        },
    )


@pytest.mark.parametrize("api_version", stripe.GENERATIONS)
def test_invoice_payment_failed(api_version: str) -> None:
    assert_posts(
        "invoice.payment_failed",
        stripe.invoice(api_version),
        "/api/billing/invoice-payment-failed",
        {
            "invoiceId": "in_1",
            "customerId": "cus_1",
            "subscriptionId": "sub_1",
            "amountDue": 4900,
            "attemptCount": 2,
            "nextPaymentAttempt": 1_752_900_000,
            "metadata": {"plan": "pro"},
        },
    )


@pytest.mark.parametrize("api_version", stripe.GENERATIONS)
def test_invoice_payment_action_required(api_version: str) -> None:
    assert_posts(
        "invoice.payment_action_required",
        stripe.invoice(api_version),
        "/api/billing/invoice-payment-action-required",
        {
            "invoiceId": "in_1",
            "customerId": "cus_1",
            "subscriptionId": "sub_1",
            "hostedInvoiceUrl": "https://invoice.stripe.com/i/acct_1/1",
            "metadata": {"plan": "pro"},
        },
    )


@pytest.mark.parametrize("change", ["created", "updated"])
def test_customer_created_and_updated(change: str) -> None:
    assert_posts(
        f"customer.{change}",
        stripe.customer(),
        f"/api/billing/customer-{change}",
        {
            "customerId": "cus_1",
            "email": "ada@example.com",
            "name": "Ada Lovelace",
            "metadata": {"user": "7"},
        },
    )


def test_customer_deleted() -> None:
    assert_posts(
        "customer.deleted",
        stripe.customer(),
        "/api/billing/customer-deleted",
        {"customerId": "cus_1", "metadata": {"user": "7"}},
    )


def test_deleted_customer_stub_has_no_metadata() -> None:
    assert_posts(
        "customer.deleted",
        {"id": "cus_1", "object": "customer", "deleted": True},
        "/api/billing/customer-deleted",
        {"customerId": "cus_1", "metadata": None},
    )


@pytest.mark.parametrize("api_version", stripe.GENERATIONS)
@pytest.mark.parametrize(
    "expanded", [{"id": "cus_1", "email": "x@y.example"}, {"id": "cus_1", "deleted": True}]
)
def test_expanded_customer_reads_as_its_id(api_version: str, expanded: dict[str, Any]) -> None:
    samples = {
        "payment_intent.succeeded": stripe.payment_intent(customer=expanded),
        "charge.failed": stripe.charge(customer=expanded),
        "checkout.session.expired": stripe.session("payment", customer=expanded),
        "customer.subscription.updated": stripe.subscription(api_version, customer=expanded),
        "invoice.paid": stripe.invoice(api_version, customer=expanded),
    }
    for event_type, stripe_object in samples.items():
        request = request_of(event_type, stripe_object)
        assert request is not None
        assert request.body["customerId"] == "cus_1"


@pytest.mark.parametrize(
    "link",
    [
        {"subscription": {"id": "sub_9", "object": "subscription"}},
        {"parent": {"subscription_details": {"subscription": {"id": "sub_9"}}}},
        {"subscription": None, "parent": {"subscription_details": {"subscription": "sub_9"}}},
    ],
)
def test_expanded_subscription_of_an_invoice_reads_as_its_id(link: dict[str, Any]) -> None:
    stripe_object = stripe.invoice(stripe.ACACIA)
    del stripe_object["subscription"]
    request = request_of("invoice.paid", stripe_object | link)
    assert request is not None
    assert request.body["subscriptionId"] == "sub_9"


@pytest.mark.parametrize(
    "link",
    [{}, {"parent": None}, {"parent": {"type": "quote_details", "subscription_details": None}}],
)
def test_one_off_invoice_has_no_subscription(link: dict[str, Any]) -> None:
    stripe_object = stripe.invoice(stripe.ACACIA)
    del stripe_object["subscription"]
    request = request_of("invoice.paid", stripe_object | link)
    assert request is not None
    assert request.body["subscriptionId"] is None


def test_expanded_checkout_references_read_as_their_ids() -> None:
    paid = request_of("checkout.session.completed", stripe.session("payment", payment_intent={"id": "pi_9"}))
    subscribed = request_of(
        "checkout.session.completed", stripe.session("subscription", subscription={"id": "sub_9"})
    )
    assert paid is not None
    assert subscribed is not None
    assert paid.body["paymentIntentId"] == "pi_9"
    assert subscribed.body["subscriptionId"] == "sub_9"


@pytest.mark.parametrize(
    ("fields", "price"),
    [
        ({"items": {"data": [{"price": "price_7"}]}}, "price_7"),
        ({"items": {"data": [{"price": {"id": "price_7"}}, {"price": {"id": "price_8"}}]}}, "price_7"),
        ({"items": {"data": [{"price": None, "plan": {"id": "plan_7"}}]}}, "plan_7"),
        ({"items": {"data": []}, "plan": {"id": "plan_8"}}, "plan_8"),
        ({"items": {"data": []}}, None),
        ({"items": None}, None),
    ],
)
def test_price_is_the_first_items(fields: dict[str, Any], price: str | None) -> None:
    request = request_of("customer.subscription.created", stripe.subscription(stripe.ACACIA, **fields))
    assert request is not None
    assert request.body["priceId"] == price


def test_period_is_the_first_items_where_the_subscription_has_none() -> None:
    items = [
        {"current_period_start": 10, "current_period_end": 20},
        {"current_period_start": 30, "current_period_end": 40},
    ]
    request = request_of(
        "customer.subscription.created", stripe.subscription(stripe.CURRENT, items={"data": items})
    )
    assert request is not None
    assert (request.body["currentPeriodStart"], request.body["currentPeriodEnd"]) == (10, 20)


@pytest.mark.parametrize("event_type", ROUTES)
def test_absent_values_are_null_and_never_left_out(event_type: str) -> None:
    for mode, call in ROUTES[event_type].variants.items():
        request = request_of(event_type, {"id": "obj_1", "mode": mode})
        if call is None:
            assert request is None
            continue
        assert request is not None
        first, *others = request.body.items()
        assert first[1] == "obj_1"
        for key, value in others:
            assert value is None or (key == "failureReason" and set(value.values()) == {None})
        assert list(request.body) == list(call.body)


@pytest.mark.parametrize("event_type", ROUTES)
@pytest.mark.parametrize("identifier", [None, 7, "", True, {"id": None}, ["pi_1"]])
def test_object_without_an_id_is_refused(event_type: str, identifier: Any) -> None:
    for mode, call in ROUTES[event_type].variants.items():
        if call is not None:
            with pytest.raises(InvalidEventError, match=r"detail\.data\.object\.id"):
                request_of(event_type, {"id": identifier, "mode": mode})


@pytest.mark.parametrize(
    ("event_type", "stripe_object", "field"),
    [
        ("payment_intent.succeeded", stripe.payment_intent(amount="2599"), "amount"),
        ("payment_intent.succeeded", stripe.payment_intent(amount=True), "amount"),
        ("payment_intent.succeeded", stripe.payment_intent(amount=25.99), "amount"),
        ("payment_intent.succeeded", stripe.payment_intent(amount=2**63), "amount"),
        ("payment_intent.succeeded", stripe.payment_intent(currency=978), "currency"),
        ("payment_intent.succeeded", stripe.payment_intent(customer=7), "customer"),
        ("payment_intent.succeeded", stripe.payment_intent(customer={"email": "x"}), "customer.id"),
        ("payment_intent.succeeded", stripe.payment_intent(metadata=[]), "metadata"),
        ("payment_intent.succeeded", stripe.payment_intent(metadata={"a": 1}), "metadata"),
        (
            "payment_intent.payment_failed",
            stripe.payment_intent(last_payment_error="declined"),
            "last_payment_error",
        ),
        (
            "payment_intent.payment_failed",
            stripe.payment_intent(last_payment_error={"code": 1}),
            "last_payment_error.code",
        ),
        (
            "customer.subscription.updated",
            stripe.subscription(stripe.ACACIA, cancel_at_period_end="yes"),
            "cancel_at_period_end",
        ),
        (
            "customer.subscription.updated",
            stripe.subscription(stripe.CURRENT, items={"data": {}}),
            "items.data",
        ),
        (
            "customer.subscription.updated",
            stripe.subscription(stripe.CURRENT, items={"data": [{"current_period_start": "now"}]}),
            "items.data[0].current_period_start",
        ),
        ("invoice.paid", stripe.invoice(stripe.CURRENT, parent=["x"]), "parent"),
    ],
)
def test_value_of_another_type_is_refused_by_name(
    event_type: str, stripe_object: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidEventError) as caught:
        request_of(event_type, stripe_object)
    assert caught.value.field == f"detail.data.object.{field}"


def test_each_type_belongs_to_one_handler() -> None:
    assert not set(event_types(PAYMENTS)) & set(event_types(BILLING))
    assert set(event_types(PAYMENTS)) | set(event_types(BILLING)) == set(ROUTES)


def test_message_group_of_a_type_is_its_handler_or_the_one_of_the_rest() -> None:
    assert message_group("payout.paid") == OTHER_MESSAGE_GROUP
    assert {message_group(event_type) for event_type in ROUTES} == {PAYMENTS, BILLING}


def test_types_are_listed_in_the_tables_order() -> None:
    assert event_types(PAYMENTS) == tuple(name for name in ROUTES if name in event_types(PAYMENTS))
    types = event_types(PAYMENTS)
    assert types.index("payment_intent.succeeded") < types.index("checkout.session.expired")


def test_unknown_handler_has_no_types() -> None:
    with pytest.raises(ValueError, match="unknown handler 'refunds'"):
        event_types("refunds")


def test_type_routed_twice_stops_the_table() -> None:
    row = Route("invoice.paid", BILLING, ONCE, post("/x", id=own_id))
    with pytest.raises(ValueError, match=r"invoice\.paid is routed twice"):
        table(row, row)


def test_row_to_an_unknown_handler_stops_the_table() -> None:
    with pytest.raises(ValueError, match="'refunds'"):
        table(Route("charge.refunded", "refunds", ONCE, None))


def test_routes_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        ROUTES["charge.refunded"] = ROUTES["charge.failed"]  # type: ignore[index]  # that is the test


def test_requests_do_not_show_personal_data() -> None:
    request = request_of("customer.created", stripe.customer())
    assert "ada@example.com" not in repr(request)


def test_routing_and_names_import_nothing_that_is_not_in_python() -> None:
    code = (
        "import json, sys; import functions.pipeline.routing_table, functions.shared.names;"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    foreign = set(json.loads(done.stdout)) - set(sys.stdlib_module_names) - {"functions", "__main__"}
    assert foreign == set()
