"""A process that kills the functions' processes when the emulator ends, however it ends.

A busy or frozen process would not notice by itself. The reaper reads from a pipe to the emulator: a process
id that is to be killed, or one with a minus sign that has ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path


class Reaper:
    """The emulator's end of the pipe; the process starts with the first id, and again if it was killed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._living: set[int] = set()
        self._process: subprocess.Popen[bytes] | None = None

    def watch(self, pid: int) -> None:
        """Kill this process group when the emulator ends."""
        with self._lock:
            self._living.add(pid)
            if not self._write(pid):
                self._start()

    def forget(self, pid: int) -> None:
        """Leave this process group alone: it has ended, and its id may be given again."""
        with self._lock:
            self._living.discard(pid)
            self._write(-pid)

    def close(self) -> None:
        """Kill what still lives."""
        with self._lock:
            self._end()
            self._living.clear()

    def _write(self, number: int) -> bool:
        """Write to the process; return whether it reads."""
        if self._process is None:
            return False
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(b"%d\n" % number)
        except BrokenPipeError:
            return False
        return True

    def _start(self) -> None:
        self._end()
        # Ctrl-C in a terminal reaches the emulator only.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", Path(__file__)],
            stdin=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        for pid in self._living:
            self._write(pid)

    def _end(self) -> None:
        if self._process is not None:
            self._process.communicate()
        self._process = None


def main() -> None:
    """Read until the emulator ends, then kill what still lives."""
    # A run that ends sends it to all its processes at once.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    living: set[int] = set()
    for line in sys.stdin.buffer:
        number = int(line)
        if number > 0:
            living.add(number)
        else:
            living.discard(-number)
    for group in living:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
