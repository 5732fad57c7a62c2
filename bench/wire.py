"""A relay between a client and PostgreSQL that counts what passes: statements, and round trips.

The client must use neither TLS nor GSSAPI. PostgreSQL's documentation, "Message Formats", has the types.
"""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from ops.local.loopback import LOOPBACK

STATEMENTS, ROUND_TRIPS = "statements", "round trips"
# From the client: a simple query, and the execution of a prepared one.
_EXECUTED: Final = b"QE"
# From the server: it is ready, which the client waits for after each statement, or at the end of a pipeline.
_READY: Final = b"Z"
_READ_BYTES: Final = 65536
# A message is the byte of its type and its length, which counts itself and not the type.
_LENGTH: Final = struct.Struct("!I")


@contextmanager
def running_relay(port: int, counts: Counter[str]) -> Iterator[int]:
    """Relay connections to a port on loopback, and yield the relay's own port.

    Parameters
    ----------
    counts
        What passed is added to it, by the names STATEMENTS and ROUND_TRIPS.
    """
    with socketserver.ThreadingTCPServer((LOOPBACK, 0), _Connection) as server:
        vars(server).update(port=port, counts=counts)
        threading.Thread(target=server.serve_forever).start()
        yield server.server_address[1]
        server.shutdown()


class _Connection(socketserver.BaseRequestHandler):
    """One connection of a client, and one to PostgreSQL."""

    def handle(self) -> None:
        counts = vars(self.server)["counts"]
        with socket.create_connection((LOOPBACK, vars(self.server)["port"])) as database:
            for each in (self.request, database):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            answers = (database, self.request, Messages(_READY, ROUND_TRIPS, counts))
            thread = threading.Thread(target=_relay, args=answers)
            thread.start()
            # The client's first message, which starts the session, has no type.
            _relay(self.request, database, Messages(_EXECUTED, STATEMENTS, counts, typed=False))
            thread.join()


def _relay(source: socket.socket, target: socket.socket, messages: Messages) -> None:
    with suppress(OSError):
        while data := source.recv(_READ_BYTES):
            messages.add(data)
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


class Messages:
    """Counts the messages of some types in one direction of a connection."""

    def __init__(self, types: bytes, name: str, counts: Counter[str], *, typed: bool = True) -> None:
        self._types = types
        self._name = name
        self._counts = counts
        self._typed = typed
        self._data = b""

    def add(self, data: bytes) -> None:
        """Take the next bytes, which may end within a message."""
        self._data += data
        while len(self._data) >= self._typed + _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._data, self._typed)
            if len(self._data) < self._typed + length:
                break
            self._counts[self._name] += self._typed and self._data[0] in self._types
            self._data = self._data[self._typed + length :]
            self._typed = True
