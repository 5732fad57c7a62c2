"""A process that cleans up after a run, however the run ends.

It is started first and reads from a pipe to the run. When the pipe closes, because the run finished, failed,
was interrupted or was killed, it ends every process with the run's marker in its environment and removes the
run's folder. Cleaning up never depends on the run itself.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Final

import psutil

from ops import ROOT

MARKER: Final = "HUNTAZE_LOCAL_RUN"
TERMINATE_SECONDS: Final = 5.0
POLL_SECONDS: Final = 0.05


class Guardian:
    """Guard a run's folder: leaving the context ends what the run started and removes the folder.

    Parameters
    ----------
    folder
        The run's folder; its path is the marker of the run's processes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Guardian:
        environment = {name: value for name, value in os.environ.items() if name != MARKER}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ops.local.guardian", str(self.folder)],
            stdin=subprocess.PIPE,
            cwd=ROOT,
            env=environment,
            start_new_session=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait()
        clean_up(self.folder)


def clean_up(folder: Path) -> None:
    """End every process that has the folder as its marker, then remove the folder.

    It may be called at any time, repeatedly, and for a folder that doesn't exist.
    """
    deadline = time.monotonic() + TERMINATE_SECONDS
    asked: set[int] = set()
    while marked := marked_processes(folder):
        late = time.monotonic() > deadline
        for process in marked:
            if late or process.pid not in asked:
                asked.add(process.pid)
                _signal(process, forcibly=late)
        time.sleep(POLL_SECONDS)
    shutil.rmtree(folder, ignore_errors=True)


def marked_processes(folder: Path) -> list[psutil.Process]:
    """Return the live processes, other than this one, that have the folder as their marker."""
    found = []
    for process in psutil.process_iter():
        try:
            is_marked = process.environ().get(MARKER) == str(folder)
            if is_marked and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def _signal(process: psutil.Process, *, forcibly: bool) -> None:
    try:
        if forcibly:
            process.kill()
        else:
            process.terminate()
    except psutil.Error:
        return


def main() -> None:
    """Wait for the end of the run, then clean up."""
    folder = Path(sys.argv[1])
    while sys.stdin.buffer.read(1):
        pass
    clean_up(folder)


if __name__ == "__main__":
    main()
