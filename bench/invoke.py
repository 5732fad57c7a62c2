"""A process that loads one handler and invokes it with each line of standard input, then reports itself.

An empty line ends a group of events.

Standard library only: what else it imported would be measured too.
"""

import importlib
import json
import os
import sys
import time


class Context:
    """Lambda's context object, as far as a handler reads it."""

    function_name = "huntaze-stripe-bench"
    function_version = "$LATEST"
    memory_limit_in_mb = 256
    invoked_function_arn = "arn:aws:lambda:eu-west-1:111122223333:function:huntaze-stripe-bench"
    aws_request_id = "00000000-0000-4000-8000-000000000000"
    client_context = None

    def get_remaining_time_in_millis(self) -> int:
        """Return Lambda's default: a machine that is slower under valgrind has as much time."""
        return 30_000


def main(module: str, answers: int) -> None:
    """Invoke `module.handler`; write outcomes, CPU milliseconds and peak memory to a file descriptor."""
    handler = importlib.import_module(module).handler
    outcomes = []
    for line in sys.stdin.buffer:
        if line == b"\n":
            # Where callgrind divides its counts; see bench/function.py.
            os.getpriority(os.PRIO_PROCESS, 0)
        else:
            outcomes.append(handler(json.loads(line), Context())["outcome"])
    cpu_ms = time.process_time() * 1000
    # The peak of this program alone: getrusage's includes that of the process that started it.
    status = os.read(os.open("/proc/self/status", os.O_RDONLY), 65536)
    peak_kb = int(status.partition(b"VmHWM:")[2].split(maxsplit=1)[0])
    os.write(answers, json.dumps({"outcomes": outcomes, "cpu_ms": cpu_ms, "peak_kb": peak_kb}).encode())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
