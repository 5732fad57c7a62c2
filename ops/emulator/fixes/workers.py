"""Functions run as in Lambda: under AWS's runtime interface client, in bounded processes.

MiniStack's workers import the emulator's packages, inherit its environment, end after every exception of the
handler, report each as `Runtime.HandlerError`, truncate the log of a slow pipe, have no upper limit, and drop
the client context.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, Final

from ministack.core import lambda_runtime
from ministack.services import cloudwatch_logs, lambda_svc

from ops.emulator import limits
from ops.emulator.environments import LogStream
from ops.emulator.patching import original, replace
from ops.emulator.platform_log import CONTINUATION
from ops.emulator.request_rules import LOG_EVENT_BYTES
from ops.emulator.workers import FunctionWorker, Request

Data = dict[str, Any]
MAX_WORKERS: Final = 8
THROTTLED: Final = "ReservedFunctionConcurrentInvocationLimitExceeded"

_client_context: ContextVar[str | None] = ContextVar("client_context", default=None)


def apply() -> None:
    """Use our worker for Python functions without layers, and MiniStack's for others."""
    for name in ("_ensure_reaper_thread", "_throttle_response", "_xray_trace_id_for_invocation"):
        original(lambda_svc, name)
    for name in ("_log_groups", "_create_log_group", "_create_log_stream", "_put_log_events"):
        original(cloudwatch_logs, name)
    for name in ("acquire_worker", "release_worker"):
        original(lambda_runtime, name)
    original(lambda_runtime.Worker, "_discard_tmpdir")
    worker_class: Callable[[Data], type] = original(lambda_runtime, "_worker_class_for")
    execute: Callable[[Data, Any, str], Data] = original(lambda_svc, "_execute_function_warm")
    invoke_function = original(lambda_svc, "_invoke")
    emit = original(lambda_svc, "_emit_lambda_logs")

    async def invoke(name: str, event: Any, headers: Data, *rest: Any, **options: Any) -> Any:
        # The thread of a synchronous invocation inherits it; asynchronous ones have their own threads.
        given = headers.get("x-amz-client-context")
        _client_context.set(base64.b64decode(given).decode() if given else None)
        return await invoke_function(name, event, headers, *rest, **options)

    def worker_class_for(config: Data) -> type:
        return FunctionWorker if _is_ours(config) else worker_class(config)

    def execute_function_warm(function: Data, event: Any, request_id: str) -> Data:
        config = function.get("config") or function
        if not (_is_ours(config) and function.get("code_zip")):
            return execute(function, event, request_id)
        return _execute(config, function["code_zip"], event, request_id)

    def emit_lambda_logs(function: Data, request_id: str, log: str, *rest: Any, **options: Any) -> None:
        stream = options.get("log_source")
        if isinstance(stream, LogStream):
            _write(stream, log)
        else:
            emit(function, request_id, log, *rest, **options)

    replace(lambda_svc, "_invoke", invoke)
    replace(lambda_runtime, "_LOCAL_MAX_WORKERS", MAX_WORKERS)
    replace(lambda_runtime, "_worker_class_for", worker_class_for)
    replace(lambda_svc, "_execute_function_warm", execute_function_warm)
    replace(lambda_svc, "_emit_lambda_logs", emit_lambda_logs)


def _is_ours(config: Data) -> bool:
    return str(config.get("Runtime", "")).startswith("python") and not config.get("Layers")


def _execute(config: Data, code_zip: bytes, event: Any, request_id: str) -> Data:
    lambda_svc._ensure_reaper_thread()
    name = config["FunctionName"]
    qualifier = config.get("Version", "$LATEST")
    worker, _reason = lambda_runtime.acquire_worker(name, config, code_zip, qualifier=qualifier)
    if worker is None:
        message = f"Rate Exceeded: function {name} has {MAX_WORKERS} environments on this machine"
        throttled: Data = lambda_svc._throttle_response(reason_code=THROTTLED, msg=message)
        return throttled
    try:
        trace_id = lambda_svc._xray_trace_id_for_invocation(config)
        result: Data = worker.run(Request(request_id, event, trace_id, _client_context.get()))
        return result
    finally:
        lambda_runtime.release_worker(worker)


def _write(stream: LogStream, log: str) -> None:
    if stream.group not in cloudwatch_logs._log_groups:
        cloudwatch_logs._create_log_group({"logGroupName": stream.group})
    names = {"logGroupName": stream.group, "logStreamName": stream.name}
    if stream.name not in cloudwatch_logs._log_groups[stream.group]["streams"]:
        cloudwatch_logs._create_log_stream(names)
    lines = [line.replace(CONTINUATION, "\n") for line in log.split("\n") if line]
    events = [{"message": message} for line in lines for message in _messages(line)]
    cloudwatch_logs._put_log_events(names | {"logEvents": events})


def _messages(line: str) -> Iterator[str]:
    """Yield a line in parts that each fit into a log event."""
    left, most = line.encode(), limits.LOG_EVENT.value - LOG_EVENT_BYTES
    while left:
        # A character that is cut is left for the next part.
        part = left[:most].decode(errors="ignore")
        yield part
        left = left[len(part.encode()) :]
