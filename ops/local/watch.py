"""Watch the servers of a run: if one ends, the run ends with one line that names it.

The server's log is in the run's folder, which is removed with the run; a copy is kept in `build/logs`.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import psycopg
from botocore.exceptions import BotoCoreError

from ops import ROOT
from ops.errors import OperatorError

KEPT_LOGS: Final = ROOT / "build" / "logs"
# A connection breaks shortly before the kernel reports the end of the process behind it.
ENDING_SECONDS: Final = 2.0
POLL_SECONDS: Final = 0.05
MOST_CHARACTERS: Final = 300
# The server that each client's errors come from.
SERVER_OF: Final[dict[type[Exception], str]] = {
    httpx.HTTPError: "the reference API",
    BotoCoreError: "the embedded AWS",
    psycopg.OperationalError: "PostgreSQL",
}


class ServerEndedError(OperatorError):
    """A server of the run ended or broke a connection; the message names it."""


@dataclass(frozen=True)
class Watched:
    """A server that should run: its name within a sentence, its process, and its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path


class Watch:
    """The servers that should be running; a server that the run stops is removed first."""

    def __init__(self) -> None:
        self._servers: list[Watched] = []

    @contextmanager
    def over(self, name: str, process: subprocess.Popen[bytes], log: Path) -> Iterator[None]:
        """Watch a server within the block."""
        watched = Watched(name, process, log)
        self._servers.append(watched)
        try:
            yield
        finally:
            self._servers.remove(watched)

    def processes(self) -> dict[str, int]:
        """Return the process id of each server by its name."""
        return {server.name.removeprefix("the "): server.process.pid for server in self._servers}

    def check(self, doing: str) -> None:
        """Raise ServerEndedError if a server has ended; `doing` completes the message."""
        for server in tuple(self._servers):
            status = server.process.poll()
            if status is not None:
                raise ServerEndedError(
                    f"{server.name} ended {doing} ({ended_how(status)}){_keep_log(server)}"
                )

    @contextmanager
    def guarding(self, doing: str) -> Iterator[None]:
        """Turn a failure within the block into a ServerEndedError if a server caused it.

        Raises
        ------
        ServerEndedError
            A server has ended, or does not answer correctly.
        """
        try:
            yield
        except ServerEndedError:
            raise
        except tuple(SERVER_OF) as error:
            self._wait_for_end(doing)
            name = next(name for kind, name in SERVER_OF.items() if isinstance(error, kind))
            text = " ".join(str(error).split())[:MOST_CHARACTERS] or type(error).__name__
            raise ServerEndedError(f"{name} failed {doing}: {text}") from error
        except Exception:
            self.check(doing)
            raise

    def _wait_for_end(self, doing: str) -> None:
        deadline = time.monotonic() + ENDING_SECONDS
        while time.monotonic() < deadline:
            self.check(doing)
            time.sleep(POLL_SECONDS)


def ended_how(status: int) -> str:
    """Return how a process ended, by its status: -9 is `killed by SIGKILL`."""
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


def _keep_log(server: Watched) -> str:
    """Copy a server's log so that it outlives the run; return the end of a message that names the copy."""
    kept = KEPT_LOGS / f"{re.sub('[^a-z]+', '-', server.name.removeprefix('the ').lower())}.log"
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(server.log, kept)
    except OSError:
        return ""
    return f"; see {kept.relative_to(ROOT)}"
