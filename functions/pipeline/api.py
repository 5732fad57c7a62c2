"""The Huntaze API: one POST per event, and what each answer means (docs/huntaze-api.md).

=========================  =======================  =======================================================
answer                     first call               after an earlier call with unknown outcome
=========================  =======================  =======================================================
2xx                        applied                  applied
2xx with an HTML page      `ConfigurationError`     `ConfigurationError`
409 `already_applied`      applied                  applied
409 `request_in_progress`  `TransientError`         `TransientError`
409, codeless              applied                  `TransientError`; the outcome stays unknown
409, anything else         `TransientError`         `TransientError`; the outcome is unknown
`idempotency_key_reused`   applied, other body      applied, other body
401, 403                   `AuthenticationRefusedError`
408, 425, 429, 5xx         `TransientError` (429 and 503 with Retry-After)
no answer                  `TransientError`
`event_rejected`           `PermanentError`         `PermanentError`: not applied
everything else            `PermanentError`         `DoubtfulRefusalError`; the outcome stays unknown
=========================  =======================  =======================================================

The code is the member `code` of the answer's JSON object. It counts with any status from 400 to 499 that the
table does not list alone. Only an unambiguous answer settles an earlier call of unknown outcome: a proxy in
front of the API knows nothing of that call. An API that has no codes answers a codeless 409: no body, or a
JSON object without a code. Any other 409 may be a proxy's, such as Cloudflare's for a failed DNS lookup.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final

import httpx

from functions import __version__
from functions.pipeline.envelope import StripeEvent
from functions.pipeline.route import Request
from functions.shared import tls
from functions.shared.errors import (
    AuthenticationRefusedError,
    ConfigurationError,
    DoubtfulRefusalError,
    EventError,
    PermanentError,
    TransientError,
)
from functions.shared.retry import retry_after
from functions.shared.telemetry import logger

# Seconds. Connecting takes one round trip and TLS one or two more, each with this limit. The API's own limit
# for an answer is 10 s. A body of 2 KB is written at once, and the only connection is free when a call
# begins.
CONNECT_SECONDS: Final = 2.0
READ_SECONDS: Final = 10.0
WRITE_SECONDS: Final = 2.0
TIMEOUT: Final = httpx.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS, write=WRITE_SECONDS, pool=1.0)
# An execution environment handles one event at a time. Idle connections are closed before a load balancer
# closes them (after 60 s on AWS by default), so that a call rarely meets one that is being closed.
LIMITS: Final = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=50.0)

# An answer is read so that its connection can be reused and an operator sees how it began.
ANSWER_LIMIT_BYTES: Final = 16 * 1024
ANSWER_LIMIT_SECONDS: Final = 2.0
ANSWER_KEPT_BYTES: Final = 1024
# The longest that an attempt takes, except with a slow DNS resolver or an API that sends its headers byte by
# byte: those end with the function's time-out.
ATTEMPT_SECONDS: Final = 2 * CONNECT_SECONDS + WRITE_SECONDS + READ_SECONDS + ANSWER_LIMIT_SECONDS

CONFLICT: Final = 409
AUTHENTICATION_REFUSED: Final = frozenset({401, 403})
TRANSIENT: Final = frozenset({408, 425, 429})
HONOURS_RETRY_AFTER: Final = frozenset({429, 503})
# The API itself answers these 5xx, when it no longer processes the call. Gateways answer the others for an
# API that may still be processing it: 502 and 504, and Cloudflare's 520 to 527.
ANSWERED_BY_THE_API: Final = frozenset({500, 503})
# The API's codes; see docs/huntaze-api.md.
ALREADY_APPLIED: Final = "already_applied"
IN_PROGRESS: Final = "request_in_progress"
KEY_REUSED: Final = "idempotency_key_reused"
EVENT_REJECTED: Final = "event_rejected"
AFTER_UNKNOWN_OUTCOME: Final = "after an earlier call with unknown outcome"
# The request was not sent.
NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


def build_client(transport: httpx.BaseTransport | None = None) -> httpx.Client:
    """Create the HTTP client; tests pass a transport of their own.

    Proxies and certificate files of the machine's environment are not used: only the function's settings
    decide where the API key is sent.
    """
    return httpx.Client(
        # Cookies of one event's answer are of no use to another event.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        transport=transport or httpx.HTTPTransport(verify=tls.context(), limits=LIMITS, trust_env=False),
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
    """Return the client that all invocations of the function share.

    It is not created on import: reading the certificate authorities is a tenth of the cost of loading a
    handler.
    """
    return build_client()


@dataclass(frozen=True, slots=True)
class HuntazeApi:
    """The API at `url`, called with `key`."""

    url: str
    key: str = field(repr=False)
    client: httpx.Client = field(default_factory=shared_client, repr=False)

    def post(
        self,
        request: Request,
        event: StripeEvent,
        idempotency_key: str,
        *,
        doubt: bool = False,
        settles: bool = False,
    ) -> int:
        """Apply an event; return the answer's status if the API has applied it, now or before.

        Parameters
        ----------
        doubt
            Whether an earlier call with the same key had an unknown outcome.
        settles
            Whether an operator accepts the answer as the outcome of that call.

        Raises
        ------
        AuthenticationRefusedError, ConfigurationError, DoubtfulRefusalError, PermanentError, TransientError
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
                answer = _read_beginning(response)
        except httpx.TransportError as error:
            reason = f"the API could not be reached ({type(error).__name__})"
            sent = not isinstance(error, NOT_SENT)
            raise TransientError(reason, path=request.path, unknown_outcome=sent, in_flight=sent) from error
        if response.is_success and _is_web_page(answer):
            reason = f"the API answered {response.status_code} with a web page; check HUNTAZE_API_URL"
            raise ConfigurationError(
                reason, status=response.status_code, path=request.path, unknown_outcome=True
            )
        if not response.is_success:
            _classify(response, request.path, answer, doubt=doubt and not settles)
        return response.status_code


