"""Concurrent calls to AWS whose results are handled in one thread."""

from __future__ import annotations

import queue
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


class Workers:
    """A pool that runs at most `most` calls at a time."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.busy = 0
        self._pool = ThreadPoolExecutor(most)
        self._finished: queue.SimpleQueue[tuple[Future[Any], Callable[[Any], None]]] = queue.SimpleQueue()

    def start(self, call: Callable[[], T], then: Callable[[T], None]) -> None:
        """Start a call; `wait` passes its result to `then`."""
        self.busy += 1
        self._pool.submit(call).add_done_callback(lambda future: self._finished.put((future, then)))

    def wait(self, seconds: float) -> None:
        """Wait until one call has finished, at most so many seconds. Raises what the call raised."""
        try:
            future, then = self._finished.get(timeout=max(0.0, seconds))
        except queue.Empty:
            return
        self.busy -= 1
        then(future.result())

    def close(self) -> None:
        """Stop the threads; no call may be running."""
        self._pool.shutdown()
