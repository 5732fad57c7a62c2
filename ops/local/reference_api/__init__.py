"""The reference Huntaze API: a real HTTP server that keeps the contract, remembers, and can be told to fail.

Read `contract.py` first, then `checks.py`, `exchange.py` and `server.py`, in the order of a request.
"""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType

from ops.local.reference_api.exchange import Applied, Exchange
from ops.local.reference_api.faults import Fault
from ops.local.reference_api.messages import NO_ANSWER, Recorded
from ops.local.reference_api.server import Server

__all__ = ["NO_ANSWER", "Applied", "Fault", "Recorded", "ReferenceApi"]

SHUTDOWN_POLL_SECONDS = 0.02


class ReferenceApi:
    """The reference API in a thread of this process, for the time of a `with` block.

    Parameters
    ----------
    api_key
        The bearer key that callers must present.
    journal
        A file that lets a later instance know what this one was told.
    port
        A loopback port; 0 is any free one.
    """

    def __init__(self, api_key: str, journal: Path | None = None, port: int = 0) -> None:
        self._exchange = Exchange(api_key, journal)
        self._server = Server(self._exchange, port)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(SHUTDOWN_POLL_SECONDS,), daemon=True
        )
        self.url = self._server.url

    def __enter__(self) -> ReferenceApi:
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
        self._exchange.close()

    def requests(self) -> tuple[Recorded, ...]:
        """Return every request so far, refused ones included, in order."""
        return self._exchange.requests()

    def applied(self) -> tuple[Applied, ...]:
        """Return the calls that were applied, in order."""
        return self._exchange.applied()

    def state(self) -> dict[str, Applied]:
        """Return the last applied call of each object, by the object's id."""
        return self._exchange.state()

    def fail(self, fault: Fault) -> None:
        """Let the requests that match a fault go wrong from now on."""
        self._exchange.fail(fault)

    def clear_faults(self) -> None:
        """Let everything go right again."""
        self._exchange.clear_faults()
