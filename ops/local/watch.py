"""A server of a run that ends by itself ends the run, with one line that names it."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ops.errors import OperatorError

POLL_SECONDS = 0.2


class ServiceError(OperatorError):
    """A server of the run did not start, or ended before it was told to."""


@dataclass(frozen=True)
class _Server:
    name: str
    process: subprocess.Popen[bytes]
    log: Path


@dataclass
class Watch:
    """The servers of a run that must be alive while it lasts."""

    _servers: list[_Server] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def over(self, name: str, process: subprocess.Popen[bytes], log: Path) -> Iterator[None]:
        """Watch a server until the block ends: after that it is stopped on purpose."""
        server = _Server(name, process, log)
        with self._lock:
            self._servers.append(server)
        try:
            yield
        finally:
            with self._lock:
                self._servers.remove(server)

    def fallen(self) -> ServiceError | None:
        """Return the error of a server that has ended, or None while all are alive."""
        with self._lock:
            servers = tuple(self._servers)
        for server in servers:
            status = server.process.poll()
            if status is not None:
                how = f"killed by signal {-status}" if status < 0 else f"exit code {status}"
                said = last_line(server.log)
                return ServiceError(
                    f"the {server.name} ended while it was needed ({how}); its log ends: {said}"
                )
        return None


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """End the block, whatever it waits for, once a watched server has ended.

    The main thread is interrupted as by Ctrl-C, which also stops a running Terraform.

    Raises
    ------
    ServiceError
        A server has ended. It takes the place of what failed because of that.
    """
    done = threading.Event()

    def look() -> None:
        while not done.wait(POLL_SECONDS):
            if watch.fallen():
                # A signal, because only one wakes a main thread that waits for a program's output.
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
                return

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        fallen = watch.fallen()
        if fallen is None:
            raise
        raise fallen from error
    finally:
        done.set()
        thread.join()


def last_line(log: Path) -> str:
    """Return the last line that a server wrote."""
    lines = log.read_text(errors="replace").strip().splitlines() if log.is_file() else []
    return lines[-1].strip() if lines else "it said nothing"
