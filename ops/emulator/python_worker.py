"""Run the invocations of a Python function in its own process, as Lambda's runtime does.

Started as `python -I -S python_worker.py`: the standard library alone can be imported, then the function's
code, then the few packages that Lambda's runtime has. Speaks MiniStack's protocol: one line of JSON each for
the start, for an invocation, and for its result. What the function prints goes to standard error, on which a
line with `END_OF_LOG` alone ends an invocation's part.
"""

from __future__ import annotations

import base64
import importlib
import json
import os
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from typing import Any, Final, TextIO

END_OF_LOG: Final = "\x1eend of log\x1e"
ORPHAN_CHECK_SECONDS: Final = 1.0
# One of the values of a durable execution: MiniStack passes on nothing else beside the event.
CLIENT_CONTEXT: Final = "client_context"
TRACE_VARIABLE: Final = "_X_AMZN_TRACE_ID"


@dataclass(frozen=True)
class ClientContext:
    """What the caller of a synchronous invocation sent besides the event."""

    custom: Any
    env: Any
    client: Any


@dataclass(frozen=True)
class Context:
    """Lambda's context object."""

    function_name: str
    function_version: str
    invoked_function_arn: str
    memory_limit_in_mb: str
    aws_request_id: str
    log_group_name: str
    log_stream_name: str
    deadline: float
    client_context: ClientContext | None
    identity: None = None

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the invocation times out."""
        return max(0, int((self.deadline - time.time()) * 1000))


def main() -> None:
    """Import the handler, then serve invocations until standard input ends."""
    answers = _answers()
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    start = json.loads(sys.stdin.readline())
    sys.path[:0] = [start["code_dir"]]
    sys.path.append(start["runtime_dir"])
    module, _, function = start["handler"].rpartition(".")
    try:
        handler = getattr(importlib.import_module(module.replace("/", ".")), function)
    except BaseException as exc:
        _say(answers, {"status": "error", "error": f"Unable to import module '{module}': {exc}"})
        raise
    _say(answers, {"status": "ready"})
    for line in sys.stdin:
        message = json.loads(line)
        answer = _invoke(handler, message["event"], message["ctx"])
        sys.stderr.write(END_OF_LOG + "\n")
        sys.stderr.flush()
        _say(answers, answer)


def _answers() -> TextIO:
    """Return the pipe to the emulator; standard output becomes standard error, in C libraries too."""
    pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return pipe


def _say(answers: TextIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def _invoke(handler: Any, event: Any, ctx: dict[str, Any]) -> dict[str, Any]:
    if ctx.get("trace_id"):
        os.environ[TRACE_VARIABLE] = ctx["trace_id"]
    else:
        os.environ.pop(TRACE_VARIABLE, None)
    context = Context(
        function_name=os.environ["AWS_LAMBDA_FUNCTION_NAME"],
        function_version=os.environ["AWS_LAMBDA_FUNCTION_VERSION"],
        invoked_function_arn=ctx["invoked_function_arn"],
        memory_limit_in_mb=os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"],
        aws_request_id=ctx["request_id"],
        log_group_name=os.environ["AWS_LAMBDA_LOG_GROUP_NAME"],
        log_stream_name=os.environ["AWS_LAMBDA_LOG_STREAM_NAME"],
        deadline=time.time() + ctx["timeout_ms"] / 1000,
        client_context=_client_context(ctx["durable"].get(CLIENT_CONTEXT)),
    )
    try:
        result = handler(event, context)
        json.dumps(result)
    except Exception as exc:  # noqa: BLE001 - every exception of a handler is its failure
        traceback.print_exc()
        # "ok" for MiniStack, which ends this process on "error"; Lambda keeps the process and its state.
        failure = {
            "errorMessage": str(exc),
            "errorType": type(exc).__name__,
            "requestId": ctx["request_id"],
            "stackTrace": traceback.format_tb(exc.__traceback__)[1:],
        }
        return {"status": "ok", "result": None, "failure": failure}
    return {"status": "ok", "result": result}


def _client_context(text: str | None) -> ClientContext | None:
    if text is None:
        return None
    given = json.loads(base64.b64decode(text))
    return ClientContext(*(given.get(name) for name in ("custom", "env", "client")))


def _end_with_parent(parent: int) -> None:
    """End this process when the emulator has ended."""
    while os.getppid() == parent:
        time.sleep(ORPHAN_CHECK_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()
