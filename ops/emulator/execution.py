"""An execution environment of a function: one process under AWS's runtime interface client.

Frozen between invocations, stopped without a signal to the function, and killed at its time-out and memory.
Source: Lambda developer guide, "Understanding the Lambda execution environment lifecycle": of functions
without extensions, the Shutdown phase takes no time, and none gets SIGTERM.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import time
from collections.abc import Callable
from typing import Final

from ops.emulator.process_group import BYTES_PER_MB, Address, Command, ProcessGroup
from ops.emulator.reaper import Reaper
from ops.emulator.runtime_api import Answer, Invocation, RuntimeApi

# How often memory and a silent end of the process are noticed.
TICK_SECONDS: Final = 0.05
READ_BYTES: Final = 1 << 16


class EnvironmentEndedError(Exception):
    """The environment can serve no more; the classes below say why."""

    error_type = "Runtime.ExitError"


class TimedOutError(EnvironmentEndedError):
    """The deadline passed."""

    error_type = "Sandbox.Timedout"


class OutOfMemoryError(EnvironmentEndedError):
    """The process had more memory than the function is configured with."""

    error_type = "Runtime.OutOfMemory"


class RuntimeExitedError(EnvironmentEndedError):
    """The process ended. Its text is what Lambda says about it."""


class InitRefusedError(EnvironmentEndedError):
    """The runtime reported that it can't load the function."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


class ExecutionEnvironment:
    """One process, its Runtime API and what it logs. It is used by one thread at a time, but for `kill`."""

    def __init__(self, command: Command, reaper: Reaper) -> None:
        self._memory = command.memory_mb
        self._log = bytearray()
        self._peak = 0
        with contextlib.ExitStack() as opened:
            self._selector = opened.enter_context(selectors.DefaultSelector())
            self._api = opened.enter_context(
                contextlib.closing(RuntimeApi(self._selector, self._has_connection))
            )
            variables = {"AWS_LAMBDA_RUNTIME_API": self._api.address}
            group = ProcessGroup(command, variables, reaper)
            self._processes = opened.enter_context(contextlib.closing(group))
            os.set_blocking(group.output.fileno(), False)
            self._selector.register(group.output, selectors.EVENT_READ, self._read_log)
            self._opened = opened.pop_all()

    @property
    def peak_mb(self) -> int:
        """The most memory that the process had, in MB."""
        return -(-self._peak // BYTES_PER_MB)

    def wait_until_ready(self, deadline: float) -> None:
        """Serve until the runtime asks for an invocation; `deadline` is monotonic, in seconds.

        Raises
        ------
        EnvironmentEndedError
            It did not.
        """
        self._serve(lambda: self._api.is_idle or self._api.init_error is not None, deadline)
        if self._api.init_error is not None:
            raise InitRefusedError(self._api.init_error)

    def invoke(self, invocation: Invocation, deadline: float) -> Answer:
        """Run one invocation, and freeze the process when it asks for the next; `deadline` is monotonic.

        Raises
        ------
        EnvironmentEndedError
            The process ended without an answer, or was killed.
        """
        self._processes.signal(signal.SIGCONT)
        self._api.give(invocation)
        self._serve(lambda: self._api.answer is not None, deadline)
        answer = self._api.answer
        assert answer is not None
        with contextlib.suppress(RuntimeExitedError):
            # The answer counts, whatever the process does after it.
            self._serve(lambda: self._api.is_idle, deadline)
        self._processes.signal(signal.SIGSTOP)
        return answer

    def take_log(self) -> str:
        """Return what the process wrote since the last call."""
        self._read_log()
        text = self._log.decode("utf-8", "replace")
        self._log.clear()
        return text

    def poll(self) -> int | None:
        """Return the exit status of the process, or None while it lives."""
        return self._processes.poll()

    def kill(self) -> None:
        """Kill the process and what it started."""
        self._processes.signal(signal.SIGKILL)

    terminate = kill

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the process has ended, at most `timeout` seconds."""
        return self._processes.wait(timeout)

    def close(self) -> None:
        """Kill the process, and close its port and its log."""
        self._opened.close()

    def _serve(self, until: Callable[[], bool], deadline: float) -> None:
        while True:
            self._check_memory()
            if until():
                return
            status = self.poll()
            if status is not None:
                self._read_log()
                raise RuntimeExitedError(_exit_text(status))
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimedOutError
            for key, _events in self._selector.select(min(left, TICK_SECONDS)):
                key.data()

    def _has_connection(self, local: Address, remote: Address) -> bool:
        return self._processes.has_connection(local, remote)

    def _check_memory(self) -> None:
        self._peak = max(self._peak, self._processes.peak_bytes())
        if self._peak > self._memory * BYTES_PER_MB:
            raise OutOfMemoryError("Runtime exited with error: signal: killed")

    def _read_log(self) -> None:
        while True:
            try:
                part = os.read(self._processes.output.fileno(), READ_BYTES)
            except BlockingIOError:
                return
            if not part:
                with contextlib.suppress(KeyError):
                    self._selector.unregister(self._processes.output)
                return
            self._log += part


def _exit_text(status: int) -> str:
    if status == 0:
        return "Runtime exited without providing a reason"
    if status < 0:
        return f"Runtime exited with error: signal: {(signal.strsignal(-status) or '').lower()}"
    return f"Runtime exited with error: exit status {status}"
