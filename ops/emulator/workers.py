"""Worker processes of Python functions: MiniStack's interface to `python_worker.py`."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path
from typing import Any, Final

from ministack.core import lambda_runtime, responses

from ops.emulator.python_worker import END_OF_LOG

SCRIPT: Final = Path(__file__).with_name("python_worker.py")
# Python packages that Lambda's runtime includes (developer guide, "Runtime-included SDK versions").
RUNTIME_PACKAGES: Final = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")
# The log of an invocation is complete within this time after its end, unless the process hangs.
LOG_SECONDS: Final = 2.0
DEFAULT_MEMORY_MB: Final = 128
# MiniStack's message for a process that ended during an invocation.
PROCESS_DIED: Final = "Worker process died"

_code_lock = threading.Lock()


class PythonWorker(lambda_runtime.Worker):  # type: ignore[misc] # MiniStack has no type information
    """A process that sees what a Lambda function sees: its own code and environment, and nothing else."""

    def _spawn(self) -> None:
        config = self.config
        code = _code_folder(self.code_zip)
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(SCRIPT)],
            cwd=code,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
            env=_environment(config, code),
        )
        self._proc: Any = process
        self._stderr_queue: queue.Queue[str] = queue.Queue()
        self._stderr_thread = threading.Thread(target=self._read_stderr, daemon=True)
        self._stderr_thread.start()
        start = {"code_dir": str(code), "runtime_dir": str(_runtime_folder()), "handler": config["Handler"]}
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(start) + "\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline() or '{"status": "error", "error": "process died"}')
        if answer["status"] != "ready":
            raise RuntimeError(answer["error"])
        self._start_time = time.time()

    def _read_stderr(self) -> None:
        # Both are replaced together with the process, and this thread belongs to the first one.
        lines, stream = self._stderr_queue, self._proc.stderr
        with stream:
            for line in stream:
                lines.put(line.rstrip("\n"))
        lines.put(END_OF_LOG)

    def _drain_stderr_bounded(self, *_arguments: float) -> str:
        """Return what the invocation wrote, up to the line that ends its log."""
        lines: list[str] = []
        deadline = time.monotonic() + LOG_SECONDS
        while True:
            try:
                line = self._stderr_queue.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return "\n".join(lines)
            if line == END_OF_LOG:
                return "\n".join(lines)
            lines.append(line)

    def invoke(self, event: Any, request_id: str, **options: Any) -> dict[str, Any]:
        """Run one invocation; the result of a failure has the error under `failure`, as Lambda reports it."""
        try:
            result: dict[str, Any] = super().invoke(event, request_id, **options)
        except RuntimeError as exc:
            failure = {"errorMessage": str(exc), "errorType": "Runtime.ImportModuleError"}
            return {"status": "error", "error": str(exc), "failure": failure, "log": self._init_log()}
        if result.get("error") == PROCESS_DIED:
            result["failure"] = {
                "errorType": "Runtime.ExitError",
                "errorMessage": f"RequestId: {request_id} Error: Runtime exited with error: signal: killed",
            }
        if "failure" in result:
            result |= {"status": "error", "error": result["failure"]["errorMessage"]}
        return result

    def _init_log(self) -> str:
        log = self._drain_stderr_bounded()
        lambda_runtime.kill_workers([self])
        return log


def _code_folder(code_zip: bytes) -> Path:
    """Return the folder with the unpacked zip, which all workers of a function share."""
    folder = Path(tempfile.gettempdir()) / "code" / hashlib.sha256(code_zip).hexdigest()
    with _code_lock:
        if not folder.exists():
            unpacked = Path(tempfile.mkdtemp(prefix="code-"))
            with zipfile.ZipFile(io.BytesIO(code_zip)) as archive:
                archive.extractall(unpacked)
            folder.parent.mkdir(exist_ok=True)
            unpacked.rename(folder)
    return folder


def _runtime_folder() -> Path:
    """Return a folder with links to the packages of Lambda's runtime."""
    folder = Path(tempfile.gettempdir()) / "runtime"
    with _code_lock:
        if not folder.exists():
            unfinished = Path(tempfile.mkdtemp(prefix="runtime-"))
            for name in RUNTIME_PACKAGES:
                spec = importlib.util.find_spec(name)
                if spec is None or spec.origin is None:
                    continue
                origin = Path(spec.origin)
                source = origin.parent if origin.name == "__init__.py" else origin
                (unfinished / source.name).symlink_to(source)
            unfinished.rename(folder)
    return folder


def _environment(config: dict[str, Any], code: Path) -> dict[str, str]:
    """Return the variables of an execution environment; only PATH is inherited.

    Source: Lambda developer guide, "Defined runtime environment variables".
    """
    _account, region = lambda_runtime._account_region_from_function_config(config)
    logging = config.get("LoggingConfig") or {}
    name = config["FunctionName"]
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "TMPDIR": tempfile.gettempdir(),
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{config.get('Runtime', '')}",
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": config.get("Version", "$LATEST"),
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.get("MemorySize", DEFAULT_MEMORY_MB)),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": logging.get("LogGroup") or f"/aws/lambda/{name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": responses.new_uuid(),
        "LAMBDA_TASK_ROOT": str(code),
        "_HANDLER": config["Handler"],
        # On Lambda the SDK finds both in other ways; here it must not look elsewhere.
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}",
    }
    if logging.get("LogFormat") == "JSON":
        environment["AWS_LAMBDA_LOG_FORMAT"] = "JSON"
        environment["AWS_LAMBDA_LOG_LEVEL"] = logging.get("ApplicationLogLevel") or "INFO"
    own = (config.get("Environment") or {}).get("Variables") or {}
    reserved = lambda_runtime._RESERVED_RUNTIME_ENV_VARS
    environment |= {key: value for key, value in own.items() if key not in reserved}
    credentials: dict[str, str] = lambda_runtime.execution_credentials(config)
    return environment | credentials
