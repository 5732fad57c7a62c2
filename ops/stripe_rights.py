"""What the functions of an environment read of Stripe, and so what a restricted key must allow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from functions.shared import names
from functions.stripe_api.client import ACCOUNTS_PATH, CUSTOMER, EVENTS_PATH, OBJECT_PATHS, SUBSCRIPTION
from infra.settings import Settings

# Asked for one entry. An object is asked for by an id that nothing has: a 404 where the right exists.
LISTS: Final = frozenset({EVENTS_PATH, ACCOUNTS_PATH})
UNKNOWN_ID: Final = "keyCheck"
# A right's name in Stripe's Dashboard, and how an id begins, by the type of the object.
OBJECTS: Final[Mapping[str, tuple[str, str]]] = {
    CUSTOMER: ("Customers", "cus_"),
    SUBSCRIPTION: ("Subscriptions", "sub_"),
    "charge": ("Charges", "ch_"),
    "checkout.session": ("Checkout Sessions", "cs_"),
    "invoice": ("Invoices", "in_"),
    "payment_intent": ("PaymentIntents", "pi_"),
}


def needed(settings: Settings) -> Mapping[str, str]:
    """Return the path that tests a right, by the right's name.

    A thin event has no object, so that the handlers read every type that is routed. Scheduled runs list
    accounts where they compare all.
    """
    types = OBJECT_PATHS if settings.thin_events else (CUSTOMER, SUBSCRIPTION)
    rights = {"Events": EVENTS_PATH}
    for each in types:
        right, prefix = OBJECTS[each]
        rights[right] = f"{OBJECT_PATHS[each]}{prefix}{UNKNOWN_ID}"
    if settings.reconcile != names.OFF and settings.reconcile_accounts == (names.ALL_ACCOUNTS,):
        rights["Accounts"] = ACCOUNTS_PATH
    return rights
