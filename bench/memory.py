"""How much memory one process of the payments function has after many events."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Final

from bench import path, report
from bench.endpoint import Endpoint
from ops.progress import Steps

# After how many events the process is looked at.
AFTER: Final = (1_000, 5_000, 10_000, 20_000)


def measure(steps: Steps, folder: Path, endpoint: Endpoint) -> report.Memory:
    """Handle the most of AFTER events, one by one, in one process.

    Raises
    ------
    RuntimeError
        An event was not applied.
    """
    function = path.shipped(folder, endpoint)[path.TIMED_KIND.handler]
    made = path.events(path.TIMED_KIND, AFTER[-1])
    with steps.step(f"apply {AFTER[-1]:,} events in one process"):
        found = function.resident(*(made[first:last] for first, last in pairwise((0, *AFTER))))
    return report.Memory(
        resident_mb={count: round(megabytes, 2) for count, megabytes in zip(AFTER, found, strict=True)},
    )
