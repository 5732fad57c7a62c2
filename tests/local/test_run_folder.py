"""However a run ends, its processes are ended and its folder is removed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ops import ROOT
from ops.local.folder import RUNS, run_folder
from tests.local.waiting import DEADLINE_SECONDS, wait_until

RUN = """
import signal, subprocess, sys, time
from ops.local.folder import run_folder
with run_folder() as folder:
    child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], start_new_session=True)
    print(folder, child.pid, flush=True)
    time.sleep(600)
"""
OBEDIENT = "import time; time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"


@pytest.fixture
def run(request: pytest.FixtureRequest) -> Iterator[tuple[subprocess.Popen[str], Path, int]]:
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, request.param],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    folder, child = process.stdout.readline().split()
    with process:
        yield process, Path(folder), int(child)
        process.kill()


@pytest.mark.parametrize(
    ("run", "ending"),
    [
        (OBEDIENT, signal.SIGINT),
        (OBEDIENT, signal.SIGTERM),
        (OBEDIENT, signal.SIGKILL),
        (STUBBORN, signal.SIGKILL),
    ],
    indirect=["run"],
    ids=["interrupted", "terminated", "killed", "killed while a child ignores SIGTERM"],
)
def test_a_run_that_is_stopped_leaves_nothing(
    run: tuple[subprocess.Popen[str], Path, int], ending: signal.Signals
) -> None:
    process, folder, child = run
    assert folder.is_dir()
    assert psutil.pid_exists(child)
    process.send_signal(ending)
    assert wait_until(lambda: not folder.exists())
    assert wait_until(lambda: not psutil.pid_exists(child))


def test_a_finished_run_leaves_nothing() -> None:
    with run_folder() as folder:
        child = subprocess.Popen([sys.executable, "-c", OBEDIENT], start_new_session=True)
    assert not folder.exists()
    assert child.wait(DEADLINE_SECONDS) == -signal.SIGTERM


def test_two_runs_do_not_touch_each_other() -> None:
    with run_folder() as first:
        with run_folder() as second:
            assert first != second
        assert first.is_dir()
        assert not second.exists()


def test_the_next_run_removes_what_a_crashed_machine_left() -> None:
    RUNS.mkdir(parents=True, exist_ok=True)
    left = RUNS / f"left-by-{os.getpid()}"
    left.mkdir()
    (left / "in-use.lock").touch()
    with run_folder():
        assert not left.exists()
