"""How the API client uses its connections, against a server that counts them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from functions.pipeline.api import HuntazeApi, build_client
from functions.pipeline.envelope import StripeEvent
from functions.pipeline.route import Request
from functions.shared.errors import TransientError

EVENT = StripeEvent("evt_1", "invoice.paid", "2026-03-25.dahlia", 1_775_037_600, None, {})
REQUEST = Request("/api/billing/invoice-paid", {"invoiceId": "in_1"})


class Server(ThreadingHTTPServer):
    """Counts connections; closes each after some requests, or sends an answer that is not HTTP."""

    requests_per_connection = 1000
    garbage = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.connections = 0
        self.closed = threading.Event()
        self.cookies: list[str | None] = []

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self.closed.set()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        self.server.connections += 1
        self.served = 0
        super().setup()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.served += 1
        if self.server.garbage:
            self.wfile.write(b"this is not HTTP\r\n\r\n")
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.send_header("Set-Cookie", "session=abc")
        self.server.cookies.append(self.headers["Cookie"])
        self.end_headers()
        self.wfile.write(b"{}")
        # Without a header that announces it, like a server that closes an idle connection.
        self.close_connection = self.served >= self.server.requests_per_connection

    def log_message(self, format: str, *args: object) -> None:
        """Write no log."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def api(server: Server) -> Iterator[HuntazeApi]:
    with build_client() as client:
        yield HuntazeApi(f"http://127.0.0.1:{server.server_port}", "hk", client)


def test_events_share_one_connection(server: Server, api: HuntazeApi) -> None:
    for number in range(5):
        api.post(REQUEST, EVENT, f"evt_{number}")
    assert server.connections == 1


def test_cookies_are_not_sent_with_the_next_event(server: Server, api: HuntazeApi) -> None:
    for number in range(2):
        api.post(REQUEST, EVENT, f"evt_{number}")
    assert server.cookies == [None, None]


def test_connection_closed_by_the_server_is_replaced(server: Server, api: HuntazeApi) -> None:
    server.requests_per_connection = 1
    api.post(REQUEST, EVENT, "evt_1")
    assert server.closed.wait(10)
    api.post(REQUEST, EVENT, "evt_2")
    assert server.connections == 2


def test_answer_that_is_not_http_is_transient(server: Server, api: HuntazeApi) -> None:
    server.garbage = True
    with pytest.raises(TransientError, match="RemoteProtocolError"):
        api.post(REQUEST, EVENT, "evt_1")
    server.garbage = False
    api.post(REQUEST, EVENT, "evt_1")


def test_silent_server_times_out(api: HuntazeApi) -> None:
    with Server() as silent:  # listens, but never answers
        api.client.timeout = 0.2
        quiet = HuntazeApi(f"http://127.0.0.1:{silent.server_port}", "hk", api.client)
        with pytest.raises(TransientError, match="ReadTimeout"):
            quiet.post(REQUEST, EVENT, "evt_1")


def test_proxy_of_the_environment_is_not_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with build_client() as client:
        HuntazeApi(f"http://127.0.0.1:{server.server_port}", "hk", client).post(REQUEST, EVENT, "evt_1")
    assert server.connections == 1