def _classify(response: httpx.Response, path: str, answer: bytes, *, doubt: bool) -> None:
    """Return if an answer other than 2xx means that the event is applied; otherwise raise what it means."""
    status, code = response.status_code, _error_code(answer)
    refusal = 400 <= status < 500 and status not in AUTHENTICATION_REFUSED | TRANSIENT
    if refusal and code in (ALREADY_APPLIED, KEY_REUSED):
        if code == KEY_REUSED:
            logger.warning("event applied before with another body", extra={"status": status, "path": path})
        return
    rejected = refusal and code == EVENT_REJECTED
    if status == CONFLICT and not rejected:
        if code == IN_PROGRESS:
            reason = "the API is still processing an earlier call for this event"
        elif not _is_codeless(answer):
            reason = f"the API answered {status} without a code of its contract"
        elif doubt:
            reason = f"the API answered {status} without a code {AFTER_UNKNOWN_OUTCOME}"
        else:
            return
        raise TransientError(reason, status=status, path=path, unknown_outcome=True, in_flight=True)
    raise _failure(response, path, answer, doubt=doubt and not rejected)


def _failure(response: httpx.Response, path: str, answer: bytes, *, doubt: bool) -> EventError:
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
            unknown_outcome=response.is_server_error,
            in_flight=response.is_server_error and status not in ANSWERED_BY_THE_API,
        )
    kept = answer[:ANSWER_KEPT_BYTES].decode("utf-8", errors="replace")
    if doubt:
        reason = f"the API answered {status} {AFTER_UNKNOWN_OUTCOME}"
        return DoubtfulRefusalError(reason, status=status, path=path, answer=kept)
    return PermanentError(f"the API answered {status}", status=status, path=path, answer=kept)


def _is_web_page(answer: bytes) -> bool:
    """Whether an answer comes from a web site, such as a single-page application, and not from the API."""
    return answer.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html"))


def _error_code(answer: bytes) -> str | None:
    """Read the code of an answer; None if it has none."""
    code = (_json_object(answer) or {}).get("code")
    return code if isinstance(code, str) else None


def _is_codeless(answer: bytes) -> bool:
    """Whether an API without codes can answer this: nothing, or a JSON object without a code in it."""
    document = _json_object(answer)
    if document is None:
        return not answer.strip()
    error = document.get("error")
    return "code" not in document and not (isinstance(error, dict) and "code" in error)


def _json_object(answer: bytes) -> dict[str, Any] | None:
    """Read the JSON object of an answer; None if it is anything else."""
    try:
        document = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _read_beginning(response: httpx.Response) -> bytes:
    """Read the beginning of an answer, within limits; if the rest breaks off, the status still counts."""
    read = bytearray()
    deadline = time.monotonic() + ANSWER_LIMIT_SECONDS
    limits = response.request.extensions["timeout"]
    with suppress(httpx.TransportError, httpx.StreamError):
        # httpx reads the limit from here for each chunk of the body; the headers had all of TIMEOUT.
        limits["read"] = ANSWER_LIMIT_SECONDS
        for chunk in response.iter_raw():
            read += chunk
            left = deadline - time.monotonic()
            if len(read) > ANSWER_LIMIT_BYTES or left <= 0:
                break
            limits["read"] = left
    return bytes(read)
