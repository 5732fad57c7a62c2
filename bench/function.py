"""A handler in a process of its own, as Lambda runs it, and what it takes: CPU time, memory, instructions."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

Events = Sequence[Mapping[str, Any]]
SUMMARY: Final = re.compile(r"^summary: (\d+)", re.MULTILINE)
# Between groups of events invoke.py calls getpriority, and nothing else does: there callgrind writes what it
# counted. Node.js writes code while it runs, which valgrind has to notice.
CALLGRIND: Final = ("valgrind", "--tool=callgrind", "--dump-before=getpriority", "--smc-check=all-non-file")
KEPT: Final = 4000
STOP_SECONDS: Final = 10


_running: Final[set[subprocess.Popen[bytes]]] = set()


def run_program(
    command: Sequence[str], environment: Mapping[str, str], given: bytes = b"", pass_fds: Sequence[int] = ()
) -> subprocess.CompletedProcess[bytes]:
    """Run a program to its end with `given` as its input; it ends with an exception in this thread."""
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(environment),
        pass_fds=pass_fds,
        # Ctrl-C reaches this process, which ends the others.
        start_new_session=True,
    ) as process:
        _running.add(process)
        try:
            output, errors = process.communicate(given)
        except BaseException:
            _end(process)
            raise
        finally:
            _running.discard(process)
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def end_all() -> None:
    """End the programs that other threads run."""
    for process in tuple(_running):
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


@dataclass(frozen=True)
class Usage:
    """CPU time in milliseconds and peak resident memory in MB of a process."""

    cpu_ms: float
    peak_mb: float


@dataclass(frozen=True)
class Function:
    """A handler: a command that takes events as lines on standard input.

    Parameters
    ----------
    success
        What it makes of each event: anything else is a failure.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str]
    success: object = "applied"

    def outcomes(self, events: Events) -> list[str]:
        """Return what a process made of each of the events."""
        found: list[str] = self._answer([events], ())["outcomes"]
        return found

    def run(self, events: Events) -> Usage:
        """Run a process that handles the events one after the other.

        Raises
        ------
        RuntimeError
            It failed, or did not apply every event.
        """
        answer = self._applied([events], ())
        return Usage(answer["cpu_ms"], answer["peak_kb"] / 1024)

    def resident(self, *groups: Events) -> list[float]:
        """Return the resident memory in MB of one process after each group of events.

        Raises
        ------
        RuntimeError
            It failed, or did not apply every event.
        """
        return [kilobytes / 1024 for kilobytes in self._applied(groups, ())["resident_kb"]]

    def instructions(self, *groups: Events) -> list[int]:
        """Count the user-space instructions of each group of events in one process.

        Those of the first group include the start of the process.

        Raises
        ------
        RuntimeError
            It failed, or did not apply every event.
        """
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "callgrind"
            self._applied(groups, (*CALLGRIND, f"--callgrind-out-file={out}"))
            texts = [Path(f"{out}.{number}").read_text() for number in range(1, len(groups) + 1)]
        return [int(found[1]) for text in texts if (found := SUMMARY.search(text))]

    def _applied(self, groups: Sequence[Events], prefix: Sequence[str]) -> dict[str, Any]:
        answer = self._answer(groups, prefix)
        count = sum(len(events) for events in groups)
        others = [outcome for outcome in answer["outcomes"] if outcome != self.success]
        if others or len(answer["outcomes"]) != count:
            raise RuntimeError(
                f"{count - len(answer['outcomes']) + len(others)} of {count} events were not applied: "
                f"{others[:1]}"
            )
        return answer

    def _answer(self, groups: Sequence[Events], prefix: Sequence[str]) -> dict[str, Any]:
        # An empty line ends a group.
        lines = "\n".join("".join(f"{json.dumps(event)}\n" for event in events) for events in groups) + "\n"
        # A file, unlike a pipe, takes any number of outcomes before they are read.
        with tempfile.TemporaryFile() as answers:
            number = answers.fileno()
            done = run_program(
                [*prefix, *self.command, str(number)], self.environment, lines.encode(), (number,)
            )
            answers.seek(0)
            answer: dict[str, Any] = json.loads(answers.read() or b"{}")
        if not answer:
            written = f"{done.stdout.decode()[-KEPT:]}{done.stderr.decode()[-KEPT:]}"
            raise RuntimeError(f"{' '.join(self.command)} failed:\n{written}")
        return answer
