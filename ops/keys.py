"""Whether a key is accepted by whom it is for: one harmless call each, before a key is stored and afterwards.

Nothing here returns a value or what a service said about one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import httpx

from functions.pipeline.api import AUTHENTICATION_REFUSED, READ_SECONDS
from functions.shared import names
from functions.shared.errors import EventError
from functions.stripe_api.client import StripeApi, with_key
from infra.settings import Settings
from ops import stripe_rights
from ops.api import probe

# Any path of the contract: the API checks the key before it reads the path's body.
PATH: Final = "/api/billing/customer-updated"
# By the contract a permanent refusal: it knew the key, and applied nothing (docs/huntaze-api.md, "Answers").
REJECTED: Final = frozenset({400, 409, 413, 415, 422})
UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403
NOT_FOUND: Final = 404
# PostgreSQL, "Client Authentication Problems": what the server says of a wrong user, password or database.
# libpq gives no code for a connection that was refused.
LOGIN_REFUSED: Final = ("password authentication failed", "does not exist")


class State(StrEnum):
    """What a check found out.

    ACCEPTED, REFUSED: the service answered. UNREACHABLE: it did not answer; the key may be right or wrong.
    UNCHECKED: nobody asked it. EMPTY: the secret has no value and needs none. MISSING: the secret does not
    exist.
    """

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    UNCHECKED = "unchecked"
    EMPTY = "empty"
    MISSING = "missing"


@dataclass(frozen=True)
class KeyCheck:
    """Whether the value of one of `names.SECRET_KEYS` is accepted.

    Parameters
    ----------
    detail
        What was asked and answered, and the next step where there is one; never the value.
    """

    key: str
    state: State
    detail: str

    @property
    def good(self) -> bool:
        """Whether the functions can work with it."""
        return self.state in (State.ACCEPTED, State.UNCHECKED, State.EMPTY)


def check(key: str, value: str, settings: Settings, *, ask: bool = True) -> KeyCheck:
    """Check the value of one of `names.SECRET_KEYS` against the environment that it is for.

    Parameters
    ----------
    ask
        Whether to ask its service, which may not be reachable from here.
    """
    if not value:
        return _empty(key, settings)
    if key != names.DATABASE_URL and not _fits_a_header(value):
        return KeyCheck(key, State.REFUSED, "it contains a space, a line break or a non-ASCII character")
    if not ask:
        return KeyCheck(key, State.UNCHECKED, "its service was not asked")
    checks: Mapping[str, Callable[[], KeyCheck]] = {
        names.HUNTAZE_API_KEY: lambda: huntaze_api(value, str(settings.huntaze_api_url)),
        names.STRIPE_SECRET_KEY: lambda: stripe(value, settings),
        names.DATABASE_URL: lambda: database(value),
    }
    return checks[key]()


def needed(key: str, settings: Settings) -> bool:
    """Whether an environment does not work without a value."""
    return key == names.HUNTAZE_API_KEY or (key == names.STRIPE_SECRET_KEY and settings.reads_stripe)


def huntaze_api(value: str, url: str) -> KeyCheck:
    """Send an event without the id of its object, which the API must reject after it has checked the key.

    Source: docs/huntaze-api.md; `api check` verifies both promises.
    """
    key = names.HUNTAZE_API_KEY
    (sample,) = probe.samples([PATH])
    request = sample.fresh().invalid
    headers = {**request.headers, "Authorization": f"Bearer {value}"}
    try:
        answer = httpx.post(
            url.rstrip("/") + request.path,
            content=json.dumps(request.body),
            headers=headers,
            timeout=READ_SECONDS,
            trust_env=False,
        )
    except httpx.HTTPError as error:
        return KeyCheck(
            key, State.UNREACHABLE, f"{url} did not answer ({type(error).__name__}): check huntaze_api_url"
        )
    status = answer.status_code
    if status in AUTHENTICATION_REFUSED:
        return KeyCheck(key, State.REFUSED, f"{url} answered {status}: use a key of this API")
    if status in REJECTED:
        return KeyCheck(key, State.ACCEPTED, f"{url} knows it")
    return KeyCheck(
        key, State.UNREACHABLE, f"{url} answered {status}, which says nothing of the key: check the API"
    )


def stripe(value: str, settings: Settings) -> KeyCheck:
    """Ask Stripe for what the pipeline reads: each right of a restricted key, and the mode of an event.

    Nothing is taken from an answer but an event's mode.
    """
    key, livemode = names.STRIPE_SECRET_KEY, settings.livemode
    rights = stripe_rights.needed(settings)
    try:
        api = with_key(value, livemode=livemode)
    except EventError as error:
        return KeyCheck(key, State.REFUSED, error.reason)
    missing = []
    for right, path in rights.items():
        status, answer = _ask_stripe(api, path)
        if status is None:
            return KeyCheck(key, State.UNREACHABLE, f"{api.url} did not answer: check the network")
        if status == UNAUTHORIZED:
            return KeyCheck(key, State.REFUSED, f"{api.url} answered 401: use a key that exists")
        if status == FORBIDDEN:
            missing.append(right)
        elif status not in (httpx.codes.OK, NOT_FOUND):
            return KeyCheck(key, State.UNREACHABLE, f"{api.url} answered {status}: try again")
        if _modes(answer) - {livemode}:
            mode = "test" if livemode else "live"
            return KeyCheck(key, State.REFUSED, f"its events are {mode} events, but livemode = {livemode}")
    if missing:
        return KeyCheck(
            key,
            State.REFUSED,
            f"it may not read {', '.join(missing)}: let the restricted key read them",
        )
    return KeyCheck(key, State.ACCEPTED, f"{api.url} knows it; it may read {', '.join(rights)}")


def database(value: str) -> KeyCheck:
    """Connect to the ledger's PostgreSQL as the audit function does, and select 1."""
    import psycopg

    from functions.ledger.connection import connect
    from ops.ledger import CONNECT_SECONDS

    key = names.DATABASE_URL
    try:
        with connect(value, connect_timeout=CONNECT_SECONDS, application_name="huntaze-stripe") as connection:
            connection.execute("SELECT 1")
    except EventError as error:
        return KeyCheck(key, State.REFUSED, error.reason)
    except psycopg.OperationalError as error:
        # Without its text, which quotes names of the connection string.
        if any(sign in str(error) for sign in LOGIN_REFUSED):
            return KeyCheck(key, State.REFUSED, "the server refused user, password or database")
        return KeyCheck(
            key,
            State.UNREACHABLE,
            "the server did not answer, or lets nobody in from here: check host, port and network",
        )
    except (psycopg.Error, UnicodeError):
        return KeyCheck(
            key, State.REFUSED, "it is not a PostgreSQL URL: use postgresql://USER:PASSWORD@HOST/NAME"
        )
    return KeyCheck(key, State.ACCEPTED, "the server accepted the login and answered SELECT 1")


def _empty(key: str, settings: Settings) -> KeyCheck:
    if needed(key, settings):
        return KeyCheck(key, State.REFUSED, "it is empty, but the environment needs it")
    return KeyCheck(key, State.EMPTY, "no value; none is needed")


def _fits_a_header(value: str) -> bool:
    return value.isascii() and value.isprintable() and " " not in value


def _ask_stripe(api: StripeApi, path: str) -> tuple[int | None, Any]:
    """Return the status and the document of an answer; no status if there was no answer."""
    import stripe as library

    options = {"limit": 1} if path in stripe_rights.LISTS else {}
    try:
        answer = api.library.raw_request("get", path, max_network_retries=1, **options)
    except library.StripeError as error:
        return error.http_status, None
    try:
        return answer.code, json.loads(answer.body)
    except ValueError:
        return None, None


def _modes(answer: Any) -> set[bool]:
    """Return the modes of the events of a list."""
    events = answer.get("data") if isinstance(answer, dict) else None
    found = [each.get("livemode") for each in events or () if isinstance(each, dict)]
    return {mode for mode in found if isinstance(mode, bool)}
