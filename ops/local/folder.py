"""A run's own folder below `build`, and the removal of folders that killed runs left behind."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from ops import ROOT
from ops.local.guardian import MARKER, Guardian, clean_up

RUNS: Final = ROOT / "build" / "runs"
LOCK_NAME: Final = "in-use.lock"


@contextmanager
def run_folder(runs: Path = RUNS) -> Iterator[Path]:
    """Yield a new folder in `runs` for one run; afterwards end the run's processes and remove the folder.

    The marker is set in this process's environment, so everything that the run starts inherits it.
    Runs don't disturb each other: each has its own folder and ports.
    """
    with ExitStack() as held:
        with _between_runs(runs):
            _sweep(runs)
            folder = Path(tempfile.mkdtemp(dir=runs))
            held.enter_context(Guardian(folder))
            lock = held.enter_context((folder / LOCK_NAME).open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        before = os.environ.get(MARKER)
        os.environ[MARKER] = str(folder)
        try:
            yield folder
        finally:
            _restore(before)


@contextmanager
def _between_runs(runs: Path) -> Iterator[None]:
    """Lock sweeping and creating folders, so that no folder is removed before its run holds its lock."""
    runs.mkdir(parents=True, exist_ok=True)
    with (runs / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _restore(before: str | None) -> None:
    if before is None:
        os.environ.pop(MARKER, None)
    else:
        os.environ[MARKER] = before


def _sweep(runs: Path) -> None:
    """Clean up after runs that were killed together with their guardian: their lock is free."""
    for folder in filter(Path.is_dir, runs.iterdir()):
        lock_path = folder / LOCK_NAME
        try:
            with lock_path.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                clean_up(folder)
        except OSError:
            continue
