"""The HTTP front of the embedded AWS: it checks the access key and injects faults into calls of functions."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Awaitable, Callable, Container
from typing import Any, Final

import psutil

from ops.emulator.faults import fault_from_json, fault_plan, read_call
from ops.emulator.repeats import Repeats
from ops.local import loopback

CONTROL_PATH: Final = "/_control/faults"
PERMISSIONS_PATH: Final = "/_control/permissions"
STATE_PATH: Final = "/_control/state"
# The front stands for AWS's TLS endpoints. A client that sends the header itself plays one without TLS.
SCHEME_HEADER: Final = b"x-forwarded-proto"
# MiniStack's own control paths too, also under the prefix of LocalStack, which it imitates.
CONTROL_PREFIXES: Final = ("/_control/", "/_ministack/", "/_localstack/")
FORBIDDEN: Final = 403
REFUSED: Final = "UnrecognizedClientException"
JSON_1_0: Final = "application/x-amz-json-1.0"

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


class Front:
    """An ASGI application around MiniStack's.

    It serves only clients that the run itself started: they sign with the run's access key, which may do
    everything, or with a key that STS gave to a role; or send the run's key as a bearer token to the control
    paths.

    `GET /_control/permissions` lists every distinct call of a role or a service: see
    `ops.emulator.permissions.Decisions`.

    `POST /_control/state` writes the state of every service into the state folder, as the end of the server
    does.

    `POST /_control/faults` adds a fault, `GET` lists the faults and how many calls each failed, and `DELETE`
    removes all. See `ops.emulator.faults.AwsFault`.
    """

    def __init__(
        self,
        inner: Application,
        access_key_id: str,
        sessions: Container[str],
        decisions: Callable[[], list[Message]],
        save: Callable[[], None],
    ) -> None:
        self._inner = inner
        self._access_key_id = access_key_id
        self._sessions = sessions
        self._decisions = decisions
        self._save = save
        self._plan = fault_plan()
        self._repeats = Repeats()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and SCHEME_HEADER not in (name for name, _ in scope["headers"]):
            scope = {**scope, "headers": [*scope["headers"], (SCHEME_HEADER, b"https")]}
        if scope["type"] == "lifespan":
            await self._inner(scope, receive, send)
        elif scope["type"] != "http":
            # Close it before it is accepted: WebSocket is not supported.
            await send({"type": "websocket.close"})
        elif refusal := self._refusal(scope):
            await _refuse(send, refusal, speaks_xml=_speaks_xml(_headers(scope)))
        elif scope["path"] == PERMISSIONS_PATH:
            await _answer(send, 200, {"calls": self._decisions()}, "application/json")
        elif scope["path"] == STATE_PATH:
            await _answer(send, *self._saved(scope["method"]), "application/json")
        elif scope["path"] == CONTROL_PATH:
            body = await _whole(receive)
            await _answer(send, *self._control(scope["method"], body), "application/json")
        elif self._plan:
            await self._failing(scope, receive, send)
        else:
            await self._executed(scope, receive, send)

    async def _executed(self, scope: Message, receive: Receive, send: Send) -> None:
        body = await _whole(receive)
        await self._repeats.answer(
            _headers(scope), lambda answer: self._inner(scope, _again(body, receive), answer), send
        )

    def _refusal(self, scope: Message) -> str | None:
        headers = _headers(scope)
        if refusal := loopback.refusal(headers):
            return refusal
        authorization = headers.get("authorization", "")
        if scope["path"].startswith(CONTROL_PREFIXES):
            known = loopback.has_bearer(authorization, self._access_key_id)
        else:
            query = scope["query_string"].decode("latin-1")
            signer = loopback.signer(authorization, query)
            known = loopback.equal(signer, self._access_key_id) or signer in self._sessions
        return None if known else "the access key is not the one of this run"

    async def _failing(self, scope: Message, receive: Receive, send: Send) -> None:
        body = await _whole(receive)
        call = read_call(_headers(scope), scope["method"], body)
        fault = self._plan.strike(call) if call else None
        if fault is None:
            await self._executed(scope, _again(body, receive), send)
            return
        if fault.kill == "after" or fault.applies:
            await self._inner(scope, _again(body, receive), _nowhere)
        if fault.kill is not None:
            _kill_caller(scope["client"][1])
        else:
            error = {"__type": fault.code, "message": "injected fault"}
            await _answer(send, fault.status or 0, error, JSON_1_0)

    def _saved(self, method: str) -> tuple[int, Any]:
        if method != "POST":
            return 405, {"error": "expected POST"}
        self._save()
        return 201, {"saved": True}

    def _control(self, method: str, body: bytes) -> tuple[int, Any]:
        if method == "GET":
            return 200, {
                "faults": [{"fault": dataclasses.asdict(f), "struck": n} for f, n in self._plan.listed()]
            }
        if method == "DELETE":
            return 200, {"cleared": self._plan.clear()}
        if method != "POST":
            return 405, {"error": "expected GET, POST or DELETE"}
        try:
            self._plan.add(fault_from_json(json.loads(body)))
        except ValueError as error:
            return 400, {"error": str(error)}
        return 201, {"faults": len(self._plan.listed())}


def _headers(scope: Message) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


async def _whole(receive: Receive) -> bytes:
    parts = []
    more = True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return a receiver of a body that was already read, and then of what the connection sends."""
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


async def _nowhere(_message: Message) -> None:
    """Drop a response."""


def _speaks_xml(headers: dict[str, str]) -> bool:
    """Return whether an AWS client reads XML: one of the query protocol, or of S3 by its signature."""
    form = "application/x-www-form-urlencoded" in headers.get("content-type", "")
    return form or "/s3/aws4_request" in headers.get("authorization", "")


async def _refuse(send: Send, why: str, *, speaks_xml: bool) -> None:
    if speaks_xml:
        error = f"<Error><Code>{REFUSED}</Code><Message>{why}</Message></Error>"
        # S3's own error has no outer element, but parsers of S3 errors also look below one.
        await _send(send, FORBIDDEN, f"<ErrorResponse>{error}</ErrorResponse>".encode(), "text/xml")
    else:
        await _answer(send, FORBIDDEN, {"__type": REFUSED, "message": why}, JSON_1_0)


async def _answer(send: Send, status: int, body: Any, media_type: str) -> None:
    await _send(send, status, json.dumps(body).encode(), media_type)


async def _send(send: Send, status: int, content: bytes, media_type: str) -> None:
    headers = [(b"content-type", media_type.encode()), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def _kill_caller(port: int) -> None:
    """Kill the function process at the other end of a connection, as an out-of-memory kill does."""
    for process in psutil.Process(os.getpid()).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if any(held.laddr and held.laddr.port == port for held in process.net_connections("inet")):
                process.kill()
                return
