"""Check one request against the contract, whatever came before it."""

from __future__ import annotations

import hmac
import json
import re
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from ops.reference.huntaze.contract import CONTRACT, EVENT_REJECTED, REFUSED_CURRENCY
from ops.reference.server.messages import Received, Refusal

EVENT_KEY: Final = re.compile(r"evt_[A-Za-z0-9_]+(:[!-~]+)?")
API_VERSION: Final = re.compile(r"\d{4}-\d{2}-\d{2}([.;][!-~ ]*)?")
USER_AGENT: Final = re.compile(r"huntaze-stripe-eventbridge/\S+")
UNIX_SECONDS: Final = re.compile(r"\d{1,11}")
# The deepest body of the contract has two levels. Much deeper JSON could not be recorded.
MAXIMUM_NESTING: Final = 32


@dataclass(frozen=True)
class ApiCall:
    """A request whose key, path, headers and JSON keep the contract; `check_body` checks the rest."""

    path: str
    event_type: str
    created: int
    idempotency_key: str
    body: dict[str, Any]

    @property
    def object_id(self) -> str:
        """The id of the object that the call is about, by its first key."""
        return next(str(self.body[name]) for name in CONTRACT[self.path][self.event_type])


def read(request: Received, api_key: str) -> ApiCall:
    """Return the call that a request makes, without the checks of `check_body`.

    Raises
    ------
    Refusal
        At the first rule that the request breaks: key, path, method, media type, headers, JSON.
    """
    _authenticate(request, api_key)
    if request.path not in CONTRACT:
        raise Refusal(404, "not_found", f"{request.path[:200]} does not exist")
    if request.method != "POST":
        raise Refusal(405, "method_not_allowed", f"{request.path} accepts POST, not {request.method}")
    media_type = (request.header("Content-Type") or "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Refusal(415, "unsupported_media_type", "Content-Type must be application/json")
    event_type = request.header("X-Stripe-Event-Type") or ""
    if event_type not in CONTRACT[request.path]:
        allowed = " or ".join(CONTRACT[request.path])
        raise Refusal(400, "invalid_header", f"X-Stripe-Event-Type must be {allowed} on this path")
    created = _header(request, "X-Stripe-Event-Created", UNIX_SECONDS, "an integer of Unix seconds")
    _header(request, "X-Stripe-Api-Version", API_VERSION, "a Stripe API version such as 2025-01-27.acacia")
    _header(request, "User-Agent", USER_AGENT, "huntaze-stripe-eventbridge/<version>")
    key = _header(request, "Idempotency-Key", EVENT_KEY, "a Stripe event id, evt_…")
    return ApiCall(request.path, event_type, int(created), key, _parse(request.content))


def check_body(call: ApiCall) -> None:
    """Check the body of a call.

    Raises
    ------
    Refusal
        A key is missing, unknown, or has a value of another type, or the API refuses the event.
    """
    expected = CONTRACT[call.path][call.event_type]
    problems = [f"{name} is missing" for name in expected if name not in call.body]
    problems += [f"{name} is unknown" for name in call.body if name not in expected]
    own_id = next(iter(expected))
    for name, kind in expected.items():
        if name == own_id and name in call.body and not kind.accepts(call.body[name]):
            problems.append(f"{name} must be {kind.name}")
        elif call.body.get(name) is not None and not kind.accepts(call.body[name]):
            problems.append(f"{name} must be {kind.name} or null")
    if call.body.get("currency") == REFUSED_CURRENCY:
        problems.append(f"no account has {REFUSED_CURRENCY}, a test currency")
    if problems:
        raise Refusal(422, EVENT_REJECTED, "; ".join(problems))


def readable(content: bytes) -> Any:
    """Return a body for the record: its JSON, or its text if it is not JSON."""
    try:
        return _shallow(json.loads(content))
    except (ValueError, RecursionError):
        return content.decode(errors="replace")


def _authenticate(request: Received, api_key: str) -> None:
    scheme, _, presented = (request.header("Authorization") or "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(presented.encode(), api_key.encode()):
        raise Refusal(401, "unauthenticated", "Authorization must be Bearer with the API key")


def _header(request: Received, name: str, pattern: re.Pattern[str], expected: str) -> str:
    value = request.header(name)
    if value is None or not pattern.fullmatch(value):
        problem = "is missing" if value is None else "is not valid"
        raise Refusal(400, "invalid_header", f"{name} {problem}: it must be {expected}")
    return value


def _parse(content: bytes) -> dict[str, Any]:
    try:
        body = _shallow(json.loads(content, object_pairs_hook=_unique, parse_constant=_no_constant))
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "invalid_json", f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise Refusal(422, EVENT_REJECTED, "the body must be an object")
    return body


def _shallow(value: Any, levels: int = MAXIMUM_NESTING) -> Any:
    if isinstance(value, dict | list):
        if not levels:
            raise ValueError("it is nested too deeply")
        for item in value.values() if isinstance(value, dict) else value:
            _shallow(item, levels - 1)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key occurs twice")
    return dict(pairs)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
