"""The connected accounts in turn: each run begins behind the one at which the last run ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from functions.shared.errors import PermanentError
from functions.stripe_api.client import StripeApi


def in_turn(accounts: Sequence[str] | None, last: str | None, stripe: StripeApi) -> Iterator[str]:
    """Iterate once over the accounts, beginning behind `last`.

    Parameters
    ----------
    accounts
        Ids of the accounts; None for all that Stripe lists, page by page as they are needed.
    last
        The account that was compared last; None, or one that is gone, begins at the first.

    Raises
    ------
    EventError
        Stripe failed.
    """
    return _given(accounts, last) if accounts is not None else _listed(stripe, last)


def _given(accounts: Sequence[str], last: str | None) -> Iterator[str]:
    begin = accounts.index(last) + 1 if last in accounts else 0
    yield from accounts[begin:]
    yield from accounts[:begin]


def _listed(stripe: StripeApi, last: str | None) -> Iterator[str]:
    if last is not None:
        try:
            yield from stripe.accounts(last)
        except PermanentError:
            # The account is gone, and with it the place in the list.
            last = None
    for account in stripe.accounts():
        yield account
        if account == last:
            return
