"""The ports of the servers whose addresses are part of a deploy: in settings, secrets and queue URLs."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from ops.local.loopback import LOOPBACK


@dataclass(frozen=True)
class Ports:
    """Where the embedded AWS, the reference Huntaze API and PostgreSQL listen; None for any free port."""

    aws: int | None = None
    api: int | None = None
    database: int | None = None

    def taken(self) -> int | None:
        """Return the first port that another process has, or None."""
        named = filter(None, (self.aws, self.api, self.database))
        return next((port for port in named if not _is_free(port)), None)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the servers do: a connection that has just ended does not keep its port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
