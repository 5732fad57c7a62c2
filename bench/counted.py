"""Run one piece of work in this process, and write down its calls of AWS, its time and its memory.

`python -m bench.counted FILE WORK…` writes a JSON document to FILE. WORK is `compact` for a run of the
compact function, `forecast SINCE UNTIL` for what `replay start` counts before it asks, or a command of
huntaze-stripe.
"""

from __future__ import annotations

import json
import resource
import sys
import threading
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any, Final, cast

import boto3

# Linux counts resident memory in kilobytes (proc_pid_status(5)).
KILOBYTE: Final = 1024
MEGABYTE: Final = 1_000_000


class _Context:
    """The context of an invocation with all the time that it needs."""

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        return 900_000


def main() -> None:
    """Do the work of the command line."""
    file, *work = sys.argv[1:]
    calls: Counter[str] = Counter()
    lock = threading.Lock()

    def count(event_name: str, **_: Any) -> None:
        with lock:
            calls[event_name.rpartition(".")[2]] += 1

    connect = boto3.Session

    def session(*values: Any, **options: Any) -> boto3.Session:
        made = connect(*values, **options)
        made.events.register("before-send", count)
        return made

    vars(boto3)["Session"] = session
    began = time.monotonic()
    code: object = 0
    try:
        _do(work)
    except SystemExit as end:
        code = end.code
    used = resource.getrusage(resource.RUSAGE_SELF)
    document = {
        "seconds": round(time.monotonic() - began, 1),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_mb": round(_peak_kilobytes() * KILOBYTE / MEGABYTE),
        "calls": dict(sorted(calls.items())),
    }
    Path(file).write_text(json.dumps(document), encoding="utf-8")
    sys.exit(1 if code else 0)


def _peak_kilobytes() -> int:
    """Return the most memory of this program; getrusage(2) would count that of the one that started it."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0])


def _do(work: list[str]) -> None:
    if work == ["compact"]:
        from functions.compaction.run import compact

        compact(cast("Any", _Context()))
    elif work[0] == "forecast":
        _forecast(*map(datetime.fromisoformat, work[1:]))
    else:
        from ops.cli import main as run

        sys.argv = ["huntaze-stripe", *work]
        run()


def _forecast(since: datetime, until: datetime) -> None:
    """As `replay start` does, without the archive and the rules that the measured account lacks."""
    from functions.shared import names
    from ops import environment as environments
    from ops.console import open_console
    from ops.ledger import open_ledger
    from ops.progress import Steps
    from ops.replay.forecast import forecast
    from ops.replay.rules import Rule

    environment = environments.connect("dev")
    rules = [Rule(handler, "") for handler in names.HANDLERS]
    ledger = open_ledger(environment, since)
    forecast(environment, ledger, rules, since, until, Steps(open_console(as_json=True)))


if __name__ == "__main__":
    main()
