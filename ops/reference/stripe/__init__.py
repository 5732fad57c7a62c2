"""The reference Stripe API: a real HTTP server with Stripe's pagination, errors and rate limit.

It serves the paths that the functions read, `/v1/events` and the objects of `exchange.OBJECT_PATHS` by id,
the changes that `huntaze-stripe verify` makes, and the event destinations of `huntaze-stripe destination`,
`/v2/core/event_destinations`. Read `store.py` first, then `listing.py`, `changes.py`, `destinations.py`,
`exchange.py` and `server.py`. Faults are those of `ops/reference/server`; their path has no query.
"""

from __future__ import annotations

from typing import Any

from ops.reference.server.faults import Fault
from ops.reference.server.messages import Recorded
from ops.reference.server.thread import InThread
from ops.reference.stripe.exchange import StripeExchange
from ops.reference.stripe.partner import Partner
from ops.reference.stripe.server import StripeServer
from ops.reference.stripe.store import Store

__all__ = ["Fault", "Recorded", "ReferenceStripe"]


class ReferenceStripe(InThread):
    """The reference Stripe API in a thread of this process, within a `with` block.

    Parameters
    ----------
    secret_key
        The bearer key that callers must present.
    reads_per_second
        More requests per second get 429; None sets no limit.
    port
        A loopback port; 0 is any free one.
    partner
        Where event destinations have their event sources; None creates none.
    """

    def __init__(
        self,
        secret_key: str,
        reads_per_second: int | None = None,
        port: int = 0,
        partner: Partner | None = None,
    ) -> None:
        self._store = Store()
        exchange = StripeExchange(secret_key, self._store, reads_per_second, partner)
        self._destinations = exchange.destinations
        super().__init__(StripeServer(exchange, port))

    def add_events(self, *events: dict[str, Any]) -> None:
        """Add events to the account: the `detail` of envelopes."""
        self._store.add_events(events)

    def events(self, account: str | None = None) -> list[dict[str, Any]]:
        """Return the events of an account, oldest first."""
        return self._store.events(account)[::-1]

    def add_accounts(self, *account_ids: str) -> None:
        """Connect accounts, the oldest first."""
        self._store.add_accounts(account_ids)

    def put(
        self, stripe_object: dict[str, Any], *, api_version: str | None = None, account: str | None = None
    ) -> None:
        """Set an object's current state, for one API version or for all that have no state of their own."""
        self._store.put(stripe_object, api_version=api_version, account=account)

    def add_destination(self, content: dict[str, Any]) -> dict[str, Any]:
        """Add an event destination, whose `id` may be given, as if it had been created."""
        return self._destinations.add(content)

    def clear(self) -> None:
        """Remove all events, objects, event destinations and faults."""
        self._store.clear()
        self._destinations.clear()
        self.clear_faults()
