"""How the reference Stripe API responds: key, rate limit and path."""

from __future__ import annotations

import hmac
from collections import deque
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

from ops.reference.server.exchange import Exchange
from ops.reference.server.messages import Received, Refusal, Reply, json_reply, record
from ops.reference.stripe import destinations, listing
from ops.reference.stripe.changes import Changes
from ops.reference.stripe.destinations import Destinations
from ops.reference.stripe.partner import NoPartner, Partner
from ops.reference.stripe.store import Store

OBJECT_PATHS: Final = {
    "/v1/charges/": "charge",
    "/v1/checkout/sessions/": "checkout.session",
    "/v1/customers/": "customer",
    "/v1/invoices/": "invoice",
    "/v1/payment_intents/": "payment_intent",
    "/v1/subscriptions/": "subscription",
}
EVENTS_PATH: Final = "/v1/events"


class StripeExchange(Exchange):
    """Process requests one at a time, and record them, their paths with their queries."""

    def __init__(
        self,
        secret_key: str,
        store: Store,
        reads_per_second: int | None = None,
        partner: Partner | None = None,
    ) -> None:
        super().__init__(secret_key)
        self.store = store
        self.destinations = Destinations(partner or NoPartner(), livemode="_live_" in secret_key)
        self._changes = Changes(store, self.destinations.deliver)
        self._limit = reads_per_second
        self._recent: deque[float] = deque()

    def answer(self, request: Received) -> Reply:
        """Return the reply to a request, after recording both."""
        target = urlsplit(request.path)
        with self._lock:
            fault = self._faults.strike(replace(request, path=target.path))
            usual = None
            if fault is None or fault.applies:
                usual = self._usual(request, target.path, target.query)
            reply = usual if fault is None else fault.reply(usual)
            assert reply is not None
            self._requests.append(record(request, reply, injected=fault is not None))
        return reply

    def refuse(self, request: Received, refusal: Refusal) -> Reply:
        """Return the reply to a request whose body is not read, after recording both."""
        reply = _error(refusal.status, str(refusal))
        with self._lock:
            self._requests.append(record(request, reply, injected=False))
        return reply

    def _usual(self, request: Received, path: str, query: str) -> Reply:
        scheme, _, key = (request.header("Authorization") or "").partition(" ")
        if scheme != "Bearer" or not key:
            return _error(401, "You did not provide an API key.")
        if not hmac.compare_digest(key.encode(), self.key.encode()):
            return _error(401, "Invalid API Key provided.")
        if self._exceeds_limit(request.at):
            return _error(429, "Request rate limit exceeded.", code="rate_limit")
        account = request.header("Stripe-Account")
        if account is not None and not self.store.is_connected(account):
            message = f"The provided key does not have access to account '{account}'."
            return _error(403, message, code="account_invalid")
        if request.method == "GET" and path == EVENTS_PATH:
            return self._list(query, account)
        if request.method == "GET" and path.startswith(f"{EVENTS_PATH}/"):
            return self._event(path.removeprefix(f"{EVENTS_PATH}/"), account)
        if request.method == "GET" and path == listing.ACCOUNTS_URL:
            return self._list_accounts(query)
        if path == destinations.PATH or path.startswith(f"{destinations.PATH}/"):
            return self.destinations.answer(request, path, query)
        changed = self._changes.answer(request, path)
        if changed is not None:
            return changed
        for prefix, kind in OBJECT_PATHS.items():
            if request.method == "GET" and path.startswith(prefix):
                return self._object(
                    kind, path.removeprefix(prefix), request.header("Stripe-Version"), account
                )
        return _error(404, f"Unrecognized request URL ({request.method}: {path}).")

    def _exceeds_limit(self, now: float) -> bool:
        if self._limit is None:
            return False
        while self._recent and self._recent[0] <= now - 1:
            self._recent.popleft()
        if len(self._recent) >= self._limit:
            return True
        self._recent.append(now)
        return False

    def _list(self, query: str, account: str | None) -> Reply:
        try:
            return json_reply(200, listing.page(self.store.events(account), listing.parse(query)))
        except listing.BadParameter as bad:
            return _error(400, str(bad), code=bad.code, param=bad.parameter)

    def _event(self, event_id: str, account: str | None) -> Reply:
        found = next((event for event in self.store.events(account) if event["id"] == event_id), None)
        if found is None:
            return _error(404, f"No such event: '{event_id}'", code="resource_missing", param="id")
        return json_reply(200, found)

    def _list_accounts(self, query: str) -> Reply:
        accounts = [{"id": each, "object": "account"} for each in self.store.accounts()]
        try:
            return json_reply(200, listing.page_of_accounts(accounts, listing.parse(query)))
        except listing.BadParameter as bad:
            return _error(400, str(bad), code=bad.code, param=bad.parameter)

    def _object(self, kind: str, object_id: str, api_version: str | None, account: str | None) -> Reply:
        found = self.store.object(kind, object_id, api_version=api_version, account=account)
        if found is None:
            message = f"No such {kind}: '{object_id}'"
            return _error(404, message, code="resource_missing", param="id")
        return json_reply(200, found)


def _error(status: int, message: str, *, code: str | None = None, param: str | None = None) -> Reply:
    error: dict[str, Any] = {
        "message": message,
        "type": "invalid_request_error",
        "code": code,
        "param": param,
    }
    return json_reply(status, {"error": {name: value for name, value in error.items() if value is not None}})
