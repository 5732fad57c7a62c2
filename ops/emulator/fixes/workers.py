"""Functions run as in Lambda: own code and environment only, failures with their type, bounded processes.

MiniStack's workers import the emulator's packages, inherit its environment, end after every exception of the
handler, report each as `Runtime.HandlerError`, truncate the log of a slow pipe, have no upper limit, and drop
the client context.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from ops.emulator.patching import original, replace
from ops.emulator.python_worker import CLIENT_CONTEXT
from ops.emulator.workers import PythonWorker

Data = dict[str, Any]
MAX_WORKERS: Final = 8


def apply() -> None:
    """Use our worker for Python functions without layers, and MiniStack's for others."""
    worker_class: Callable[[Data], type] = original(lambda_runtime, "_worker_class_for")
    execute: Callable[[Data, Any, str], Data] = original(lambda_svc, "_execute_function_warm")
    for name in ("_spawn", "_read_stderr", "_drain_stderr_bounded", "invoke"):
        original(lambda_runtime.Worker, name)
    invoke_function = original(lambda_svc, "_invoke")
    last = threading.local()
    client_context: ContextVar[str | None] = ContextVar("client_context", default=None)

    async def invoke(name: str, event: Any, headers: Data, *rest: Any, **options: Any) -> Any:
        # The thread of a synchronous invocation inherits it; asynchronous ones have their own threads.
        client_context.set(headers.get("x-amz-client-context"))
        return await invoke_function(name, event, headers, *rest, **options)

    class RememberingWorker(PythonWorker):
        """Keeps the failure for the calling thread: MiniStack passes on only a part of it."""

        def invoke(self, event: Any, request_id: str, **options: Any) -> Data:
            options["durable"] = {**options["durable"], CLIENT_CONTEXT: client_context.get()}
            result = super().invoke(event, request_id, **options)
            last.failure = result.get("failure")
            return result

    def worker_class_for(config: Data) -> type:
        python = str(config.get("Runtime", "")).startswith("python") and not config.get("Layers")
        return RememberingWorker if python else worker_class(config)

    def execute_function_warm(function: Data, event: Any, request_id: str) -> Data:
        last.failure = None
        result = execute(function, event, request_id)
        if result.get("error") and last.failure:
            result["body"] = last.failure
        return result

    replace(lambda_svc, "_invoke", invoke)
    replace(lambda_runtime, "_LOCAL_MAX_WORKERS", MAX_WORKERS)
    replace(lambda_runtime, "_worker_class_for", worker_class_for)
    replace(lambda_svc, "_execute_function_warm", execute_function_warm)
