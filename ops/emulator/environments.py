"""What an execution environment of a Python function starts with: code, packages, variables, log stream."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import threading
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ministack.core import lambda_runtime, responses

from ops.emulator.execution import ExecutionEnvironment
from ops.emulator.platform_log import JSON_FORMAT
from ops.emulator.process_group import Command
from ops.emulator.reaper import Reaper
from ops.emulator.runtime_packages import interpreter, link_packages

Data = dict[str, Any]
# Lambda's default (API reference, CreateFunction).
DEFAULT_MEMORY_MB: Final = 128

_folder_lock = threading.Lock()
_reaper = Reaper()


@dataclass(frozen=True)
class LogStream:
    """Where the log of an environment goes."""

    group: str
    name: str


def start(config: Data, code_zip: bytes, stream: LogStream) -> ExecutionEnvironment:
    """Start an environment of a function.

    Raises
    ------
    OperatorError
        AWS's runtime interface client is not installed for the function's Python, and pip can't install it.
    """
    code = _code_folder(code_zip)
    runtime = str(config["Runtime"])
    packages = _packages_folder(runtime)
    # Without `site`: the function can import its own code, PYTHONPATH and the standard library only.
    arguments = (interpreter(runtime), "-S", "-s", "-m", "awslambdaric", config["Handler"])
    variables = environment_variables(config, code, packages, stream)
    return ExecutionEnvironment(Command(arguments, code, variables, memory_mb(config)), _reaper)


def memory_mb(config: Data) -> int:
    """Return the function's memory in MB."""
    return int(config.get("MemorySize") or DEFAULT_MEMORY_MB)


def new_log_stream(config: Data) -> LogStream:
    """Return the log stream of a new environment, with a name as Lambda gives it."""
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
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{config['Runtime']}",
        "AWS_LAMBDA_FUNCTION_NAME": config["FunctionName"],
        "AWS_LAMBDA_FUNCTION_VERSION": config.get("Version", "$LATEST"),
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory_mb(config)),
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
    if logging.get("LogFormat") == JSON_FORMAT:
        environment["AWS_LAMBDA_LOG_FORMAT"] = JSON_FORMAT
        environment["AWS_LAMBDA_LOG_LEVEL"] = logging.get("ApplicationLogLevel") or "INFO"
    own = (config.get("Environment") or {}).get("Variables") or {}
    reserved = lambda_runtime._RESERVED_RUNTIME_ENV_VARS
    environment |= {key: value for key, value in own.items() if key not in reserved}
    credentials: dict[str, str] = lambda_runtime.execution_credentials(config)
    return environment | credentials


def _code_folder(code_zip: bytes) -> Path:
    """Return the folder with the unpacked zip, which all environments of a function share."""
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
