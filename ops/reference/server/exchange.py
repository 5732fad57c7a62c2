"""The memory of a reference API: every request in order, and the faults in force."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod

from ops.reference.server.faults import Fault, fault_plan
from ops.reference.server.messages import Received, Recorded, Refusal, Reply


class Exchange(ABC):
    """Process requests one at a time, and record them.

    Parameters
    ----------
    key
        The bearer key of the API and of the control paths.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self._lock = threading.Lock()
        self._faults = fault_plan()
        self._requests: list[Recorded] = []

    @abstractmethod
    def answer(self, request: Received) -> Reply:
        """Return the reply to a request, after recording both."""

    @abstractmethod
    def refuse(self, request: Received, refusal: Refusal) -> Reply:
        """Return the reply to a request whose body is not read, after recording both."""

    def requests(self, since: int = 0) -> tuple[Recorded, ...]:
        """Return the requests from position `since` on, in the order in which they were processed."""
        with self._lock:
            return tuple(self._requests[since:])

    def fail(self, fault: Fault) -> None:
        """Put a fault into force."""
        with self._lock:
            self._faults.add(fault)

    def clear_faults(self) -> int:
        """Remove every fault; return how many there were."""
        with self._lock:
            return self._faults.clear()

    def faults(self) -> list[tuple[Fault, int]]:
        """Return each fault in force and how many requests it failed."""
        with self._lock:
            return self._faults.listed()
