"""The console of a kept run, as a process of its own: it has the run's exports, as any command beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ops import ROOT
from ops.local.deployment import ENVIRONMENT
from ops.local.guardian import MARKER
from ops.local.services import (
    POLL_SECONDS,
    START_DEADLINE_SECONDS,
    Services,
    not_started,
    stop,
)

NAME: Final = "the console"
# Whatever it changes is gone with the run.
COMMAND: Final = ("-m", "ops", "console", "--env", ENVIRONMENT, "--allow-changes", "--json")
# What a program needs of the process that starts it, and the mark of the run; the exports have the rest.
KEPT: Final = ("HOME", "PATH", "TMPDIR", MARKER)


@contextmanager
def running_console(services: Services, exports: Mapping[str, str]) -> Iterator[str]:
    """Serve the console of a run within the block; yield its address, which works once.

    Raises
    ------
    ServiceError
        It does not start in time.
    """
    folder = services.folder / "console"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    printed, log = folder / "printed.json", folder / "server.log"
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    with printed.open("wb") as output, log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, *COMMAND],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            cwd=ROOT,
            env=kept | dict(exports),
            start_new_session=True,
        )
    try:
        url = _url(process, printed, log)
        with services.watch.over(NAME, process, log):
            yield url
    finally:
        stop(process)


def _url(process: subprocess.Popen[bytes], printed: Path, log: Path) -> str:
    deadline = time.monotonic() + START_DEADLINE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            return str(json.loads(printed.read_bytes())["url"])
        except ValueError:
            time.sleep(POLL_SECONDS)
    raise not_started(NAME, log)
