"""How the stripe library reaches Stripe, and what its errors mean.

This module imports stripe: import it only where it is needed.
"""

from __future__ import annotations

import atexit
import json
import logging
from collections.abc import Mapping
from typing import Any, Final, NoReturn

import httpx
import stripe

from functions.shared import names, tls
from functions.shared.errors import ConfigurationError, EventError, PermanentError, TransientError
from functions.shared.retry import retry_after

# Seconds. A read of one object takes a tenth of a second; a page of a hundred events one or two.
TIMEOUT: Final = httpx.Timeout(connect=3.0, read=8.0, write=3.0, pool=1.0)
LIMITS: Final = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=50.0)

_REFUSED: Final = frozenset({401, 403})
_TRANSIENT: Final = frozenset({408, 409, 425, 429})

# At INFO the library logs Stripe's error messages, which can contain what a customer typed.
logging.getLogger("stripe").setLevel(logging.WARNING)
# The telemetry header would send Stripe details of this machine and its earlier requests.
stripe.enable_telemetry = False


class Transport(stripe.HTTPClient):
    """httpx, which the functions use anyway, as an HTTP client of the stripe library.

    Proxies and certificate files of the machine's environment are not used, as for the Huntaze API.
    """

    name = "httpx"

    def __init__(self) -> None:
        super().__init__()
        self._http = httpx.Client(verify=tls.context(), timeout=TIMEOUT, limits=LIMITS, trust_env=False)

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[Any, int, Mapping[str, str]]:
        """Send a request; the library reads status and body.

        Raises
        ------
        stripe.APIConnectionError
            Stripe did not answer. The cause is left out: its text contains the URL with its query.
        """
        try:
            response = self._http.request(method, url, headers=headers, content=post_data)
        except httpx.TransportError as error:
            raise _no_answer(type(error).__name__) from None
        return response.content, response.status_code, response.headers

    def request_stream(self, *_arguments: Any, **_options: Any) -> NoReturn:
        """Refuse: no request here reads a stream."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the connection."""
        self._http.close()


def _no_answer(reason: str) -> stripe.APIConnectionError:
    make: Any = stripe.APIConnectionError  # the library leaves its parameters untyped
    error: stripe.APIConnectionError = make(reason, should_retry=True)
    return error


def client(key: str, url: str) -> stripe.StripeClient:
    """Create a client of the API at `url`. Each call sets its own number of retries."""
    transport = Transport()
    # A client lives as long as the process, and the library never closes one.
    atexit.register(transport.close)
    return stripe.StripeClient(key, base_addresses={"api": url}, http_client=transport)


def failure(error: stripe.StripeError, path: str) -> EventError:
    """Classify an error of the library by the table in `functions.stripe_api.client`.

    The text of the answer is left out.
    """
    status = error.http_status
    if status is None:
        name = error.user_message if isinstance(error, stripe.APIConnectionError) else type(error).__name__
        return TransientError(f"Stripe could not be reached ({name})", path=path)
    if status in _REFUSED:
        return ConfigurationError(
            f"Stripe answered {status}; check {names.STRIPE_SECRET_KEY} in the secret, "
            f"and that the key may read {path}",
            status=status,
            path=path,
        )
    if status in _TRANSIENT or not 400 <= status <= 499:
        wait = retry_after(dict(error.headers or {}).get("retry-after"))
        return TransientError(f"Stripe answered {status}", status=status, path=path, retry_after=wait)
    return PermanentError(f"Stripe answered {status}", status=status, path=path, answer=_codes(error))


def _codes(error: stripe.StripeError) -> str:
    """Keep the parts of an answer that cannot contain customer data: Stripe's codes for programs."""
    document = error.json_body if isinstance(error.json_body, dict) else {}
    details = document.get("error")
    details = details if isinstance(details, dict) else {}
    return json.dumps(
        {name: details[name] for name in ("type", "code", "param") if isinstance(details.get(name), str)}
    )
