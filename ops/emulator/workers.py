"""Worker processes of Python functions: MiniStack's interface to execution environments."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import tempfile
import threading
import time
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ministack.core import lambda_runtime, responses

from ops.emulator import platform_log
from ops.emulator.execution import (
    Command,
    EnvironmentEndedError,
    ExecutionEnvironment,
    InitRefusedError,
    OutOfMemoryError,
    TimedOutError,
)
from ops.emulator.platform_log import InvocationLog, Usage
from ops.emulator.reaper import Reaper
from ops.emulator.runtime_api import Answer, Invocation
from ops.emulator.runtime_packages import interpreter, link_packages
from ops.local.clients import Credentials

Data = dict[str, Any]
# Lambda's Init phase (developer guide, "Understanding the Lambda execution environment lifecycle").
INIT_SECONDS: Final = 10.0
# Lambda's defaults (API reference, CreateFunction).
DEFAULT_MEMORY_MB: Final = 128
DEFAULT_TIMEOUT_SECONDS: Final = 3

_folder_lock = threading.Lock()
_reaper = Reaper()


@dataclass(frozen=True)
class LogStream:
    """Where the log of an environment goes."""

    group: str
    name: str


class FunctionWorker(lambda_runtime.Worker):  # type: ignore[misc] # MiniStack has no type information
    """An execution environment that MiniStack keeps for a function, started anew when it has ended."""

    def run(self, event: Any, request_id: str, *, trace_id: str | None, client_context: str | None) -> Data:
        """Run one invocation; return what MiniStack calls the result of an execution."""
        with self._lock:
            return _Run(self, event, request_id, trace_id, client_context).result()

    def _discard_tmpdir(self) -> None:
        """Close what a killed environment held; an invocation that runs in it does so itself."""
        environment = getattr(self, "environment", None)
        if environment is not None and self._lock.acquire(blocking=False):
            environment.close()
            self._lock.release()


class _Run:
    """One invocation in a worker's environment: the Init phase if it is cold, then the Invoke phase."""

    def __init__(
        self,
        worker: FunctionWorker,
        event: Any,
        request_id: str,
        trace_id: str | None,
        client_context: str | None,
    ) -> None:
        config = worker.config
        self._worker = worker
        self._event = event
        self._request_id = request_id
        self._trace_id = trace_id
        self._client_context = client_context
        self._seconds = float(config.get("Timeout") or DEFAULT_TIMEOUT_SECONDS)
        self._log = InvocationLog(
            config.get("LoggingConfig") or {}, request_id, config.get("Version", "$LATEST")
        )
        self._init_seconds: float | None = None
        self._started = time.monotonic()

    def result(self) -> Data:
        """Return the function's result, or its error in Lambda's words."""
        try:
            deadline = self._prepare()
            answer = self._invoke(deadline)
        except EnvironmentEndedError as ended:
            return self._ended(ended)
        status = platform_log.ERROR if answer.error_type else platform_log.SUCCESS
        return self._answered(answer, status)

    @property
    def _environment(self) -> ExecutionEnvironment:
        environment: ExecutionEnvironment = self._worker.environment
        return environment

    def _prepare(self) -> float:
        """Make the environment ready; return the monotonic time by which the invocation must end.

        A first Init phase that fails is repeated within the invocation, under the function's time-out.
        """
        worker = self._worker
        if worker._proc is not None and worker._proc.poll() is None:
            self._begin()
            return self._started + self._seconds
        self._log.init_start(worker.config["Runtime"])
        self._start()
        try:
            self._environment.wait_until_ready(self._started + INIT_SECONDS)
        except EnvironmentEndedError as ended:
            self._log.output(self._environment.take_log())
            status = platform_log.TIMEOUT if isinstance(ended, TimedOutError) else platform_log.ERROR
            self._log.init_failed(time.monotonic() - self._started, status, _error_type(ended))
            self._environment.close()
            self._begin()
            self._start()
            self._environment.wait_until_ready(self._started + self._seconds)
        else:
            self._init_seconds = time.monotonic() - self._started
            self._log.output(self._environment.take_log())
            self._begin()
        return self._started + self._seconds

    def _begin(self) -> None:
        self._log.start()
        self._started = time.monotonic()

    def _start(self) -> None:
        worker = self._worker
        config = worker.config
        code = _code_folder(worker.code_zip)
        runtime = str(config["Runtime"])
        packages = _packages_folder(runtime)
        stream = _log_stream(config)
        arguments = (interpreter(runtime), "-S", "-s", "-m", "awslambdaric", config["Handler"])
        variables = environment_variables(config, code, packages, stream)
        memory = int(config.get("MemorySize") or DEFAULT_MEMORY_MB)
        worker.stream = stream
        worker.environment = ExecutionEnvironment(Command(arguments, code, variables, memory), _reaper)
        worker._proc = worker.environment

    def _invoke(self, deadline: float) -> Answer:
        seconds = deadline - time.monotonic()
        invocation = Invocation(
            self._request_id,
            self._event,
            self._worker.config.get("FunctionArn", ""),
            time.time() + seconds,
            self._trace_id,
            self._client_context,
        )
        return self._environment.invoke(invocation, deadline)

    def _ended(self, ended: EnvironmentEndedError) -> Data:
        """Return the error of an environment that ended, and discard it."""
        self._log.output(self._environment.take_log())
        self._environment.close()
        self._worker._proc = None
        if isinstance(ended, InitRefusedError):
            return self._answered(ended.answer, platform_log.FAILURE)
        message = str(ended)
        if isinstance(ended, TimedOutError):
            message = f"Task timed out after {self._seconds:.2f} seconds"
            self._log.failed(f"{platform_log.now()} {self._request_id} {message}")
        else:
            self._log.failed(f"RequestId: {self._request_id} Error: {message}{platform_log.CONTINUATION}{ended.error_type}")
        status = platform_log.TIMEOUT if isinstance(ended, TimedOutError) else platform_log.FAILURE
        body = {
            "errorType": ended.error_type,
            "errorMessage": f"RequestId: {self._request_id} Error: {message}",
        }
        return self._finished(body, status, ended.error_type)

    def _answered(self, answer: Answer, status: str) -> Data:
        return self._finished(answer.value(), status, answer.error_type)

    def _finished(self, body: Any, status: str, error_type: str | None) -> Data:
        environment = self._environment
        if self._worker._proc is not None:
            self._log.output(environment.take_log())
        usage = Usage(
            time.monotonic() - self._started,
            self._init_seconds,
            int(self._worker.config.get("MemorySize") or DEFAULT_MEMORY_MB),
            environment.peak_mb,
        )
        self._log.end(usage, status, error_type)
        result: Data = {"body": body, "log": "\n".join(self._log.lines), "log_source": self._worker.stream}
        return result | ({"error": True, "function_error": "Unhandled"} if error_type else {})


