"""The messages of a reference API: a request as received, the reply to it, and the record of both."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

# The recorded status of a request that got no response: its connection was reset.
NO_ANSWER: Final = 0


@dataclass(frozen=True)
class Received:
    """One HTTP request; `at` is Unix seconds. `header` looks a header up."""

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
    """A response, and when it is sent: `after` an event, then after a delay in seconds."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    header_delay: float = 0.0
    body_delay: float = 0.0
    reset: bool = False
    after: threading.Event | None = None


@dataclass(frozen=True)
class Recorded:
    """A request that the API received, also a refused one.

    Parameters
    ----------
    headers
        As sent, without Authorization.
    body
        The JSON of the body, or its text if it is not JSON.
    status
        The status of the response; NO_ANSWER for a reset connection.
    received_at
        Unix seconds.
    applied
        Whether this request changed the API's state.
    injected
        Whether a fault changed the response.
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


class Refusal(Exception):  # noqa: N818 - a response of the API, not a failure of this program
    """The API's error response to a request that it does not apply.

    Parameters
    ----------
    status
        HTTP status.
    code
        The error code, for programs.
    message
        A sentence for people, which never contains a value of the body.
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
