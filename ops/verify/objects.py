"""What a verification creates in Stripe's test mode, and removes.

Everything is named `NAME` with the run's id, and has it in its metadata. Nothing stays but a product, which
Stripe does not delete once it has a price: it is made inactive.

Sources: Stripe's API reference, "Customers", "Subscriptions", "PaymentIntents"; Stripe, "Testing".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from functions.shared import names
from ops.errors import OperatorError

if TYPE_CHECKING:
    import stripe

NAME: Final = "huntaze-stripe verify"
METADATA_KEY: Final = "huntaze_verify"
# Nobody reads mail at this domain (RFC 2606).
EMAIL: Final = "verify@example.com"
CURRENCY: Final = "eur"
# Minor units; small, and above the least that Stripe charges in any currency of Europe.
AMOUNT: Final = 1_000
# Test payment methods (Stripe, "Testing").
PAYS: Final = "pm_card_visa"
DECLINES: Final = "pm_card_visa_chargeDeclined"
# Retries of the library, each with the same idempotency key.
RETRIES: Final = 2
_FORBIDDEN: Final = (401, 403)

# Each step, and the routed event types that Stripe makes for it.
CREATED: Final[Mapping[str, tuple[str, ...]]] = {
    "customer": ("customer.created",),
    "paid invoice": (
        "charge.succeeded",
        "payment_intent.succeeded",
        "invoice.paid",
        "customer.subscription.created",
    ),
    "failed payment": ("charge.failed", "payment_intent.payment_failed"),
    "subscription change": ("customer.subscription.updated",),
}
REMOVED: Final = ("customer.subscription.deleted", "payment_intent.canceled", "customer.deleted")


@dataclass
class CreatedObjects:
    """The objects of one run.

    Parameters
    ----------
    run
        The run's id.
    account
        The connected account in which they are; None for the key's own.
    left
        What could not be removed: name and id.
    """

    client: stripe.StripeClient = field(repr=False)
    run: str
    account: str | None = None
    ids: set[str] = field(default_factory=set)
    left: list[str] = field(default_factory=list)
    _removals: list[tuple[str, Callable[[], object]]] = field(default_factory=list)
    _customer: str = ""
    _subscription: str = ""

    @property
    def steps(self) -> Mapping[str, Callable[[], None]]:
        """What creates the objects of each step of `CREATED`, in order."""
        makers = (self._create_customer, self._pay_invoice, self._fail_payment, self._change_subscription)
        return dict(zip(CREATED, makers, strict=True))

    def remove(self) -> None:
        """Remove everything, newest first; what can't be removed is `left`."""
        while self._removals:
            named, removal = self._removals.pop()
            try:
                with stripe_errors(f"to remove {named}"):
                    removal()
            except OperatorError:
                self.left.append(named)

    def _create_customer(self) -> None:
        given = {
            "name": self._name,
            "email": EMAIL,
            "payment_method": PAYS,
            "invoice_settings": {"default_payment_method": PAYS},
        }
        with stripe_errors("to create a customer"):
            customer = self.client.v1.customers.create(self._given(given), self._options)
        self._customer = self._created("customer", customer.id, self.client.v1.customers.delete)

    def _pay_invoice(self) -> None:
        with stripe_errors("to create a product"):
            product = self.client.v1.products.create(self._given({"name": self._name}), self._options)
        self._removals.append((f"product {product.id}", lambda: self._retire(product.id)))
        price = {
            "currency": CURRENCY,
            "product": product.id,
            "unit_amount": AMOUNT,
            "recurring": {"interval": "month"},
        }
        given = {"customer": self._customer, "items": [{"price_data": price}]}
        with stripe_errors("to create a subscription"):
            made = self.client.v1.subscriptions.create(self._given(given), self._options)
        self._subscription = self._created("subscription", made.id, self.client.v1.subscriptions.cancel)

    def _fail_payment(self) -> None:
        import stripe

        given = {
            "amount": AMOUNT,
            "currency": CURRENCY,
            "customer": self._customer,
            "payment_method_types": ["card"],
            "description": self._name,
        }
        intents = self.client.v1.payment_intents
        with stripe_errors("to create a payment intent"):
            intent = intents.create(self._given(given), self._options)
        intent_id = self._created("payment intent", intent.id, intents.cancel)
        confirmation: Any = {"payment_method": DECLINES}
        with stripe_errors("to fail a payment"):
            try:
                intents.confirm(intent_id, confirmation, self._options)
            except stripe.CardError:
                return
        raise OperatorError(
            f"Stripe did not decline {intent_id} with {DECLINES}: is this Stripe's test mode?"
        )

    def _change_subscription(self) -> None:
        changed: Any = {"cancel_at_period_end": True}
        with stripe_errors("to change a subscription"):
            self.client.v1.subscriptions.update(self._subscription, changed, self._options)

    def _retire(self, product_id: str) -> None:
        inactive: Any = {"active": False}
        self.client.v1.products.update(product_id, inactive, self._options)

    def _created(self, named: str, object_id: str, remove: Callable[..., object]) -> str:
        self.ids.add(object_id)
        self._removals.append((f"{named} {object_id}", lambda: remove(object_id, options=self._options)))
        return object_id

    @property
    def _name(self) -> str:
        return f"{NAME} {self.run}"

    def _given(self, values: Mapping[str, Any]) -> Any:
        return {**values, "metadata": {METADATA_KEY: self.run}}

    @property
    def _options(self) -> Any:
        account = {} if self.account is None else {"stripe_account": self.account}
        return {"max_network_retries": RETRIES, **account}


@contextmanager
def stripe_errors(what: str) -> Iterator[None]:
    """Raise an error of the stripe library as one line; the text of Stripe's answer is left out.

    Raises
    ------
    OperatorError
        Stripe refuses or does not answer.
    """
    import stripe

    try:
        yield
    except stripe.StripeError as error:
        status, code = error.http_status, error.code
        if status in _FORBIDDEN:
            raise OperatorError(
                f"Stripe answered {status} {what}: export a {names.STRIPE_SECRET_KEY} of test mode that may "
                "write customers, products, subscriptions and payment intents, and read events"
            ) from None
        if status is None:
            raise OperatorError(
                f"Stripe could not be reached {what}: check the network, then repeat the command"
            ) from None
        details = f"{status} ({code})" if code else str(status)
        raise OperatorError(
            f"Stripe answered {details} {what}: see the log of requests in Workbench"
        ) from None
