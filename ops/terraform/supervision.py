"""Wait for a running Terraform: pass on interrupts, and stop it if a check fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from ops.errors import OperatorError

CHECK_SECONDS: Final = 0.5
# Terraform waits for its provider, which tries for minutes to reach a server that has gone.
GRACE_SECONDS: Final = 5.0
STOPPING: Final = "stopping: Terraform is finishing the operations in progress\n"

# Raises OperatorError to stop the command.
Check = Callable[[], None]


def read_lines(process: subprocess.Popen[str], on_line: Callable[[str], object], check: Check | None) -> None:
    """Call `on_line` with each line of a command's output; pass on an interrupt and wait for the end.

    Raises
    ------
    OperatorError
        `check` raised it; the command is stopped.
    """
    assert process.stdout is not None
    sentry = _Sentry(process, check)
    try:
        for line in process.stdout:
            on_line(line)
    except BaseException as ended:
        if isinstance(ended, (KeyboardInterrupt, SystemExit)):
            sys.stderr.write(STOPPING)
            sys.stderr.flush()
        process.send_signal(signal.SIGINT)
        process.communicate()
        raise
    finally:
        sentry.leave()
    if sentry.failure is not None:
        raise sentry.failure


class _Sentry:
    """Call `check` repeatedly while a command runs; stop the command when it raises."""

    def __init__(self, process: subprocess.Popen[str], check: Check | None) -> None:
        self.failure: OperatorError | None = None
        self._process = process
        self._check = check
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        if check is not None:
            self._thread.start()

    def leave(self) -> None:
        """Stop watching; the command has ended."""
        self._over.set()
        if self._check is not None:
            self._thread.join()

    def _watch(self) -> None:
        assert self._check is not None
        while not self._over.wait(CHECK_SECONDS):
            try:
                self._check()
            except OperatorError as error:
                self.failure = error
                self._stop()
                return

    def _stop(self) -> None:
        self._process.send_signal(signal.SIGINT)
        if not self._over.wait(GRACE_SECONDS) and self._process.poll() is None:
            # The command leads a process group, with its provider in it.
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
