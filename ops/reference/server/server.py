"""The HTTP/1.1 server of a reference API: keep-alive, one thread per connection, loopback only."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import socket
import struct
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from ops.local import loopback
from ops.local.loopback import LOOPBACK
from ops.reference.server.exchange import Exchange
from ops.reference.server.faults import fault_from_json
from ops.reference.server.messages import Received, Refusal, Reply, json_reply

CONTROL_PREFIX: Final = "/_control/"
# More than any body of the contract: an event of EventBridge has at most half of it.
MAXIMUM_BODY_BYTES: Final = 2 * 1024 * 1024
# Longer numbers are not parsed.
LENGTH_DIGITS: Final = 20
# SO_LINGER with a time of zero: close() sends a reset.
RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class ReferenceServer(ThreadingHTTPServer):
    """Serve one exchange on a loopback port; port 0 selects a free one."""

    daemon_threads = True
    # More than the Lambda workers that start at once in a local run.
    request_queue_size = 256
    # What `control` serves, for its error message.
    controls = "requests and faults"

    def __init__(self, exchange: Exchange, port: int = 0) -> None:
        self.exchange = exchange
        self.closing = threading.Event()
        self._connections: set[socket.socket] = set()
        self._to_reset: set[socket.socket] = set()
        self._connections_lock = threading.Lock()
        super().__init__((LOOPBACK, port), _Handler)

    @property
    def url(self) -> str:
        """Return the base URL, without a slash at its end."""
        return f"http://{LOOPBACK}:{self.server_address[1]}"

    def control(self, request: Received) -> Reply:
        """Answer a control request; the test or tool that runs this server has its key."""
        target = urlsplit(request.path)
        match request.method, target.path.removeprefix(CONTROL_PREFIX):
            case "GET", "requests":
                since = parse_qs(target.query).get("since", ["0"])[0]
                if not since.isdigit():
                    return json_reply(400, {"error": "since must be a number of requests"})
                return json_reply(
                    200, {"requests": [dataclasses.asdict(r) for r in self.exchange.requests(int(since))]}
                )
            case "GET", "faults":
                listed = [
                    {"fault": dataclasses.asdict(f), "struck": struck} for f, struck in self.exchange.faults()
                ]
                return json_reply(200, {"faults": listed})
            case "POST", "faults":
                try:
                    self.exchange.fail(fault_from_json(json.loads(request.content)))
                except ValueError as error:
                    return json_reply(400, {"error": str(error)})
                return json_reply(201, {"faults": len(self.exchange.faults())})
            case "DELETE", "faults":
                return json_reply(200, {"cleared": self.exchange.clear_faults()})
            case _:
                return json_reply(404, {"error": f"unknown control path: expected {self.controls}"})

    def process_request(self, request: Any, client_address: Any) -> None:
        """Register the connection, then serve it in its own thread."""
        with self._connections_lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def reset(self, connection: socket.socket) -> None:
        """Reset a connection when its thread closes it."""
        with self._connections_lock:
            self._to_reset.add(connection)
        # The client may have closed it already.
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)

    def shutdown_request(self, request: Any) -> None:
        """Close a finished connection; one that is to be reset must not be shut down before."""
        with self._connections_lock:
            self._connections.discard(request)
            resets = request in self._to_reset
            self._to_reset.discard(request)
        if resets:
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def server_close(self) -> None:
        """Close the listening socket and every open connection."""
        self.closing.set()
        super().server_close()
        with self._connections_lock:
            open_connections = list(self._connections)
        for connection in open_connections:
            # Wakes the thread of the connection, which then closes the socket.
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a client that disconnected, as killed and timed-out functions do."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: ReferenceServer
    protocol_version = "HTTP/1.1"
    server_version = "huntaze-reference-api"
    sys_version = ""
    disable_nagle_algorithm = True
    # Headers and body leave in one packet; a delayed acknowledgement between them would take 40 ms.
    wbufsize = -1

    def _serve(self) -> None:
        received = Received(self.command, self.path, dict(self.headers.items()), b"", time.time())
        length = self.headers.get("Content-Length", "0" if self.command in ("GET", "DELETE") else "")
        if not (length.isascii() and length.isdigit()):
            self._refuse_unread(received, HTTPStatus.LENGTH_REQUIRED)
        elif len(length) > LENGTH_DIGITS or int(length) > MAXIMUM_BODY_BYTES:
            self._refuse_unread(received, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            received = dataclasses.replace(received, content=self.rfile.read(int(length)))
            if len(received.content) < int(length):
                self.close_connection = (
                    True  # the client disconnected within the body: there is nothing to answer
                )
            elif self.path.startswith(CONTROL_PREFIX):
                self._send(self._control_refusal() or self.server.control(received))
            else:
                self._send(self.server.exchange.answer(received))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - named by http.server

    def _control_refusal(self) -> Reply | None:
        """Refuse a control request from a web page, for another host, or without the key."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        refusal = loopback.refusal(headers)
        if refusal is None and not loopback.has_bearer(
            headers.get("authorization", ""), self.server.exchange.key
        ):
            refusal = "control paths need the bearer key"
        return json_reply(403, {"error": refusal}) if refusal else None

    def _refuse_unread(self, received: Received, status: HTTPStatus) -> None:
        """Refuse a body that can't be read; the connection can't be used again."""
        self.close_connection = True
        if self.path.startswith(CONTROL_PREFIX):
            self._send(json_reply(status, {"error": status.phrase}))
        else:
            refusal = Refusal(status.value, status.name.lower(), status.phrase)
            self._send(self.server.exchange.refuse(received, refusal))

    def _send(self, reply: Reply) -> None:
        if self._closed_while_waiting(reply):
            # A process that ends sends no response.
            self.close_connection = True
            return
        if reply.reset:
            self.close_connection = True
            self.server.reset(self.connection)
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if reply.body_delay:
            half = len(reply.body) // 2
            self.wfile.write(reply.body[:half])
            self.wfile.flush()
            self.server.closing.wait(reply.body_delay)
            self.wfile.write(reply.body[half:])
        else:
            self.wfile.write(reply.body)

    def _closed_while_waiting(self, reply: Reply) -> bool:
        """Wait as long as the reply requires; return whether the server closed meanwhile."""
        if reply.after is None and not reply.header_delay:
            return False
        if reply.after is not None:
            reply.after.wait()
        return self.server.closing.wait(reply.header_delay)

    def log_message(self, format: str, *args: object) -> None:
        """Write no access log: the recorded requests are the log."""
