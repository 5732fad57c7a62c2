"""Lambda's Runtime API for one execution environment, on a loopback port of its own.

The thread that runs an invocation serves it: between invocations the environment is frozen, and nobody asks.
Source: Lambda developer guide, "Using the Lambda runtime API for custom runtimes".
"""

from __future__ import annotations

import http.client
import io
import json
import re
import selectors
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ops.emulator.process_group import Address
from ops.local import loopback
from ops.local.loopback import LOOPBACK

PREFIX: Final = "/2018-06-01/runtime"
NEXT: Final = f"{PREFIX}/invocation/next"
INIT_ERROR: Final = f"{PREFIX}/init/error"
ANSWER: Final = re.compile(rf"{PREFIX}/invocation/(?P<request_id>[^/]+)/(?P<kind>response|error)")
JSON_TYPE: Final = "application/json"
ERROR_TYPE: Final = "lambda-runtime-function-error-type"
ACCEPTED, FORBIDDEN, BAD_REQUEST = 202, 403, 400
# A client that does not read an answer for so long was stopped in the middle.
ANSWER_SECONDS: Final = 5.0
READ_BYTES: Final = 1 << 16
HEAD_BYTES: Final = 1 << 16
HEAD_END: Final = b"\r\n\r\n"


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


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class RuntimeApi:
    """The server: the caller waits, and it takes what has come; a slow client delays nobody.

    The API has no key, and every process of this machine can reach its port.

    Parameters
    ----------
    selector
        Reports which connections have data; the caller waits on it.
    is_functions
        Returns whether a connection is one of the function's processes, by its address there and here.
    """

    selector: selectors.BaseSelector
    is_functions: Callable[[Address, Address], bool]
    init_error: Answer | None = None
    answer: Answer | None = None
    _current: str | None = None
    _waiting: socket.socket | None = None
    _listener: socket.socket = field(init=False)
    # What each has sent of its next request.
    _clients: dict[socket.socket, bytearray] = field(default_factory=dict)

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
        """Whether the next invocation may be asked for: once, at the start and after each answer."""
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
        client, address = self._listener.accept()
        if not self.is_functions(address, client.getsockname()):
            client.close()
            return
        client.settimeout(ANSWER_SECONDS)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._clients[client] = bytearray()
        self.selector.register(client, selectors.EVENT_READ, lambda: self._receive(client))

    def _receive(self, client: socket.socket) -> None:
        """Take what has come, and answer a request that is complete; drop a connection that ends before."""
        received = self._clients[client]
        try:
            part = client.recv(READ_BYTES)
            received += part
            request = _taken(received) if part else None
        except (OSError, ValueError, http.client.HTTPException):
            part, request = b"", None
        if request is not None:
            self._route(client, request)
        elif not part:
            self._drop(client)

    def _route(self, client: socket.socket, request: _Request) -> None:
        headers, named = request.headers, f"{request.method} {request.path}"
        match = ANSWER.fullmatch(request.path) if request.method == "POST" else None
        refused = loopback.refusal(headers)
        if named == f"GET {NEXT}" and not refused and self._may_ask:
            self._waiting = client
            return
        posted = Answer(request.body, headers.get("content-type", JSON_TYPE), headers.get(ERROR_TYPE))
        if refused or named == f"GET {NEXT}":
            refusal = {"errorMessage": refused or "not now", "errorType": "InvalidStateTransition"}
            self._reply(client, FORBIDDEN, refusal)
        elif named == f"POST {INIT_ERROR}":
            self.init_error = posted
            self._reply(client, ACCEPTED, {"status": "OK"})
        elif match and match["request_id"] == self._current and self.answer is None:
            self.answer = _with_type(posted) if match["kind"] == "error" else posted
            self._reply(client, ACCEPTED, {"status": "OK"})
        elif match:
            refusal = {"errorMessage": "Invalid request ID", "errorType": "InvalidRequestID"}
            self._reply(client, BAD_REQUEST, refusal)
        else:
            refusal = {"errorMessage": f"no {named}", "errorType": "InvalidRequest"}
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
        del self._clients[client]
        self.selector.unregister(client)
        client.close()


def _taken(received: bytearray) -> _Request | None:
    """Take a request from what was received; return None while it is incomplete.

    Raises
    ------
    ValueError, HTTPException
        It is not a request.
    """
    end = received.find(HEAD_END, 0, HEAD_BYTES)
    if end < 0:
        if len(received) >= HEAD_BYTES:
            raise ValueError(f"a head of more than {HEAD_BYTES} bytes")
        return None
    start = end + len(HEAD_END)
    line, _, fields = bytes(received[:start]).partition(b"\r\n")
    method, path, *_version = line.decode("latin-1").split()
    headers = {name.lower(): text for name, text in http.client.parse_headers(io.BytesIO(fields)).items()}
    stop = start + int(headers.get("content-length", 0))
    if len(received) < stop:
        return None
    body = bytes(received[start:stop])
    del received[:stop]
    return _Request(method, path, headers, body)


def _with_type(posted: Answer) -> Answer:
    """Return a posted error with its type: the runtime client names it in the body."""
    value = posted.value()
    named = value.get("errorType") if isinstance(value, dict) else None
    return Answer(posted.body, posted.content_type, posted.error_type or named or "Unhandled")
