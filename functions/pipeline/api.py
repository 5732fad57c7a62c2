"""The Huntaze API: one POST per event, and what each answer means.

=========================  =====================================================
2xx                        applied
409                        applied before, which is success too
401, 403                   :class:`AuthenticationRefusedError`
408, 425, 429, 5xx         :class:`TransientError` (429 and 503 with Retry-After)
no answer                  :class:`TransientError`
everything else            :class:`PermanentError`
=========================  =====================================================
"""

from __future__ import annotations

import json
import re
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final

import httpx

from functions import __version__
from functions.pipeline.envelope import StripeEvent
from functions.pipeline.errors import AuthenticationRefusedError, EventError, PermanentError, TransientError
from functions.pipeline.route import Request

# Seconds. Connecting takes a round trip or three; an answer of the API is expected within its own limit of
# 10 s; a body of 2 KB is written at once; and the only connection is never taken when a call begins.
CONNECT_SECONDS: Final = 3.0
READ_SECONDS: Final = 10.0
WRITE_SECONDS: Final = 2.0
TIMEOUT: Final = httpx.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS, write=WRITE_SECONDS, pool=1.0)
# An execution environment handles one event at a time. Connections are given up before a load balancer
# (60 s on AWS by default) does, so that a call rarely meets one that is just being closed.
LIMITS: Final = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=50.0)

# An answer is read only so that its connection can be used again and an operator sees how it began.
ANSWER_LIMIT_BYTES: Final = 16 * 1024
ANSWER_LIMIT_SECONDS: Final = 2.0
ANSWER_KEPT_BYTES: Final = 1024
# The longest that an attempt takes, but for an API that sends its head byte by byte: that one meets the
# function's time-out.
ATTEMPT_SECONDS: Final = CONNECT_SECONDS + WRITE_SECONDS + READ_SECONDS + ANSWER_LIMIT_SECONDS

CONFLICT: Final = 409
AUTHENTICATION_REFUSED: Final = frozenset({401, 403})
TRANSIENT: Final = frozenset({408, 425, 429})
HONOURS_RETRY_AFTER: Final = frozenset({429, 503})
# The API's own judgement of an event: it knew the idempotency key, and has not applied it. Any other refusal
# may come of what stands before the API, which knows nothing of an earlier call.
JUDGED: Final = 422
# The request was not sent.
NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


def build_client(transport: httpx.BaseTransport | None = None) -> httpx.Client:
    """Make the HTTP client; tests pass a transport of their own.

    Proxies and certificate files named by the machine's environment are not used: only the function's
    settings decide where the API key goes.
    """
    return httpx.Client(
        # What an answer would have us remember is of no use to another event.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        transport=transport or httpx.HTTPTransport(limits=LIMITS, trust_env=False),
        timeout=TIMEOUT,
        trust_env=False,
        headers={
            "User-Agent": f"huntaze-stripe-eventbridge/{__version__}",
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
        },
    )


@cache
def shared_client() -> httpx.Client:
    """Return the one client that every invocation of the function shares.

    Not made on import: reading the certificate authorities is a tenth of what loading a handler costs.
    """
    return build_client()


@dataclass(frozen=True, slots=True)
class HuntazeApi:
    """The API at ``url``, called with ``key``."""

    url: str
    key: str = field(repr=False)
    client: httpx.Client = field(default_factory=shared_client, repr=False)

    def post(self, request: Request, event: StripeEvent, idempotency_key: str) -> None:
        """Apply an event; return when the API has applied it, now or before.

        Raises
        ------
        AuthenticationRefusedError, PermanentError, TransientError
            By the table at the top of this module.
        """
        try:
            with self.client.stream(
                "POST",
                f"{self.url}{request.path}",
                content=json.dumps(dict(request.body), separators=(",", ":")).encode(),
                headers={
                    "Authorization": f"Bearer {self.key}",
                    "Idempotency-Key": idempotency_key,
                    "X-Stripe-Event-Type": event.type,
                    "X-Stripe-Event-Created": str(event.created),
                    "X-Stripe-Api-Version": event.api_version,
                },
            ) as response:
                answer = _beginning(response)
        except httpx.TransportError as error:
            reason = f"the API could not be reached ({type(error).__name__})"
            unknown = not isinstance(error, NOT_SENT)
            raise TransientError(reason, path=request.path, unknown_end=unknown) from error
        if not response.is_success and response.status_code != CONFLICT:
            raise _failure(response, request.path, answer)


def _failure(response: httpx.Response, path: str, answer: str) -> EventError:
    status = response.status_code
    if status in AUTHENTICATION_REFUSED:
        return AuthenticationRefusedError(
            f"the API answered {status}; check HUNTAZE_API_KEY in the secret", status=status, path=path
        )
    if status in TRANSIENT or response.is_server_error:
        wait = retry_after(response.headers.get("Retry-After")) if status in HONOURS_RETRY_AFTER else None
        return TransientError(
            f"the API answered {status}",
            status=status,
            path=path,
            retry_after=wait,
            unknown_end=response.is_server_error,
        )
    return PermanentError(f"the API answered {status}", status=status, path=path, answer=answer)


def retry_after(header: str | None, now: datetime | None = None) -> float | None:
    """Read a Retry-After header: the wait in seconds, or None where there is none that can be read.

    Both forms of RFC 9110, section 10.2.3: a number of seconds, or an HTTP date.
    """
    if header is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", header.strip()):
        return float(header)
    try:
        date = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    # "-0000" instead of a zone makes a naive time; HTTP dates are in UTC.
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (date - (now or datetime.now(UTC))).total_seconds())


def _beginning(response: httpx.Response) -> str:
    """Read an answer as far as it is short and quick; the status counts even where the rest breaks off."""
    read = bytearray()
    deadline = time.monotonic() + ANSWER_LIMIT_SECONDS
    # httpx takes the limit from here for each piece of the body; its head had the whole of TIMEOUT.
    response.request.extensions["timeout"]["read"] = ANSWER_LIMIT_SECONDS
    with suppress(httpx.TransportError, httpx.StreamError):
        for chunk in response.iter_raw():
            read += chunk
            if len(read) > ANSWER_LIMIT_BYTES or time.monotonic() > deadline:
                break
    return bytes(read[:ANSWER_KEPT_BYTES]).decode("utf-8", errors="replace")
