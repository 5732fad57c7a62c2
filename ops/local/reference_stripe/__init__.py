"""The reference Stripe API: a real HTTP server with Stripe's paging, errors and rate limit.

It serves what the functions read: `/v1/events`, `/v1/customers/{id}` and `/v1/subscriptions/{id}`. Read
`store.py` first, then `listing.py`, `exchange.py` and `server.py`. Faults are those of the reference
Huntaze API, matched by the path without its query.
"""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any

from ops.local.reference_api.faults import Fault
from ops.local.reference_api.messages import Recorded
from ops.local.reference_stripe.exchange import StripeExchange
from ops.local.reference_stripe.server import StripeServer
from ops.local.reference_stripe.store import Store

__all__ = ["Fault", "Recorded", "ReferenceStripe"]

SHUTDOWN_POLL_SECONDS = 0.02


class ReferenceStripe:
    """The reference Stripe API in a thread of this process, for the time of a `with` block.

    Parameters
    ----------
    secret_key
        The bearer key that callers must present.
    reads_per_second
        What is asked more often is answered with 429; None sets no limit.
    port
        A loopback port; 0 is any free one.
    """

    def __init__(self, secret_key: str, reads_per_second: int | None = None, port: int = 0) -> None:
        self._store = Store()
        self._exchange = StripeExchange(secret_key, self._store, reads_per_second)
        self._server = StripeServer(self._exchange, port)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(SHUTDOWN_POLL_SECONDS,), daemon=True
        )
        self.url = self._server.url

    def __enter__(self) -> ReferenceStripe:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def add_events(self, *events: dict[str, Any]) -> None:
        """Let Stripe have made these events: the `detail` of envelopes."""
        self._store.add_events(events)

    def put(
        self, stripe_object: dict[str, Any], *, api_version: str | None = None, account: str | None = None
    ) -> None:
        """Set an object's present state, in one API version or in all that have none of their own."""
        self._store.put(stripe_object, api_version=api_version, account=account)

    def clear(self) -> None:
        """Forget all events, objects and faults."""
        self._store.clear()
        self.clear_faults()

    def requests(self) -> tuple[Recorded, ...]:
        """Return every request so far, refused ones included, in order."""
        return self._exchange.requests()

    def fail(self, fault: Fault) -> None:
        """Let the requests that match a fault go wrong from now on."""
        self._exchange.fail(fault)

    def clear_faults(self) -> None:
        """Let everything go right again."""
        self._exchange.clear_faults()
