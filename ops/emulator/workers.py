"""Worker processes of Python functions: MiniStack's interface to execution environments."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final

from ministack.core import lambda_runtime

from ops.emulator import environments, platform_log
from ops.emulator.environments import LogStream
from ops.emulator.execution import (
    EnvironmentEndedError,
    ExecutionEnvironment,
    InitRefusedError,
    TimedOutError,
)
from ops.emulator.platform_log import CONTINUATION, InvocationLog, Usage
from ops.emulator.runtime_api import Invocation

Data = dict[str, Any]
# Lambda's Init phase (developer guide, "Understanding the Lambda execution environment lifecycle").
INIT_SECONDS: Final = 10.0
# Lambda's default (API reference, CreateFunction).
DEFAULT_TIMEOUT_SECONDS: Final = 3


@dataclass(frozen=True)
class Request:
    """What an invocation gets from its caller."""

    request_id: str
    event: Any
    trace_id: str | None
    client_context: str | None


class FunctionWorker(lambda_runtime.Worker):  # type: ignore[misc] # MiniStack has no type information
    """An execution environment that MiniStack keeps for a function; a new one replaces one that ended."""

    environment: ExecutionEnvironment | None = None
    stream: LogStream
    # By this name MiniStack polls and kills it.
    _proc: ExecutionEnvironment | None

    def run(self, request: Request) -> Data:
        """Run one invocation; return what MiniStack calls the result of an execution."""
        with self._lock:
            if self.environment is not None and self.environment.poll() is not None:
                self.stop()
            try:
                return _Run(self, request).result()
            finally:
                if self.environment is not None and self.environment.poll() is not None:
                    self.stop()

    def start(self) -> ExecutionEnvironment:
        """Start a new environment, with a log stream of its own."""
        self.stop()
        self.stream = environments.new_log_stream(self.config)
        self.environment = environments.start(self.config, self.code_zip, self.stream)
        self._proc = self.environment
        return self.environment

    def stop(self) -> None:
        """Kill the environment, if there is one."""
        if self.environment is not None:
            self.environment.close()
        self.environment = self._proc = None

    def _discard_tmpdir(self) -> None:
        """Close what a killed environment held; an invocation that runs in it does so itself."""
        if self._lock.acquire(blocking=False):
            try:
                self.stop()
            finally:
                self._lock.release()


class _Run:
    """One invocation: the Init phase if the worker has no environment, then the Invoke phase."""

    def __init__(self, worker: FunctionWorker, request: Request) -> None:
        config = worker.config
        self._worker = worker
        self._request = request
        self._seconds = float(config.get("Timeout") or DEFAULT_TIMEOUT_SECONDS)
        version = config.get("Version", "$LATEST")
        self._log = InvocationLog(config.get("LoggingConfig") or {}, request.request_id, version)
        self._init_seconds: float | None = None
        self._peak_mb = 0
        self._started = time.monotonic()

    def result(self) -> Data:
        """Return the function's result, or its error in Lambda's words."""
        try:
            environment = self._worker.environment or self._initialised()
            if not self._log.is_started:
                self._begin()
            deadline = self._started + self._seconds
            answer = environment.invoke(self._invocation(deadline), deadline)
            self._read(environment)
        except EnvironmentEndedError as ended:
            return self._ended(ended)
        status = platform_log.ERROR if answer.error_type else platform_log.SUCCESS
        return self._finished(answer.value(), status, answer.error_type)

    def _initialised(self) -> ExecutionEnvironment:
        """Return a new environment that waits for an invocation.

        A first Init phase that fails is repeated within the invocation, under the function's time-out.
        """
        self._log.init_start(self._worker.config["Runtime"])
        environment = self._worker.start()
        try:
            environment.wait_until_ready(self._started + INIT_SECONDS)
        except EnvironmentEndedError as ended:
            self._read(environment)
            status = platform_log.TIMEOUT if isinstance(ended, TimedOutError) else platform_log.ERROR
            self._log.init_failed(time.monotonic() - self._started, status, _error_type(ended))
            self._begin()
            environment = self._worker.start()
            environment.wait_until_ready(self._started + self._seconds)
        else:
            self._init_seconds = time.monotonic() - self._started
        self._read(environment)
        return environment

    def _begin(self) -> None:
        self._log.start()
        self._started = time.monotonic()

    def _invocation(self, deadline: float) -> Invocation:
        request = self._request
        return Invocation(
            request.request_id,
            request.event,
            self._worker.config.get("FunctionArn", ""),
            time.time() + deadline - time.monotonic(),
            request.trace_id,
            request.client_context,
        )

    def _read(self, environment: ExecutionEnvironment) -> None:
        self._log.output(environment.take_log())
        self._peak_mb = environment.peak_mb

    def _ended(self, ended: EnvironmentEndedError) -> Data:
        """Return the error of an environment that ended, and discard it."""
        if self._worker.environment is not None:
            self._read(self._worker.environment)
            self._worker.stop()
        if isinstance(ended, InitRefusedError):
            return self._finished(ended.answer.value(), platform_log.FAILURE, ended.answer.error_type)
        request_id = self._request.request_id
        timed_out = isinstance(ended, TimedOutError)
        message = f"Task timed out after {self._seconds:.2f} seconds" if timed_out else str(ended)
        error = f"RequestId: {request_id} Error: {message}"
        if timed_out:
            self._log.failed(f"{platform_log.now()} {request_id} {message}")
        else:
            self._log.failed(f"{error}{CONTINUATION}{ended.error_type}")
        status = platform_log.TIMEOUT if timed_out else platform_log.FAILURE
        body = {"errorType": ended.error_type, "errorMessage": error}
        return self._finished(body, status, ended.error_type)

    def _finished(self, body: Any, status: str, error_type: str | None) -> Data:
        seconds = time.monotonic() - self._started
        memory = environments.memory_mb(self._worker.config)
        self._log.end(Usage(seconds, self._init_seconds, memory, self._peak_mb), status, error_type)
        result: Data = {
            "body": body,
            "log": "\n".join(self._log.lines),
            "log_source": self._worker.stream,
        }
        return result | ({"error": True, "function_error": "Unhandled"} if error_type else {})


def _error_type(ended: EnvironmentEndedError) -> str | None:
    return ended.answer.error_type if isinstance(ended, InitRefusedError) else ended.error_type
