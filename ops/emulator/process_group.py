"""A process and whatever it starts: they are signalled together, and end together.

The id of a group can be given again once its first process was waited for and the others have ended.
Therefore what that process leaves behind is killed before it is waited for.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import psutil

from ops.emulator.reaper import Reaper

BYTES_PER_MB: Final = 1 << 20
KILOBYTE: Final = 1024

Address = tuple[str, int]


@dataclass(frozen=True)
class Command:
    """How an environment's process starts."""

    arguments: Sequence[str | Path]
    folder: Path
    environment: Mapping[str, str]
    memory_mb: int


class ProcessGroup:
    """A process group of its own, which ends with the emulator, however that ends.

    Parameters
    ----------
    variables
        Environment variables beside those of the command.
    """

    def __init__(self, command: Command, variables: Mapping[str, str], reaper: Reaper) -> None:
        self._reaper = reaper
        # When a killed emulator leaves it behind, the kernel continues and hangs up what is frozen (POSIX,
        # orphaned process group).
        self._process = subprocess.Popen(
            command.arguments,
            cwd=command.folder,
            env={**command.environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        assert self._process.stdout is not None
        self.output: IO[bytes] = self._process.stdout
        try:
            reaper.watch(self._process.pid)
        except BaseException:
            self.close()
            raise

    def poll(self) -> int | None:
        """Return the exit status of the first process, or None while it lives; the others end with it."""
        if self._process.returncode is None and self._has_ended():
            self.wait()
        return self._process.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Kill the group, and wait until the first process has ended, at most `timeout` seconds."""
        if self._process.returncode is None:
            self.signal(signal.SIGKILL)
            self._process.wait(timeout)
            self._reaper.forget(self._process.pid)
        return int(self._process.returncode)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to every process of the group."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    def close(self) -> None:
        """Kill the group, and close what it writes to."""
        self.wait()
        self.output.close()

    def peak_bytes(self) -> int:
        """Return the most resident memory of the first process so far; its present one where Linux isn't."""
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_bytes()
        except OSError:
            status = b""
        _, found, rest = status.partition(b"VmHWM:")
        if found:
            return int(rest.split(maxsplit=1)[0]) * KILOBYTE
        try:
            return int(psutil.Process(self._process.pid).memory_info().rss)
        except psutil.Error:
            return 0

    def has_connection(self, local: Address, remote: Address) -> bool:
        """Return whether a process of the group has a TCP connection with these ends."""
        return any((local, remote) in _connections(pid) for pid in self._pids())

    def _pids(self) -> Iterator[int]:
        """Yield the ids of the group's processes, the first one first: it has nearly every connection."""
        first = self._process.pid
        yield first
        for pid in psutil.pids():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if pid != first and os.getpgid(pid) == first:
                    yield pid

    def _has_ended(self) -> bool:
        try:
            return bool(psutil.Process(self._process.pid).status() == psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return True


def _connections(pid: int) -> list[tuple[Address, Address]]:
    try:
        return [(each.laddr, each.raddr) for each in psutil.Process(pid).net_connections("tcp4")]
    except psutil.Error:
        return []
