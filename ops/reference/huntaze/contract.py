"""What the Huntaze API accepts and returns: paths, event types, keys and JSON types of bodies, codes.

The contract itself is `docs/huntaze-api.md`; `openapi.py` writes its OpenAPI file from this module.
Nothing here comes from the routing table of the functions: two independent readings of one contract check
each other. For an event type without an entry here, the body comes from the expected call of its sample.

Every value except the object's own id may be null: Stripe did not send it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ops.local.envelopes import EXPECTED_CALLS

# ISO 4217's code for tests. No account has it, so this API refuses it permanently. It shows a permanent
# refusal without a switch in the pipeline.
REFUSED_CURRENCY: Final = "xts"

FAILURE_KEYS: Final = ("code", "declineCode", "message", "type")

# The codes in response bodies that the pipeline knows; see docs/huntaze-api.md.
ALREADY_APPLIED: Final = "already_applied"
REQUEST_IN_PROGRESS: Final = "request_in_progress"
EVENT_REJECTED: Final = "event_rejected"
IDEMPOTENCY_KEY_REUSED: Final = "idempotency_key_reused"
STATUSES: Final = {
    ALREADY_APPLIED: 409,
    REQUEST_IN_PROGRESS: 409,
    EVENT_REJECTED: 422,
    IDEMPOTENCY_KEY_REUSED: 422,
}


@dataclass(frozen=True)
class JsonType:
    """A JSON type: its name in errors, a test for its values, and its JSON Schema (2020-12)."""

    name: str
    accepts: Callable[[Any], bool]
    schema: Mapping[str, Any]


def _id(*prefixes: str) -> JsonType:
    return JsonType(
        f"a string that begins with {' or '.join(prefixes)}",
        lambda value: isinstance(value, str) and value.startswith(prefixes),
        {"type": "string", "pattern": f"^({'|'.join(prefixes)})"},
    )


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_currency(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 3 and value.isascii() and value.islower()


def _is_metadata(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())


def _is_failure_reason(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == set(FAILURE_KEYS)
        and all(item is None or isinstance(item, str) for item in value.values())
    )


TEXT: Final = JsonType("a non-empty string", _is_text, {"type": "string", "minLength": 1})
INTEGER: Final = JsonType("an integer", _is_integer, {"type": "integer"})
AMOUNT: Final = JsonType(
    "an integer in minor units",
    _is_integer,
    {"type": "integer", "description": "In the currency's minor unit."},
)
TIME: Final = JsonType(
    "an integer of Unix seconds", _is_integer, {"type": "integer", "description": "Unix time in seconds."}
)
BOOLEAN: Final = JsonType("true or false", lambda value: isinstance(value, bool), {"type": "boolean"})
CURRENCY: Final = JsonType(
    "a lower-case three-letter currency code", _is_currency, {"type": "string", "pattern": "^[a-z]{3}$"}
)
METADATA: Final = JsonType(
    "an object of strings",
    _is_metadata,
    {"type": "object", "additionalProperties": {"type": "string"}},
)
FAILURE_REASON: Final = JsonType(
    "an object of code, declineCode, message and type, each a string or null",
    _is_failure_reason,
    {
        "type": "object",
        "required": list(FAILURE_KEYS),
        "properties": {key: {"type": ["string", "null"]} for key in FAILURE_KEYS},
    },
)
PLAIN_TEXT: Final = JsonType("a string", lambda value: isinstance(value, str), {"type": "string"})
ANY: Final = JsonType("any JSON value", lambda _: True, {})

Body = Mapping[str, JsonType]

PAYMENT_SUCCEEDED: Final[Body] = {
    "paymentIntentId": _id("pi_"),
    "amount": AMOUNT,
    "currency": CURRENCY,
    "customerId": TEXT,
    "metadata": METADATA,
}
PAYMENT_CANCELED: Final[Body] = {
    "paymentIntentId": _id("pi_"),
    "customerId": TEXT,
    "amount": AMOUNT,
    "metadata": METADATA,
}
CHECKOUT_SUBSCRIPTION: Final[Body] = {
    "sessionId": _id("cs_"),
    "customerId": TEXT,
    "subscriptionId": _id("sub_"),
    "metadata": METADATA,
}
CHECKOUT_PAYMENT: Final[Body] = {
    "sessionId": _id("cs_"),
    "customerId": TEXT,
    "paymentIntentId": _id("pi_"),
    "metadata": METADATA,
}
CHECKOUT_EXPIRED: Final[Body] = {"sessionId": _id("cs_"), "customerId": TEXT, "metadata": METADATA}
SUBSCRIPTION: Final[Body] = {
    "subscriptionId": _id("sub_"),
    "customerId": TEXT,
    "status": TEXT,
    "currentPeriodStart": TIME,
    "currentPeriodEnd": TIME,
    "priceId": TEXT,
    "metadata": METADATA,
}
SUBSCRIPTION_DELETED: Final[Body] = {
    "subscriptionId": _id("sub_"),
    "customerId": TEXT,
    "canceledAt": TIME,
    "metadata": METADATA,
}
TRIAL_WILL_END: Final[Body] = {
    "subscriptionId": _id("sub_"),
    "customerId": TEXT,
    "trialEnd": TIME,
    "metadata": METADATA,
}
INVOICE: Final[Body] = {
    "invoiceId": _id("in_"),
    "customerId": TEXT,
    "subscriptionId": _id("sub_"),
}
INVOICE_PAID: Final[Body] = {
    **INVOICE,
    "amountPaid": AMOUNT,
    "currency": CURRENCY,
    "periodStart": TIME,
    "periodEnd": TIME,
    "metadata": METADATA,
}
INVOICE_PAYMENT_FAILED: Final[Body] = {
    **INVOICE,
    "amountDue": AMOUNT,
    "attemptCount": INTEGER,
    "nextPaymentAttempt": TIME,
    "metadata": METADATA,
}
INVOICE_ACTION_REQUIRED: Final[Body] = {**INVOICE, "hostedInvoiceUrl": TEXT, "metadata": METADATA}
CUSTOMER_STATE: Final[Body] = {
    "customerId": TEXT,
    "email": PLAIN_TEXT,
    "name": PLAIN_TEXT,
    "metadata": METADATA,
}
CUSTOMER_DELETED: Final[Body] = {"customerId": TEXT, "metadata": METADATA}


def _payment_failed(object_id: JsonType) -> Body:
    return {
        "objectId": object_id,
        "customerId": TEXT,
        "amount": AMOUNT,
        "failureReason": FAILURE_REASON,
        "metadata": METADATA,
    }


# The first key of every body is the id of the object that the call is about.
WRITTEN: Final[Mapping[str, Mapping[str, Body]]] = {
    "/api/billing/payment-succeeded": {"payment_intent.succeeded": PAYMENT_SUCCEEDED},
    "/api/billing/payment-failed": {
        "payment_intent.payment_failed": _payment_failed(_id("pi_")),
        "charge.failed": _payment_failed(_id("ch_", "py_")),
    },
    "/api/billing/payment-canceled": {"payment_intent.canceled": PAYMENT_CANCELED},
    "/api/billing/subscription-created": {
        "checkout.session.completed": CHECKOUT_SUBSCRIPTION,
        "customer.subscription.created": SUBSCRIPTION,
    },
    "/api/billing/one-time-payment": {"checkout.session.completed": CHECKOUT_PAYMENT},
    "/api/billing/checkout-expired": {"checkout.session.expired": CHECKOUT_EXPIRED},
    "/api/billing/subscription-updated": {
        "customer.subscription.updated": {**SUBSCRIPTION, "cancelAtPeriodEnd": BOOLEAN}
    },
    "/api/billing/subscription-deleted": {"customer.subscription.deleted": SUBSCRIPTION_DELETED},
    "/api/billing/trial-will-end": {"customer.subscription.trial_will_end": TRIAL_WILL_END},
    "/api/billing/invoice-paid": {"invoice.paid": INVOICE_PAID},
    "/api/billing/invoice-payment-failed": {"invoice.payment_failed": INVOICE_PAYMENT_FAILED},
    "/api/billing/invoice-payment-action-required": {
        "invoice.payment_action_required": INVOICE_ACTION_REQUIRED
    },
    "/api/billing/customer-created": {"customer.created": CUSTOMER_STATE},
    "/api/billing/customer-updated": {"customer.updated": CUSTOMER_STATE},
    "/api/billing/customer-deleted": {"customer.deleted": CUSTOMER_DELETED},
}


def kind_of(value: Any) -> JsonType:
    """Return the JSON type of a sample's value, as far as one value shows it."""
    if isinstance(value, bool):
        return BOOLEAN
    if isinstance(value, int):
        return INTEGER
    if isinstance(value, str):
        return PLAIN_TEXT
    if isinstance(value, dict):
        return FAILURE_REASON if _is_failure_reason(value) else METADATA if _is_metadata(value) else ANY
    return ANY


def complete(
    written: Mapping[str, Mapping[str, Body]], calls: Mapping[str, Mapping[str, Any] | None]
) -> dict[str, dict[str, Body]]:
    """Add the event types of expected calls that the contract does not list.

    Parameters
    ----------
    written
        Path, event type and body of each listed call.
    calls
        The expected call of each sample, by `generation/event.type--variant.json`; None if nothing is sent.
    """
    contract = {path: dict(types) for path, types in written.items()}
    for name, call in calls.items():
        event_type = name.rpartition("/")[2].removesuffix(".json").partition("--")[0]
        if call is None or event_type in written.get(call["path"], {}):
            continue
        (own_key, own_id), *others = call["body"].items()
        body = {own_key: _id(f"{own_id.partition('_')[0]}_")} | {key: kind_of(item) for key, item in others}
        known = contract.setdefault(call["path"], {}).get(event_type, {})
        # Of several samples, one that has a value says more than one that has null.
        contract[call["path"]][event_type] = body | {
            key: kind for key, kind in known.items() if body.get(key, ANY) is ANY
        }
    return contract


CONTRACT: Final[Mapping[str, Mapping[str, Body]]] = complete(WRITTEN, EXPECTED_CALLS)
