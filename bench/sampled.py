"""`bench/invoke.py` with a profiler: what is running, each time that the process has used some CPU time.

`python sampled.py MODULE FILE FD` writes the stacks to FILE as JSON: frames by name, the outermost first,
joined by semicolons, and how often each stack was found. Sampling starts after the first group of events.

Standard library only, as in `bench/invoke.py`.
"""

import json
import os
import runpy
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

# The kernel's clock may tick more rarely.
INTERVAL_SECONDS = 0.001

stacks: Counter[str] = Counter()


def sample(_signal: int, frame: FrameType | None) -> None:
    """Count the stack that is running."""
    names: list[str] = []
    while frame is not None:
        names.append(f"{frame.f_globals.get('__name__', '')}.{frame.f_code.co_qualname}")
        frame = frame.f_back
    stacks[";".join(reversed(names))] += 1


def start(_which: int, _who: int) -> int:
    """Start sampling: `invoke` calls getpriority after each group of events, and needs no answer."""
    signal.setitimer(signal.ITIMER_PROF, INTERVAL_SECONDS, INTERVAL_SECONDS)
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGPROF, sample)
    vars(os)["getpriority"] = start
    invoke = runpy.run_path(str(Path(__file__).with_name("invoke.py")))
    invoke["main"](sys.argv[1], int(sys.argv[3]))
    signal.setitimer(signal.ITIMER_PROF, 0)
    Path(sys.argv[2]).write_text(json.dumps(stacks), encoding="utf-8")
