"""A run that is kept: the file that reaches it, and starting, showing and stopping it in the background."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event
from typing import Any, Final

import psutil

from ops import ROOT, signals
from ops.errors import OperatorError
from ops.local.watch import Watch, ended_how

FOLDER: Final = ROOT / "build" / "local"
ENV_NAME: Final = "env.sh"
STATE_NAME: Final = "run.json"
OUTPUT_NAME: Final = "output.log"
# The file descriptor on which a run in the background says that it is ready, and whether it passed.
READY_FD: Final = "HUNTAZE_LOCAL_READY_FD"
PASSED, FAILED = b"0", b"1"
STOP_DEADLINE_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.1
WATCH_SECONDS: Final = 1.0
RUN: Final[Sequence[str]] = (sys.executable, "-m", "ops", "local", "--keep")

ENV_HEADER: Final = "# The variables that reach the local run, for: source build/local/env.sh"
PATH_EXPORT: Final = f'export PATH={shlex.quote(str(ROOT / ".venv" / "bin"))}:"$PATH"'
# Checked with version 1.46: `aws sqs` uses AWS's own endpoint, whatever AWS_ENDPOINT_URL or
# AWS_ENDPOINT_URL_SQS say.
AWS_FUNCTION: Final = """\
# Version 1 of the aws CLI ignores AWS_ENDPOINT_URL for sqs; as an option every version obeys it.
aws() { command aws ${AWS_ENDPOINT_URL:+"--endpoint-url=$AWS_ENDPOINT_URL"} "$@"; }
"""


@dataclass(frozen=True)
class KeptRun:
    """A run that waits for its end.

    Parameters
    ----------
    created
        When its process started, in Unix seconds: a process id alone may belong to another process by now.
    servers
        The process id of each server, by its name.
    urls
        Where the servers listen, without credentials.
    """

    pid: int
    created: float
    servers: Mapping[str, int]
    urls: Mapping[str, str]

    def servers_json(self) -> list[dict[str, Any]]:
        """Return each server, and whether it is running now."""
        return [
            {"name": name, "pid": pid, "url": self.urls.get(name), "running": _is_running(pid)}
            for name, pid in self.servers.items()
        ]


def _is_running(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def kept_run(folder: Path = FOLDER) -> KeptRun | None:
    """Return the run that is kept, or None."""
    try:
        run = KeptRun(**json.loads((folder / STATE_NAME).read_text()))
        alive = psutil.Process(run.pid).create_time() == run.created
    except (OSError, ValueError, TypeError, psutil.Error):
        return None
    return run if alive else None


def require_none(folder: Path = FOLDER) -> None:
    """Refuse to keep a second run.

    Raises
    ------
    OperatorError
        A run is kept already.
    """
    if run := kept_run(folder):
        raise OperatorError(
            f"a local run is already kept (process {run.pid}): stop it with `make local-down`",
            usage=True,
        )


@contextmanager
def published(
    exports: Mapping[str, str],
    servers: Mapping[str, int],
    urls: Mapping[str, str],
    folder: Path = FOLDER,
) -> Iterator[Path]:
    """Write the files that reach this run and yield the one to source; they are removed at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"export {name}={shlex.quote(value)}" for name, value in exports.items()]
    env, state = folder / ENV_NAME, folder / STATE_NAME
    run = KeptRun(os.getpid(), psutil.Process().create_time(), dict(servers), dict(urls))
    _write_private(env, "\n".join([ENV_HEADER, PATH_EXPORT, *lines, AWS_FUNCTION]))
    _write_private(state, json.dumps(asdict(run), indent=2) + "\n")
    try:
        yield env
    finally:
        for path in (env, state):
            path.unlink(missing_ok=True)


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, atomically."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.replace(path)


def in_background() -> bool:
    """Whether `start_detached` started this run."""
    return READY_FD in os.environ


def wait_until_stopped(watch: Watch, *, passed: bool, folder: Path = FOLDER) -> None:
    """Wait for Ctrl-C or `stop`; a run in the background reports first that it is ready.

    Raises
    ------
    ServerEndedError
        A server ended first.
    """
    try:
        if in_background():
            _report_ready(passed, folder)
        while not Event().wait(WATCH_SECONDS):
            watch.check("while the run was kept")
    except KeyboardInterrupt:
        # This is how the run ends, not an interrupt: forget the signal.
        signals.raise_exceptions()


def _report_ready(passed: bool, folder: Path) -> None:
    """Send further output to a file and report the exit code to `start_detached`."""
    sys.stdout.flush()
    sys.stderr.flush()
    output = os.open(folder / OUTPUT_NAME, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.close(output)
    descriptor = int(os.environ.pop(READY_FD))
    os.write(descriptor, PASSED if passed else FAILED)
    os.close(descriptor)


def stop(folder: Path = FOLDER) -> bool:
    """Stop the run that is kept and wait until it has ended; return whether there was one.

    Raises
    ------
    OperatorError
        It does not end in time.
    """
    run = kept_run(folder)
    if run is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(run.pid, signal.SIGINT)
    deadline = time.monotonic() + STOP_DEADLINE_SECONDS
    while kept_run(folder):
        if time.monotonic() > deadline:
            raise OperatorError(
                f"the local run did not end within {STOP_DEADLINE_SECONDS:.0f} s: kill process {run.pid}"
            )
        time.sleep(POLL_SECONDS)
    return True


def last_error(folder: Path = FOLDER) -> str | None:
    """Return the error that the last run in the background ended with, if any."""
    try:
        lines = (folder / OUTPUT_NAME).read_text(errors="replace").strip().splitlines()
    except OSError:
        return None
    return lines[-1] if lines and lines[-1].startswith("error: ") else None


def start_detached(arguments: Sequence[str], folder: Path = FOLDER, command: Sequence[str] = RUN) -> int:
    """Keep a run in the background: show its output until it is ready, then return its exit code.

    Parameters
    ----------
    arguments
        Further arguments of the command that keeps a run.

    Raises
    ------
    OperatorError
        A run is kept already, or the started one was killed.
    """
    require_none(folder)
    # What an earlier run ended with says nothing about this one.
    (folder / OUTPUT_NAME).unlink(missing_ok=True)
    ready, report = os.pipe()
    process = subprocess.Popen(
        [*command, *arguments],
        cwd=ROOT,
        env=dict(os.environ) | {READY_FD: str(report)},
        stdin=subprocess.DEVNULL,
        pass_fds=[report],
        # Ctrl-C and the end of the terminal don't reach another session.
        start_new_session=True,
    )
    os.close(report)
    try:
        passed = os.read(ready, 1)
        # A run that is ready outlives this process, which must not wait for it.
        process.returncode = int(passed) if passed else process.wait()
    except BaseException:
        process.send_signal(signal.SIGINT)
        process.wait()
        raise
    finally:
        os.close(ready)
    if process.returncode < 0:
        raise OperatorError(f"the local run was {ended_how(process.returncode)}: start it again")
    return process.returncode
