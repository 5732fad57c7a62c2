"""Stripe's API, read only: the current state of an object, and the list of events.

The stripe library is imported with the first call, never by importing this module. Results are plain dicts:
building Stripe's own objects costs as much as the call.

=======================  ======================================================================
401, 403                 `ConfigurationError`
408, 409, 425, 429, 5xx  `TransientError` (with Retry-After)
no answer, invalid JSON  `TransientError`
other 4xx                `PermanentError`, such as 404 for an unknown id
=======================  ======================================================================
"""

from __future__ import annotations

import json
import os
import random
import re
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from functions.shared import names, settings
from functions.shared.errors import (
    ConfigurationError,
    EventError,
    InvalidEventError,
    TransientError,
)

if TYPE_CHECKING:
    import stripe

# Only the embedded run and tests set it.
STRIPE_API_URL: Final = "STRIPE_API_URL"
DEFAULT_URL: Final = "https://api.stripe.com"

CUSTOMER: Final = "customer"
SUBSCRIPTION: Final = "subscription"
# Where an object is retrieved, by its type; each type that the routing table has.
OBJECT_PATHS: Final[Mapping[str, str]] = {
    CUSTOMER: "/v1/customers/",
    SUBSCRIPTION: "/v1/subscriptions/",
    "charge": "/v1/charges/",
    "checkout.session": "/v1/checkout/sessions/",
    "invoice": "/v1/invoices/",
    "payment_intent": "/v1/payment_intents/",
}
EVENTS_PATH: Final = "/v1/events"
ACCOUNTS_PATH: Final = "/v1/accounts"

# Stripe, "List all events": events of the last 30 days, 100 on a page, by at most 20 types.
EVENTS_KEPT_SECONDS: Final = names.STRIPE_LIST_DAYS * 24 * 3600
PAGE_SIZE: Final = 100
# Unix seconds of the year 10000, which the time of an envelope cannot express.
END_OF_TIME: Final = 253_402_300_800
TYPES_LIMIT: Final = 20
# Events in memory at once, at a few KB each; a time range with more is read in halves.
RANGE_LIMIT: Final = 1000

# A handler retries by itself, and knows how much time is left.
RETRIEVE_RETRIES: Final = 0
PAGE_RETRIES: Final = 1
# A list of many pages meets the rate limit sooner or later: attempts per page, with waits between them.
PAGE_ATTEMPTS: Final = 5
BACKOFF_SECONDS: Final = 0.5
LONGEST_WAIT_SECONDS: Final = 10.0

_KEY: Final = re.compile(r"[\x21-\x7e]+")
# sk_live_…, rk_test_… (Stripe, "API keys").
_MODE: Final = "_{}_"
_PREFIX_LENGTH: Final = len("sk_live_")


