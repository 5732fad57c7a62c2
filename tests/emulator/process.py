"""Start the embedded AWS in its own process, with or without fixes."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from ops import ROOT
from ops.emulator import limits
from ops.local.clients import Aws
from ops.local.loopback import LOOPBACK, free_port
from ops.local.services import REGION, isolated_environment
from tests.emulator.roles import administrator

DEADLINE_SECONDS = 20.0
POLL_SECONDS = 0.02
# Delay before the first retry of an asynchronous invocation.
RETRY_SECONDS = "0.1"


@dataclass(frozen=True)
class Emulator:
    """A running embedded AWS."""

    aws: Aws
    process: subprocess.Popen[bytes]
    folder: Path

    def workers(self) -> list[psutil.Process]:
        """Return the processes of its functions."""
        found: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        return [process for process in found if _runs_a_function(process)]


def _runs_a_function(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return "awslambdaric" in process.cmdline()
    return False


@contextlib.contextmanager
def running(
    folder: Path, without: Sequence[str] = (), changed: Mapping[str, int] | None = None
) -> Iterator[Emulator]:
    """Run the embedded AWS with its state in `folder`; `changed` has other numbers for some limits."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    command = [sys.executable, "-m", "ops.emulator", "--port", str(port), "--state-dir", str(folder)]
    for name in without:
        command += ["--without", name]
    environment = isolated_environment(folder) | {
        "LAMBDA_ASYNC_RETRY_BASE_SECONDS": RETRY_SECONDS,
        limits.VARIABLE: json.dumps(changed or {}),
    }
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        wait_until(lambda: answers(url), f"{folder / 'server.log'} says why it does not start")
        started = Emulator(Aws(url, REGION), process, folder)
        administrator(started.aws)
        yield started
    finally:
        process.terminate()
        process.wait(DEADLINE_SECONDS)


def answers(url: str) -> bool:
    """Return whether the embedded AWS is up."""
    try:
        control = Aws(url, REGION).control
        asked = urllib.request.Request(f"{url}/_ministack/health", headers=control.headers)  # noqa: S310 - loopback
        with urllib.request.urlopen(asked, timeout=DEADLINE_SECONDS):  # noqa: S310 - loopback
            return True
    except (urllib.error.URLError, ConnectionError):
        return False


def wait_until(holds: Callable[[], bool], otherwise: str) -> None:
    """Wait for a condition; fail with the message after a while."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, otherwise
        time.sleep(POLL_SECONDS)
