"""Watch the servers of a run: one that ends by itself ends the run, with one line that names it.

Its log lies in the run's folder, which is removed with the run; a copy in `build/logs` stays.
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

import httpx
import psycopg
from botocore.exceptions import BotoCoreError

from ops import ROOT
from ops.errors import OperatorError

KEPT_LOGS = ROOT / "build" / "logs"
# A connection breaks a moment before the kernel tells that the process behind it has ended.
ENDING_SECONDS = 2.0
POLL_SECONDS = 0.05
MOST_CHARACTERS = 300
# Which server an error of which client is about.
SPEAKERS: dict[type[Exception], str] = {
    httpx.HTTPError: "the reference API",
    BotoCoreError: "the embedded AWS",
    psycopg.OperationalError: "PostgreSQL",
}


class ServerEndedError(OperatorError):
    """A server of the run ended by itself, or broke off; the message names it."""


@dataclass(frozen=True)
class Watched:
    """A server that is to run: its name within a sentence, its process, and its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path


class Watch:
    """The servers that are running; one that the run stops itself leaves before it ends."""

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

    def check(self, doing: str) -> None:
        """Raise ServerEndedError where a server has ended; `doing` says during what."""
        for server in tuple(self._servers):
            status = server.process.poll()
            if status is not None:
                raise ServerEndedError(f"{server.name} ended {doing} ({_told(status)}){_kept(server)}")

    @contextmanager
    def guarding(self, doing: str) -> Iterator[None]:
        """Blame a failure within the block on the server that has ended, where one has.

        Raises
        ------
        ServerEndedError
            A server has ended, or does not answer as it should.
        """
        try:
            yield
        except ServerEndedError:
            raise
        except tuple(SPEAKERS) as error:
            self._wait_for_an_end(doing)
            name = next(name for kind, name in SPEAKERS.items() if isinstance(error, kind))
            words = " ".join(str(error).split())[:MOST_CHARACTERS] or type(error).__name__
            raise ServerEndedError(f"{name} broke off {doing}: {words}") from error
        except Exception:
            self.check(doing)
            raise

    def _wait_for_an_end(self, doing: str) -> None:
        deadline = time.monotonic() + ENDING_SECONDS
        while time.monotonic() < deadline:
            self.check(doing)
            time.sleep(POLL_SECONDS)


def _told(status: int) -> str:
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


def _kept(server: Watched) -> str:
    """Keep a server's log beyond the run; return the words that name the copy."""
    kept = KEPT_LOGS / f"{re.sub('[^a-z]+', '-', server.name.removeprefix('the ').lower())}.log"
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(server.log, kept)
    except OSError:
        return ""
    return f"; see {kept.relative_to(ROOT)}"
