"""Ctrl-C and SIGTERM while messages are held: the current step finishes, then all messages are released."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from ops import signals

# The exit code of a shell for a program that a signal has ended.
EXIT_BASE: Final = 128
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """Whether a signal has interrupted the command, and the exit code that it asks for."""

    def __init__(self) -> None:
        self._set = threading.Event()
        self.exit_code = 0

    def __bool__(self) -> bool:
        return self._set.is_set()

    def sleep(self, seconds: float) -> None:
        """Sleep until the time is over or a signal interrupts."""
        self._set.wait(seconds)

    def _by(self, number: int, frame: FrameType | None) -> None:
        if self:
            # The second one does not wait; what is held becomes visible when its timeout is over.
            signals.raise_for(number, frame)
        self.exit_code = EXIT_BASE + number
        self._set.set()
        # Not through sys.stderr, in whose middle the signal may have come.
        os.write(signals.STDERR, b"interrupted: finishing the current step (again to stop at once)\n")


@contextmanager
def interruption() -> Iterator[Interruption]:
    """Turn the first signal within the block into a flag; the second one ends the command at once."""
    interrupted = Interruption()
    before = {number: signal.signal(number, interrupted._by) for number in SIGNALS}
    try:
        yield interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
