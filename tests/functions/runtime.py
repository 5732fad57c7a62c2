"""A small Lambda runtime: a process that loads one handler and invokes it with the events that it reads.

Requests come as JSON lines on standard input and answers go as JSON lines to the file descriptor named in
the second argument, so that standard output and standard error hold what the function itself wrote. An
exception is written to standard error with all its causes, which is more than Lambda does.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
import time
import traceback
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Final

from functions.shared import aws

# Seconds that the function waits for AWS and PostgreSQL, instead of its own few: on a busy machine the
# servers of the tests may take longer than those of a deployment ever do.
PATIENCE: Final = "PATIENCE_SECONDS"


@dataclass
class Context:
    """Lambda's context object, as far as Powertools uses it. `deadline` is monotonic, in seconds."""

    deadline: float
    client_context: SimpleNamespace | None
    function_name: str = "huntaze-stripe-test"
    function_version: str = "$LATEST"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = "arn:aws:lambda:eu-west-1:111122223333:function:huntaze-stripe-test"
    aws_request_id: str = "00000000-0000-4000-8000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        """How long the invocation may still take."""
        return max(0, int((self.deadline - time.monotonic()) * 1000))


def _wait_for_busy_servers(module: str, seconds: int) -> None:
    for name in ("CONNECT_SECONDS", "READ_SECONDS"):
        setattr(aws, name, seconds)
    if module == "functions.audit":
        postgres = importlib.import_module("functions.ledger.postgres")
        for name, limit in {"CONNECT_SECONDS": seconds, "STATEMENT_MILLISECONDS": seconds * 1000}.items():
            setattr(postgres, name, limit)


def main(module: str, answers: int) -> None:
    """Serve invocations until standard input ends."""
    # Lambda's JSON logging sets the root logger to the function's level; DEBUG shows the most.
    logging.basicConfig(stream=sys.stdout, level=os.environ.get("ROOT_LOG_LEVEL", "WARNING"))
    if PATIENCE in os.environ:
        _wait_for_busy_servers(module, int(os.environ[PATIENCE]))
    handler = importlib.import_module(module).handler
    with os.fdopen(answers, "w") as out:
        for line in sys.stdin:
            request = json.loads(line)
            client_context = SimpleNamespace(custom=request["custom"]) if request["custom"] else None
            context = Context(time.monotonic() + request["remaining_seconds"], client_context)
            try:
                answer = {"returned": handler(request["event"], context)}
            except Exception as error:  # noqa: BLE001 (a runtime reports whatever a handler raises)
                traceback.print_exc()
                answer = {"error": type(error).__name__, "message": str(error)}
            sys.stdout.flush()
            sys.stderr.flush()
            print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
    # As Lambda ends an environment: to take all clients and models apart takes as long as to import them.
    os._exit(0)