def _error_type(ended: EnvironmentEndedError) -> str | None:
    return ended.answer.error_type if isinstance(ended, InitRefusedError) else ended.error_type


def _code_folder(code_zip: bytes) -> Path:
    """Return the folder with the unpacked zip, which all workers of a function share."""
    folder = Path(tempfile.gettempdir()) / "code" / hashlib.sha256(code_zip).hexdigest()
    with _folder_lock:
        if not folder.exists():
            unpacked = Path(tempfile.mkdtemp(prefix="code-"))
            with zipfile.ZipFile(io.BytesIO(code_zip)) as archive:
                archive.extractall(unpacked)
            folder.parent.mkdir(exist_ok=True)
            unpacked.rename(folder)
    return folder


def _packages_folder(runtime: str) -> Path:
    """Return the folder with the packages of a runtime, which all functions share."""
    folder = Path(tempfile.gettempdir()) / f"runtime-{runtime}"
    with _folder_lock:
        if not folder.exists():
            link_packages(runtime, folder)
    return folder


def _log_stream(config: Data) -> LogStream:
    group = (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{config['FunctionName']}"
    day = datetime.now(UTC).strftime("%Y/%m/%d")
    unique = responses.new_uuid().replace("-", "")
    return LogStream(group, f"{day}/[{config.get('Version', '$LATEST')}]{unique}")


def environment_variables(config: Data, code: Path, packages: Path, stream: LogStream) -> dict[str, str]:
    """Return the variables of an execution environment; only PATH is inherited.

    Source: Lambda developer guide, "Defined runtime environment variables".
    """
    _account, region = lambda_runtime._account_region_from_function_config(config)
    logging = config.get("LoggingConfig") or {}
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "TMPDIR": tempfile.gettempdir(),
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{config.get('Runtime', '')}",
        "AWS_LAMBDA_FUNCTION_NAME": config["FunctionName"],
        "AWS_LAMBDA_FUNCTION_VERSION": config.get("Version", "$LATEST"),
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.get("MemorySize", DEFAULT_MEMORY_MB)),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": stream.group,
        "AWS_LAMBDA_LOG_STREAM_NAME": stream.name,
        "LAMBDA_TASK_ROOT": str(code),
        "LAMBDA_RUNTIME_DIR": str(packages),
        "PYTHONPATH": str(packages),
        "_HANDLER": config["Handler"],
        # On Lambda the SDK finds both in other ways; here it must not look elsewhere.
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}",
    }
    if logging.get("LogFormat") == platform_log.JSON_FORMAT:
        environment["AWS_LAMBDA_LOG_FORMAT"] = platform_log.JSON_FORMAT
        environment["AWS_LAMBDA_LOG_LEVEL"] = logging.get("ApplicationLogLevel") or "INFO"
    own = (config.get("Environment") or {}).get("Variables") or {}
    reserved = lambda_runtime._RESERVED_RUNTIME_ENV_VARS
    environment |= {key: value for key, value in own.items() if key not in reserved}
    credentials: dict[str, str] = lambda_runtime.execution_credentials(config)
    # MiniStack's access key is the account number, which everybody knows, and the front refuses it.
    return environment | credentials | Credentials.of(os.environ).environment()


def client_context_of(header: str | None) -> str | None:
    """Return the client context of an Invoke request: its header is JSON in base64."""
    return base64.b64decode(header).decode() if header else None
