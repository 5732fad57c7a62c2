"""Lambda's Runtime API for one execution environment, on a loopback port of its own.

The thread that runs an invocation serves it: between invocations the environment is frozen, and nobody asks.
Source: Lambda developer guide, "Using the Lambda runtime API for custom runtimes".
"""

from __future__ import annotations

import http.client
import json
import re
import selectors
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ops.local import loopback
from ops.local.loopback import LOOPBACK

PREFIX: Final = "/2018-06-01/runtime"
NEXT: Final = f"{PREFIX}/invocation/next"
INIT_ERROR: Final = f"{PREFIX}/init/error"
ANSWER: Final = re.compile(rf"{PREFIX}/invocation/(?P<request_id>[^/]+)/(?P<kind>response|error)")
JSON_TYPE: Final = "application/json"
ERROR_TYPE: Final = "lambda-runtime-function-error-type"
ACCEPTED, FORBIDDEN, BAD_REQUEST = 202, 403, 400
# A client on this machine sends a request at once; one that does not was stopped in the middle.
REQUEST_SECONDS: Final = 5.0


@dataclass(frozen=True)
class Invocation:
    """What the runtime gets for one invocation; `deadline` is in Unix seconds."""

    request_id: str
    event: Any
    function_arn: str
    deadline: float
    trace_id: str | None = None
    client_context: str | None = None

    def headers(self) -> dict[str, str]:
        """Return the headers of the Runtime API's answer to `next`."""
        named = {
            "Content-Type": JSON_TYPE,
            "Lambda-Runtime-Aws-Request-Id": self.request_id,
            "Lambda-Runtime-Deadline-Ms": str(int(self.deadline * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": self.function_arn,
            "Lambda-Runtime-Trace-Id": self.trace_id,
            "Lambda-Runtime-Client-Context": self.client_context,
        }
        return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True)
class Answer:
    """What the runtime posted: the function's result, or its error with the error's type."""

    body: bytes
    content_type: str
    error_type: str | None = None

    def value(self) -> Any:
        """Return the posted JSON; a result of another type, which a handler returned as bytes, stays so."""
        return json.loads(self.body) if self.content_type == JSON_TYPE else self.body


@dataclass
class RuntimeApi:
    """The server: `ready` connections are served by `serve`, which never blocks on an idle client.

    Parameters
    ----------
    selector
        Reports which connections have a request; the caller waits on it.
    """

    selector: selectors.BaseSelector
    init_error: Answer | None = None
    answer: Answer | None = None
    _current: str | None = None
    _waiting: socket.socket | None = None
    _listener: socket.socket = field(init=False)
    _clients: set[socket.socket] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._listener = socket.create_server((LOOPBACK, 0))
        self.selector.register(self._listener, selectors.EVENT_READ, self._accept)

    @property
    def address(self) -> str:
        """Host and port, the value of AWS_LAMBDA_RUNTIME_API."""
        return f"{LOOPBACK}:{self._listener.getsockname()[1]}"

    @property
    def is_idle(self) -> bool:
        """Whether the runtime waits for its next invocation."""
        return self._waiting is not None

    @property
    def _may_ask(self) -> bool:
        """Whether the next invocation may be asked for: once, at the start and after each answer.

        The API has no key, and every process of this machine can reach it.
        """
        return self._waiting is None and (self._current is None or self.answer is not None)

    def give(self, invocation: Invocation) -> None:
        """Give the waiting runtime an invocation."""
        assert self._waiting is not None
        client, self._waiting = self._waiting, None
        self._current, self.answer = invocation.request_id, None
        self._send(client, 200, json.dumps(invocation.event).encode(), invocation.headers())

    def close(self) -> None:
        """Close the port and every connection."""
        for one in (self._listener, *self._clients):
            one.close()

    def _accept(self) -> None:
        client, _address = self._listener.accept()
        client.settimeout(REQUEST_SECONDS)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._clients.add(client)
        self.selector.register(client, selectors.EVENT_READ, lambda: self._serve(client))

    def _serve(self, client: socket.socket) -> None:
        """Answer one request; a connection that ends in the middle of one is dropped."""
        try:
            with client.makefile("rb") as stream:
                method, path, *_version = stream.readline().decode("latin-1").split()
                headers = http.client.parse_headers(stream)
                length = int(headers.get("content-length", 0))
                body = stream.read(length)
            if len(body) < length:
                raise ConnectionError
            self._route(client, f"{method} {path}", {k.lower(): v for k, v in headers.items()}, body)
        except (OSError, ValueError, http.client.HTTPException):
            self._drop(client)

    def _route(self, client: socket.socket, request: str, headers: Mapping[str, str], body: bytes) -> None:
        method, _, path = request.partition(" ")
        match = ANSWER.fullmatch(path)
        refused = loopback.refusal(headers)
        if request == f"GET {NEXT}" and not refused and self._may_ask:
            self._waiting = client
            return
        posted = Answer(body, headers.get("content-type", JSON_TYPE), headers.get(ERROR_TYPE))
        if refused or request == f"GET {NEXT}":
            refusal = {"errorMessage": refused or "not now", "errorType": "InvalidStateTransition"}
            self._reply(client, FORBIDDEN, refusal)
        elif request == f"POST {INIT_ERROR}":
            self.init_error = posted
            self._reply(client, ACCEPTED, {"status": "OK"})
        elif method == "POST" and match and match["request_id"] == self._current and self.answer is None:
            is_error = match["kind"] == "error"
            self.answer = posted if not is_error else _with_type(posted)
            self._reply(client, ACCEPTED, {"status": "OK"})
        elif method == "POST" and match:
            refusal = {"errorMessage": "Invalid request ID", "errorType": "InvalidRequestID"}
            self._reply(client, BAD_REQUEST, refusal)
        else:
            refusal = {"errorMessage": f"no {request}", "errorType": "InvalidRequest"}
            self._reply(client, FORBIDDEN, refusal)

    def _reply(self, client: socket.socket, status: int, body: Mapping[str, str]) -> None:
        self._send(client, status, json.dumps(body).encode(), {"Content-Type": JSON_TYPE})

    def _send(self, client: socket.socket, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} {http.client.responses[status]}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"Content-Length: {len(body)}", "", ""]
        try:
            client.sendall("\r\n".join(lines).encode("latin-1") + body)
        except OSError:
            self._drop(client)

    def _drop(self, client: socket.socket) -> None:
        if client is self._waiting:
            self._waiting = None
        self._clients.discard(client)
        self.selector.unregister(client)
        client.close()


def _with_type(posted: Answer) -> Answer:
    """Return a posted error with its type: the runtime client names it in the body."""
    value = posted.value()
    named = value.get("errorType") if isinstance(value, dict) else None
    return Answer(posted.body, posted.content_type, posted.error_type or named or "Unhandled")
