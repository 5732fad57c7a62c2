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
    """Invoke `module.handler`; write outcomes, CPU milliseconds and memory to a file descriptor."""
    handler = importlib.import_module(module).handler
    outcomes, resident = [], []
    for line in sys.stdin.buffer:
        if line == b"\n":
            # Where callgrind divides its counts; see bench/function.py.
            os.getpriority(os.PRIO_PROCESS, 0)
            resident.append(kilobytes("VmRSS"))
        else:
            answer = handler(json.loads(line), Context())
            # The audit function answers for a batch, and has no outcome.
            outcomes.append(answer.get("outcome", answer))
    cpu_ms = time.process_time() * 1000
    found = {"outcomes": outcomes, "cpu_ms": cpu_ms, "peak_kb": kilobytes("VmHWM"), "resident_kb": resident}
    with os.fdopen(answers, "w") as file:
        json.dump(found, file)


def kilobytes(name: str) -> int:
    """Return a figure of this program's memory; getrusage's peak is also that of the one that started it."""
    file = os.open("/proc/self/status", os.O_RDONLY)
    status = os.read(file, 65536)
    os.close(file)
    return int(status.partition(f"{name}:".encode())[2].split(maxsplit=1)[0])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
