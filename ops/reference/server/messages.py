"""What passes through a reference API: a request as received, the reply to it, and its record."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# The recorded status of a request whose connection was reset instead of answered.
NO_ANSWER = 0


@dataclass(frozen=True)
class Received:
    """One HTTP request. Header names are as sent; look them up with `header`. `at` is Unix seconds."""

    method: str
    path: str
    headers: Mapping[str, str]
    content: bytes
    at: float

    def header(self, name: str) -> str | None:
        """Return a header's value, whatever the case of its name, or None."""
        return next((value for key, value in self.headers.items() if key.lower() == name.lower()), None)


@dataclass(frozen=True)
class Reply:
    """An answer, and how it is delivered: `after` something is done, then after a delay in seconds."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    header_delay: float = 0.0
    body_delay: float = 0.0
    reset: bool = False
    after: threading.Event | None = None


@dataclass(frozen=True)
class Recorded:
    """A request that the API received, refused ones included.

    Parameters
    ----------
    headers
        As sent, without Authorization.
    body
        The JSON that was sent; text that is no JSON stays text.
    status
        What was answered; NO_ANSWER for a reset connection.
    received_at
        Unix seconds.
    applied
        Whether this request changed the API's state.
    injected
        Whether a fault made the answer.
    """

    path: str
    idempotency_key: str | None
    headers: Mapping[str, str]
    body: Any
    status: int
    received_at: float
    applied: bool
    injected: bool

    def header(self, name: str) -> str | None:
        """Return a header's value, whatever the case of its name, or None."""
        return next((value for key, value in self.headers.items() if key.lower() == name.lower()), None)


class Refusal(Exception):  # noqa: N818 - an answer of the API, not a failure of this program
    """The API's answer to a request that it does not apply.

    Parameters
    ----------
    status
        HTTP status.
    code
        A word for programs.
    message
        A sentence for people. Never the value of a body's field.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def record(
    request: Received, reply: Reply, *, injected: bool, applied: bool = False, body: Any = None
) -> Recorded:
    """Return the record of a request and its reply, without the key."""
    return Recorded(
        path=request.path,
        idempotency_key=request.header("Idempotency-Key"),
        headers={name: value for name, value in request.headers.items() if name.lower() != "authorization"},
        body=body,
        status=reply.status,
        received_at=request.at,
        applied=applied,
        injected=injected,
    )


def json_reply(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Reply:
    """Return a reply whose body is JSON."""
    return Reply(status, json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})})
