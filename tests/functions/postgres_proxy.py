"""A proxy in front of PostgreSQL that speaks TLS, or says that it does not.

The PostgreSQL of the tests is built without TLS. So the proxy has the certificate and encrypts; behind it is
the real server.
"""

from __future__ import annotations

import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from ops.local.loopback import LOOPBACK

# PostgreSQL, "Message Formats": SSLRequest.
SSL_REQUEST = struct.pack("!ii", 8, 80877103)
CLEAR_TEXT_PASSWORD = b"R" + struct.pack("!ii", 8, 3)
# An address of this machine that does not look like one, as a host name would not.
ELSEWHERE = "127.1"


@dataclass
class Proxy:
    """What the proxy received without TLS, except the request for TLS."""

    port: int
    in_clear: bytearray = field(default_factory=bytearray)


def certificate(folder: Path, name: str, subject: str = "/CN=test") -> tuple[Path, Path]:
    """Create a self-signed certificate for a name such as `IP:127.0.0.1`; return its file and the key's."""
    made, key = folder / "server.pem", folder / "server.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-nodes", "-keyout", str(key), "-out", str(made), "-days", "2", "-utf8", "-subj", subject]
    subprocess.run([*command, "-addext", f"subjectAltName={name}"], check=True, capture_output=True)
    return made, key


@contextmanager
def running_proxy(port: int, certified: tuple[Path, Path] | None) -> Iterator[Proxy]:
    """Run a proxy for the server at a port, with a certificate or without TLS."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        proxy = Proxy(listener.getsockname()[1])
        context = None
        if certified is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certified)
        threading.Thread(target=_accept, args=(listener, proxy, port, context), daemon=True).start()
        yield proxy
        # Ends the blocking accept().
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, proxy: Proxy, port: int, context: ssl.SSLContext | None) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_serve, args=(client, proxy, port, context), daemon=True).start()


def _serve(client: socket.socket, proxy: Proxy, port: int, context: ssl.SSLContext | None) -> None:
    with suppress(OSError), client:
        if client.recv(len(SSL_REQUEST), socket.MSG_WAITALL) != SSL_REQUEST:
            proxy.in_clear += b"no request for TLS"
            return
        if context is None:
            client.sendall(b"N")
            # If the client continues: the start-up message, then its password.
            while received := client.recv(65536):
                proxy.in_clear += received
                client.sendall(CLEAR_TEXT_PASSWORD)
            return
        client.sendall(b"S")
        with context.wrap_socket(client, server_side=True) as encrypted:
            _join(encrypted, port)


def _join(client: ssl.SSLSocket, port: int) -> None:
    with socket.create_connection((LOOPBACK, port)) as server:
        threading.Thread(target=_pump, args=(server, client), daemon=True).start()
        _pump(client, server)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while received := source.recv(65536):
            sink.sendall(received)
        sink.shutdown(socket.SHUT_WR)
