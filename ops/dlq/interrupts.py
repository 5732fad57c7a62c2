"""Ctrl-C and SIGTERM while messages are held: the step in hand is finished, then everything is given back."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# A shell's exit code for a program that a signal has ended.
EXIT_BASE = 128
STDERR = 2


class Interruption:
    """Whether somebody has interrupted the command, and how."""

    def __init__(self) -> None:
        self._set = threading.Event()
        self.exit_code = 0

    def __bool__(self) -> bool:
        return self._set.is_set()

    def sleep(self, seconds: float) -> None:
        """Sleep until the time is over or somebody interrupts."""
        self._set.wait(seconds)

    def _by(self, number: int, _frame: FrameType | None) -> None:
        if self:
            # The second time nothing is waited for; what is held shows itself again after a while.
            raise KeyboardInterrupt
        self.exit_code = EXIT_BASE + number
        self._set.set()
        # Not through sys.stderr, in whose middle the signal may have come.
        os.write(STDERR, b"interrupted: finishing the step in hand (again to stop at once)\n")


@contextmanager
def interruption() -> Iterator[Interruption]:
    """Turn the first interrupt within the block into a flag; the second raises KeyboardInterrupt."""
    told = Interruption()
    before = {number: signal.signal(number, told._by) for number in SIGNALS}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
