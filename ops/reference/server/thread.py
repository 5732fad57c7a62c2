"""Run a reference API in a thread of this process."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Final, Self

from ops.reference.server.faults import Fault
from ops.reference.server.messages import Recorded
from ops.reference.server.server import ReferenceServer

SHUTDOWN_POLL_SECONDS: Final = 0.02


class InThread:
    """A server in a thread, within a `with` block."""

    def __init__(self, server: ReferenceServer) -> None:
        self._server = server
        self._thread = threading.Thread(
            target=server.serve_forever, args=(SHUTDOWN_POLL_SECONDS,), daemon=True
        )
        self.url = server.url

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def requests(self) -> tuple[Recorded, ...]:
        """Return every request so far in order, also refused ones."""
        return self._server.exchange.requests()

    def fail(self, fault: Fault) -> None:
        """Fail the requests that match a fault from now on."""
        self._server.exchange.fail(fault)

    def clear_faults(self) -> None:
        """Remove all faults."""
        self._server.exchange.clear_faults()
