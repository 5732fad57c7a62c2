"""However a test run is stopped, what its tests started and wrote is removed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ops import ROOT
from tests.local.waiting import wait_until

# A test that starts a process as the tests' servers are started, and never ends.
TESTS = """
import json, os, subprocess, sys, time
from pathlib import Path
from ops.local.services import isolated_environment
def test_waits(tmp_path):
    server = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"],
        env=isolated_environment(tmp_path),
        start_new_session=True,
    )
    report = Path(__file__).with_name("report.json")
    unfinished = report.with_suffix(".part")
    unfinished.write_text(json.dumps([os.environ["TMPDIR"], os.getpid(), server.pid]))
    unfinished.rename(report)
    time.sleep(600)
"""
WORKERS = (), ("-n", "2")


@pytest.fixture
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    (tmp_path / "test_waits.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-c", str(ROOT / "pyproject.toml")]
    process = subprocess.Popen(
        [*command, f"--rootdir={ROOT}", *request.param, str(tmp_path)],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST")},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    with process:
        yield process
        process.kill()


@pytest.mark.parametrize("run", WORKERS, indirect=True, ids=["alone", "with workers"])
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL], ids=["terminated", "killed"])
def test_a_test_run_that_is_stopped_leaves_nothing(
    run: subprocess.Popen[bytes], ending: signal.Signals, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    assert wait_until(report.is_file)
    folder, tests, server = json.loads(report.read_text())
    assert Path(folder).is_dir()
    assert psutil.pid_exists(server)
    run.send_signal(ending)
    run.wait()
    assert wait_until(lambda: not psutil.pid_exists(server))
    assert wait_until(lambda: not psutil.pid_exists(tests))
    assert wait_until(lambda: not Path(folder).exists())
