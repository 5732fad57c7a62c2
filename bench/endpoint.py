"""One TLS server on loopback that answers as DynamoDB, S3, Secrets Manager, SQS and the Huntaze API do.

It accepts every write: what is measured is the client's side of an undisturbed delivery.
"""

from __future__ import annotations

import hashlib
import json
import ssl
import subprocess
import threading
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from functions.shared import names

API_KEY: Final = "hk_bench"
KEYS_ARN: Final = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:bench"
PUT_OBJECT: Final = "PutObject"


@dataclass
class Endpoint:
    """A running server.

    Parameters
    ----------
    certificate
        PEM file of its self-signed certificate.
    calls
        What was asked of it: operations of AWS, and paths of the API.
    secrets
        What Secrets Manager has, by the ids of the secrets.
    """

    url: str
    certificate: Path
    calls: Counter[str] = field(default_factory=Counter)
    secrets: dict[str, Mapping[str, str]] = field(
        default_factory=lambda: {KEYS_ARN: {names.HUNTAZE_API_KEY: API_KEY}}, repr=False
    )


@contextmanager
def running_endpoint(folder: Path) -> Iterator[Endpoint]:
    """Run a server; its key and certificate are written into `folder`."""
    certificate, key = folder / "endpoint.pem", folder / "endpoint.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-nodes", "-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=bench"]
    subprocess.run(
        [*command, "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"], check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Exchange) as server:
        endpoint = Endpoint(f"https://localhost:{server.server_port}", certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.daemon_threads = True
        vars(server)["endpoint"] = endpoint
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield endpoint
        server.shutdown()


class _Exchange(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        endpoint: Endpoint = vars(self.server)["endpoint"]
        target = self.headers.get("X-Amz-Target")
        endpoint.calls[target or self.path] += 1
        answer: dict[str, Any] = {}
        if target is not None and target.endswith("GetSecretValue"):
            secret = endpoint.secrets[json.loads(sent)["SecretId"]]
            answer = {"Name": "bench", "SecretString": json.dumps(secret)}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0" if target else "application/json")
        self.send_header("Content-Length", str(len(body)))
        if target is not None:
            self.send_header("x-amzn-RequestId", "BENCH00000000000000000000000000000000000000000000000000")
            self.send_header("x-amz-crc32", str(zlib.crc32(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def do_PUT(self) -> None:
        """Accept an object of S3, whose body may come in chunks."""
        digest = hashlib.md5(self._object(), usedforsecurity=False)
        vars(self.server)["endpoint"].calls[PUT_OBJECT] += 1
        self.send_response(200)
        self.send_header("ETag", f'"{digest.hexdigest()}"')
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.wfile.flush()

    def _object(self) -> bytes:
        if "Content-Length" in self.headers:
            return self.rfile.read(int(self.headers["Content-Length"]))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def handle_expect_100(self) -> bool:
        """Ask for the body at once: what is written waits in a buffer otherwise."""
        going_on = super().handle_expect_100()
        self.wfile.flush()
        return going_on

    def log_message(self, *_arguments: Any) -> None:
        """Write nothing."""
