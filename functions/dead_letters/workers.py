"""Calls of AWS that go on at the same time; what is done with their results happens in one thread."""

from __future__ import annotations

import queue
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


class Workers:
    """So many calls at a time at most."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.busy = 0
        self._pool = ThreadPoolExecutor(most)
        self._ended: queue.SimpleQueue[tuple[Future[Any], Callable[[Any], None]]] = queue.SimpleQueue()

    def start(self, call: Callable[[], T], then: Callable[[T], None]) -> None:
        """Begin a call; ``then`` gets its result in the thread that waits."""
        self.busy += 1
        self._pool.submit(call).add_done_callback(lambda ended: self._ended.put((ended, then)))

    def wait(self, seconds: float) -> None:
        """Wait for the end of one call, for so many seconds at most. Raises what the call raised."""
        try:
            ended, then = self._ended.get(timeout=max(0.0, seconds))
        except queue.Empty:
            return
        self.busy -= 1
        then(ended.result())

    def close(self) -> None:
        """End the threads; nothing may be in flight."""
        self._pool.shutdown()
