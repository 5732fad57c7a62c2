"""The reference Huntaze API: a real HTTP server that keeps the contract, has a memory and injects faults.

Read `contract.py` first, then `checks.py`, `dialects.py`, `exchange.py` and `server.py`, in the order of a
request. The HTTP server, its memory and its faults are in `ops/reference/server`.
"""

from __future__ import annotations

from pathlib import Path

from ops.reference.huntaze.dialects import CODED, DIALECTS
from ops.reference.huntaze.exchange import ApiExchange
from ops.reference.huntaze.journal import Applied
from ops.reference.huntaze.server import ApiServer
from ops.reference.server.faults import Fault
from ops.reference.server.messages import NO_ANSWER, Recorded
from ops.reference.server.thread import InThread

__all__ = ["NO_ANSWER", "Applied", "Fault", "Recorded", "ReferenceApi"]


class ReferenceApi(InThread):
    """The reference API in a thread of this process, within a `with` block.

    Parameters
    ----------
    api_key
        The bearer key that callers must present.
    journal
        A file from which a later instance restores what this one received.
    port
        A loopback port; 0 is any free one.
    dialect
        A name of `dialects.DIALECTS`.
    """

    def __init__(
        self, api_key: str, journal: Path | None = None, port: int = 0, dialect: str = CODED.name
    ) -> None:
        self._exchange = ApiExchange(api_key, journal, DIALECTS[dialect])
        super().__init__(ApiServer(self._exchange, port))

    def applied(self) -> tuple[Applied, ...]:
        """Return the calls that were applied, in order."""
        return self._exchange.applied()

    def state(self) -> dict[str, Applied]:
        """Return the last applied call of each object, by the object's id."""
        return self._exchange.state()

    def speak(self, dialect: str) -> None:
        """Switch to another dialect; see `dialects.DIALECTS`."""
        self._exchange.dialect = DIALECTS[dialect]
