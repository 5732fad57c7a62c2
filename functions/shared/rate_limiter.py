"""A limit on how many calls start in a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class RateLimiter:
    """Spaces calls evenly, at most `per_second` a second.

    Parameters
    ----------
    sleep
        Called with the seconds to wait.
    """

    per_second: float
    sleep: Callable[[float], None] = time.sleep
    _next: float = 0.0

    @property
    def interval(self) -> float:
        """Seconds between the starts of two calls."""
        return 1 / self.per_second

    def wait(self) -> None:
        """Wait until the next call may start, and count it."""
        now = time.monotonic()
        if (seconds := self.delay(now)) > 0:
            self.sleep(seconds)
        self.count(now)

    def delay(self, now: float) -> float:
        """Return the seconds until the next call may start; negative if it could have started earlier."""
        return self._next - now

    def count(self, now: float) -> None:
        """Count a call that starts now, or as soon as the calls before it allow."""
        self._next = max(now, self._next) + self.interval

    def refund(self) -> None:
        """Take back a counted call."""
        self._next -= self.interval
