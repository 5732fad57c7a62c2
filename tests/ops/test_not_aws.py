"""An address that is not AWS, such as a wrong port or a proxy's page: each command says so in one line."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ops.local.services import isolated_environment
from tests.ops.command import run

ANSWERS = {
    "a page": b"<!doctype html><title>Log in</title>",
    "an empty object": b"{}",
    "a list": b"[]",
    "null": b"null",
    "a text": b'"x"',
    "no text": b"\xff\xfe\x00",
}
COMMANDS = (
    "dlq list",
    "dlq show",
    "dlq redrive --yes",
    "dlq purge --yes",
    "replay status",
    "replay status replay-dev-1",
    "replay cancel replay-dev-1 --yes",
    "replay start --since 48h --yes",
    "reconcile --since 48h",
)


@contextmanager
def answering(body: bytes) -> Iterator[str]:
    """Serve one answer to whatever is asked; yield the URL."""

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST  # noqa: N815 (the name is http.server's)

        def log_message(self, format: str, *args: object) -> None:
            """Write no access log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("body", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_not_aws_is_reported_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    command: str,
    body: bytes,
) -> None:
    for name in ("AWS_PROFILE", "DATABASE_URL", "STRIPE_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in isolated_environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("STRIPE_EVENT_SOURCE_NAME", "aws.partner/stripe.com/ed_test_not_aws")
    with answering(body) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        done = run(command.split(), monkeypatch, capsys)
    assert (done.code, done.out, len(done.err.splitlines())) == (1, "", 1), done
    assert done.err.startswith("error: ")
