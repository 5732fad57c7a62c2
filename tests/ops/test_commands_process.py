"""Commands that are interrupted, called wrongly, or run by the wrong Python: one line, and an exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ops import setup
from ops.local.folder import ROOT


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.parametrize("count", ["0", "-1", "1.5", "abc", ""])
def test_count_is_told_by_the_name_that_people_type(count: str) -> None:
    done = run("-m", "ops", "local", f"--count={count}")
    assert (done.returncode, done.stderr) == (2, f"error: COUNT={count} is no whole number above 0\n")


def test_main_names_the_python_that_has_the_packages() -> None:
    # -S leaves the virtual environment's packages out.
    done = run("-S", "main.py", "--help")
    assert done.returncode == 1
    assert done.stderr.startswith("main.py: ")
    assert done.stderr.endswith(" is missing for this Python: `make setup`, then .venv/bin/python main.py\n")


@pytest.mark.parametrize(("ending", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_synthesis_leaves_nothing_behind(tmp_path: Path, ending: int, code: int) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environment = dict(os.environ) | {
        "STRIPE_EVENT_SOURCE_NAME": "aws.partner/stripe.com/ed_interrupted",
        "TMPDIR": str(temporary),
    }
    command = [sys.executable, "main.py", "dev", "--outdir", str(tmp_path / "out")]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        deadline = time.monotonic() + 60
        # The folder that JSII's own process makes once it runs.
        while not any(temporary.glob("synth-*/jsii-kernel-*")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.005)
        os.killpg(process.pid, ending)
        assert process.stderr is not None
        said = process.stderr.read()
    assert process.returncode == code, said
    assert "Traceback" not in said
    assert ("main.py: interrupted" in said) is (ending == signal.SIGINT)
    assert list(temporary.iterdir()) == []


def test_setup_keeps_its_temporary_files_in_the_checkout() -> None:
    assert Path(setup.clean_environment()["TMPDIR"]).is_relative_to(ROOT)
