"""A server on loopback that gives the answers of a script and records the requests."""

from __future__ import annotations

import json
import socket
import ssl
import sys
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ops.local.loopback import LOOPBACK


@dataclass(frozen=True)
class Answer:
    """One answer, or how there is none.

    Parameters
    ----------
    checksum
        The `x-amz-crc32` header: of the body, of another one, or none.
    cut
        Whether the connection ends before the body does.
    reset
        Whether it ends without an answer.
    seconds
        How long the answer takes.
    close
        Whether the connection ends after the answer.
    """

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    checksum: bool | None = None
    cut: bool = False
    reset: bool = False
    seconds: float = 0.0
    close: bool = False


def error(code: str, status: int = 400, **members: Any) -> Answer:
    """An error as AWS's JSON protocol writes it."""
    document = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "why", **members}
    return Answer(status, json.dumps(document).encode())


@dataclass(frozen=True)
class Received:
    """A request; header names are in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: int


class Server(ThreadingHTTPServer):
    """A server whose certificate a client may refuse."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print an error, unless it is a refused certificate."""
        if not isinstance(sys.exception(), ssl.SSLError):
            super().handle_error(request, client_address)


class Scripted:
    """The server. Without a script it answers with an empty JSON object."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.received: list[Received] = []
        self._script: list[Answer] = []

    def play(self, *answers: Answer) -> None:
        """Give these answers; the last one stays. Forget what was received."""
        self._script = list(answers)
        self.received.clear()

    def next(self) -> Answer:
        """Take the next answer."""
        if not self._script:
            return Answer()
        return self._script.pop(0) if len(self._script) > 1 else self._script[0]


@contextmanager
def running_script(certified: tuple[Path, Path] | None = None) -> Iterator[Scripted]:
    """Run a server, with TLS if there is a certificate and its key."""

    class Exchange(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            script.received.append(Received(self.path, headers, body, self.client_address[1]))
            answer = script.next()
            time.sleep(answer.seconds)
            if answer.reset:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.checksum is not None:
                self.send_header("x-amz-crc32", str(zlib.crc32(answer.body) ^ (not answer.checksum)))
            self.send_header("Content-Length", str(len(answer.body) + answer.cut))
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(answer.body)
            if answer.cut or answer.close:
                self.close_connection = True

        def log_message(self, *_arguments: Any) -> None:
            """Write nothing."""

    with Server((LOOPBACK, 0), Exchange) as server:
        script = Scripted(f"http{'s' if certified else ''}://localhost:{server.server_port}")
        if certified:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certified)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield script
        finally:
            server.shutdown()
