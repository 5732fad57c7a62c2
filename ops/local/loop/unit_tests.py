"""Run unit tests beside the loop; a newer save ends an older run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ops import ROOT
from ops.local.kept import FOLDER

OUTPUT: Final = FOLDER / "unit-tests.log"
PYTEST: Final = (sys.executable, "-m", "pytest", "-q", "--no-header", "--tb=short", "-m", "unit and not slow")
# One process starts faster than several, and a second run beside this one must not share a cache.
ALONE: Final = ("-p", "no:xdist", "-p", "no:cacheprovider")
# Of pytest's output: the failures and its last line.
MOST_LINES: Final = 30
# Pytest's exit codes: all passed, and no test was selected.
GOOD: Final = (0, 5)


@dataclass(frozen=True)
class Outcome:
    """How a run of tests ended: pytest's last line, and the lines that a person needs if it failed."""

    passed: bool
    summary: str
    lines: tuple[str, ...]


class UnitTests:
    """At most one running pytest.

    Parameters
    ----------
    output
        The file for what it prints.
    """

    def __init__(self, output: Path = OUTPUT) -> None:
        self._output = output
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, files: Sequence[Path]) -> None:
        """Run the tests of these files, and end those that still run."""
        self.stop()
        if not files:
            return
        self._output.parent.mkdir(parents=True, exist_ok=True)
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [*PYTEST, *ALONE, *map(str, files)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C reaches it through us.
                start_new_session=True,
            )

    def outcome(self, timeout: float | None = 0) -> Outcome | None:
        """Return how the tests ended, once; None while they run, and where none were started.

        Parameters
        ----------
        timeout
            How long to wait for the end, in seconds; None for as long as it takes.
        """
        if self._process is None:
            return None
        try:
            status = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        self._process = None
        lines = self._output.read_text(errors="replace").splitlines()
        summary = next((line.strip("= ") for line in reversed(lines) if line.strip()), "no output")
        return Outcome(status in GOOD, summary, tuple(lines[-MOST_LINES:]))

    def stop(self) -> None:
        """End the tests that run."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
