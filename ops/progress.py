"""The steps of a command: a progress bar for each while it runs, and its seconds for the report."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)


@dataclass
class Steps:
    """Show and time steps. `timings` holds the seconds of each finished step, in order."""

    console: Console
    timings: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Show a bar while the block runs, and one line with its seconds when it has finished."""
        started = time.monotonic()
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", markup=False),
        )
        silent = not self.console.is_terminal
        with Progress(*columns, console=self.console, transient=True, disable=silent) as progress:
            step = Step(progress, name)
            yield step
        seconds = time.monotonic() - started
        self.timings[name] = seconds
        self.console.print(f"{name:<28} {seconds:6.1f} s  {step.note}", highlight=False)


class Step:
    """One running step; its closing line shows `note`."""

    def __init__(self, progress: Progress, name: str) -> None:
        self.note = ""
        self._progress = progress
        self._task = progress.add_task(name, total=None, note="")

    def advance_to(self, done: int, total: int | None = None, note: str | None = None) -> None:
        """Move the bar to `done` of `total`; without a total the bar only shows that the step runs."""
        if note is not None:
            self._progress.update(self._task, note=note)
        self._progress.update(self._task, completed=done, total=total)