@dataclass(frozen=True, slots=True)
class StripeApi:
    """Stripe's API at `url`, read with the secret `key`.

    Parameters
    ----------
    account
        The connected account whose events are listed; None for the key's own.
    """

    key: str = field(repr=False)
    url: str = DEFAULT_URL
    account: str | None = None

    def retrieve(
        self, object_type: str, object_id: str, *, api_version: str, account: str | None = None
    ) -> dict[str, Any]:
        """Return an object's current state, rendered in `api_version`.

        A deleted customer is an object with `deleted: true`; a canceled subscription is a full object.

        Parameters
        ----------
        object_type
            One of `OBJECT_PATHS`.
        account
            The connected account that the object belongs to, for a Connect event.

        Raises
        ------
        ConfigurationError, PermanentError, TransientError
            By the table at the top of this module.
        InvalidEventError
            The id cannot be one of Stripe's.
        """
        if not names.STRIPE_ID.fullmatch(object_id):
            raise InvalidEventError("detail.data.object.id", "must be an id")
        options: dict[str, Any] = {"stripe_version": api_version, "max_network_retries": RETRIEVE_RETRIES}
        if account is not None:
            options["stripe_account"] = account
        path = OBJECT_PATHS[object_type]
        return self._get(path + object_id, shown_path=path + "{id}", **options)

    def event(self, event_id: str) -> dict[str, Any]:
        """Return an event, as Stripe stores it; see `events`.

        Raises
        ------
        ConfigurationError, PermanentError, TransientError
            By the table at the top of this module; `PermanentError` also if Stripe made the event more than
            30 days ago.
        """
        of_account = {} if self.account is None else {"stripe_account": self.account}
        path = f"{EVENTS_PATH}/"
        return self._get(
            path + event_id, shown_path=path + "{id}", max_network_retries=PAGE_RETRIES, **of_account
        )

    def events(self, since: int, until: int, types: Collection[str] = ()) -> Iterator[dict[str, Any]]:
        """Iterate over the events created from `since` to `until`, both included, oldest first.

        Each event is rendered as Stripe stores it: in the account's API version when it was created. One of a
        connected account names the account, as in its delivery.

        Parameters
        ----------
        since, until
            Unix seconds. Stripe lists the last 30 days; older events are silently left out.
        types
            Only these event types; all if empty.

        Raises
        ------
        ConfigurationError, PermanentError, TransientError
            By the table at the top of this module, after several attempts at a page that failed temporarily.
        """
        found: list[dict[str, Any]] = []
        for page in self._pages(since, until, types):
            found += page
            if len(found) > RANGE_LIMIT and since < until:
                middle = (since + until) // 2
                # They are listed again in the halves; each level would keep its own until the last event.
                found.clear()
                yield from self.events(since, middle, types)
                yield from self.events(middle + 1, until, types)
                return
        # Stripe lists the newest first.
        yield from reversed(found)

    def accounts(self, after: str | None = None) -> Iterator[str]:
        """Iterate over the ids of the connected accounts, in Stripe's order, which is newest first.

        Parameters
        ----------
        after
            Begin behind this account.

        Raises
        ------
        ConfigurationError, PermanentError, TransientError
            By the table at the top of this module; `PermanentError` also if `after` is not an account.
        """
        cursor = {} if after is None else {"starting_after": after}
        while True:
            answer = self._page(ACCOUNTS_PATH, {"limit": PAGE_SIZE, **cursor})
            listed = answer.get("data")
            if not isinstance(listed, list) or not all(_is_account(each) for each in listed):
                raise TransientError("Stripe's list of accounts has an unexpected form", path=ACCOUNTS_PATH)
            yield from (each["id"] for each in listed)
            if not answer.get("has_more") or not listed or cursor.get("starting_after") == listed[-1]["id"]:
                return
            cursor = {"starting_after": listed[-1]["id"]}

    def _pages(self, since: int, until: int, types: Collection[str]) -> Iterator[list[dict[str, Any]]]:
        parameters: dict[str, Any] = {"limit": PAGE_SIZE, "created": {"gte": since, "lte": until}}
        if 0 < len(types) <= TYPES_LIMIT:
            parameters["types"] = sorted(types)
        cursor: dict[str, str] = {}
        passed: set[str] = set()
        while True:
            answer = self._page(EVENTS_PATH, {**parameters, **cursor})
            events = answer.get("data")
            if not isinstance(events, list) or not all(_is_event(event) for event in events):
                raise TransientError("Stripe's list of events has an unexpected form", path=EVENTS_PATH)
            yield [
                event if self.account is None else {**event, "account": self.account}
                for event in events
                if not types or event["type"] in types
            ]
            if not answer.get("has_more") or not events:
                return
            last = events[-1]["id"]
            if last in passed:
                raise TransientError("Stripe's list of events repeats a page", path=EVENTS_PATH)
            passed.add(last)
            cursor = {"starting_after": last}

    @property
    def library(self) -> stripe.StripeClient:
        """The stripe library's client; all that have the same key and address share its connections."""
        return _client(self.key, self.url)

    def _page(self, path: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        of_account = {} if self.account is None else {"stripe_account": self.account}
        options: dict[str, Any] = {"max_network_retries": PAGE_RETRIES, **of_account, **parameters}
        for attempt in range(1, PAGE_ATTEMPTS):
            try:
                return self._get(path, **options)
            except TransientError as error:
                # Full jitter, so that several readers do not retry together.
                wait = random.uniform(0, BACKOFF_SECONDS * 2**attempt)  # noqa: S311 (not for secrecy)
                time.sleep(min(max(wait, error.retry_after or 0), LONGEST_WAIT_SECONDS))
        return self._get(path, **options)

    def _get(self, path: str, shown_path: str | None = None, **options: Any) -> dict[str, Any]:
        """Call the API; `shown_path` replaces the path, which may hold an id, in errors."""
        client = self.library
        import stripe

        from functions.stripe_api.transport import failure

        fault: EventError | None = None
        try:
            answer = client.raw_request("get", path, **options)
            document = json.loads(answer.body)
        except stripe.StripeError as error:
            fault = failure(error, shown_path or path)
        except (ValueError, RecursionError):
            fault = TransientError("Stripe's answer is not valid JSON", path=shown_path or path)
        # Raised outside of the except block, without a cause: the library's errors hold the whole answer.
        if fault is not None:
            raise fault
        if not isinstance(document, dict):
            raise TransientError("Stripe's answer is not a JSON object", path=shown_path or path)
        return document


def retrieve(
    object_type: str, object_id: str, *, api_version: str, account: str | None = None
) -> dict[str, Any]:
    """Retrieve an object with the function's own key; see `StripeApi.retrieve`."""
    return from_settings().retrieve(object_type, object_id, api_version=api_version, account=account)


def from_settings() -> StripeApi:
    """Return the API with the key of the environment or the secret.

    Raises
    ------
    ConfigurationError
        There is no key, its mode is not the environment's, or STRIPE_SECRET_KEY or STRIPE_API_URL is invalid.
        The message does not contain the value.
    TransientError
        Secrets Manager did not answer.
    """
    key = settings.secret(names.STRIPE_SECRET_KEY)
    if key is None:
        raise ConfigurationError(
            f"{names.STRIPE_SECRET_KEY} is not set, and not in the secret; export it and deploy again"
        )
    return with_key(key, livemode=settings.livemode())


def with_key(key: str, *, livemode: bool) -> StripeApi:
    """Return the API with a key.

    Raises
    ------
    ConfigurationError
        The key's mode is not the environment's, or the key or STRIPE_API_URL is invalid.
    """
    if not _KEY.fullmatch(key):
        raise ConfigurationError(
            f"{names.STRIPE_SECRET_KEY} contains a space, a line break or a non-ASCII character"
        )
    wanted, other = ("live", "test") if livemode else ("test", "live")
    if _MODE.format(other) in key[:_PREFIX_LENGTH]:
        raise ConfigurationError(
            f"{names.STRIPE_SECRET_KEY} is a {other} key, but the environment handles {wanted} events: "
            f"set a {wanted} key"
        )
    return StripeApi(key, _url())


def _url() -> str:
    value = os.environ.get(STRIPE_API_URL, "").strip().rstrip("/") or DEFAULT_URL
    try:
        parts = urlsplit(value)
        valid = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in names.LOOPBACK_HOSTS)
        valid = valid and bool(parts.hostname) and not (parts.path or parts.query or parts.username)
        valid = valid and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid:
        raise ConfigurationError(f"{STRIPE_API_URL} must be unset, https, or http on loopback")
    return value


@cache
def _client(key: str, url: str) -> stripe.StripeClient:
    from functions.stripe_api.transport import client

    return client(key, url)


def _is_account(value: object) -> bool:
    account_id = value.get("id") if isinstance(value, dict) else None
    return isinstance(account_id, str) and names.ACCOUNT_ID.fullmatch(account_id) is not None


def _is_event(value: object) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("id"), str)
        and isinstance(value.get("type"), str)
        and isinstance(value.get("created"), int)
        and 0 <= value["created"] < END_OF_TIME
    )
