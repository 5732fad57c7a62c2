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
    next_start
        When the next call may start, on the caller's clock.
    """

    per_second: float
    sleep: Callable[[float], None] = time.sleep
    next_start: float = 0.0

    @property
    def interval(self) -> float:
        """Seconds between the starts of two calls."""
        return 1 / self.per_second

    def wait(self) -> None:
        """Wait until the next call may start, and count it."""
        now = time.monotonic()
        if now < self.next_start:
            self.sleep(self.next_start - now)
        self.count(now)

    def count(self, now: float) -> None:
        """Count a call that starts now, or as soon as the calls before it allow."""
        self.next_start = max(now, self.next_start) + self.interval

    def refund(self) -> None:
        """Uncount a call that was not made."""
        self.next_start -= self.interval
