"""An install that is stopped or can't write says so in one line and leaves no temporary files."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import psutil
import pytest

from ops.dev import install

# The real program, in a checkout of its own, with one step that starts another process, as pipenv does.
INSTALL = """
import sys
sys.path.insert(0, "ops/dev")
import install
SLOW = (
    "import os, subprocess, sys, tempfile, time; tempfile.mkdtemp(prefix='pip-'); "
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
    "open('child', 'w').write(str(child.pid)); os.rename('child', 'started'); time.sleep(60)"
)
install.check_machine = lambda: None
install.install = lambda: install._run(install.InstallStep("install", (sys.executable, "-c", SLOW)), "1/1")
sys.exit(install.main())
"""

INTERRUPTING: Final = "from posix import getpid, kill\nkill(getpid(), 2)\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    (root / "ops" / "dev").mkdir(parents=True)
    shutil.copy(Path(install.__file__), root / "ops" / "dev" / "install.py")
    return root


@pytest.mark.parametrize(
    ("ending", "code", "last"),
    [
        (signal.SIGINT, 130, "setup: interrupted; run it again to finish"),
        (signal.SIGTERM, 143, "setup: 1/1 install … stopped"),
    ],
    ids=["interrupted", "terminated"],
)
def test_a_stopped_install_ends_its_processes_and_leaves_no_files(
    ending: signal.Signals, code: int, last: str, checkout: Path, tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    left = checkout / "build" / "setup" / "left-by-a-killed-one"
    left.mkdir(parents=True)
    process = subprocess.Popen(
        [sys.executable, "-c", INSTALL],
        cwd=checkout,
        env={**os.environ, "TMPDIR": str(temporary)},
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 20
    while not (checkout / "started").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert not left.exists()
    assert any((checkout / "build" / "setup").glob("pip-*"))
    process.send_signal(ending)
    _, said = process.communicate(timeout=20)
    assert (process.returncode, said.splitlines()[-1]) == (code, last)
    assert "Traceback" not in said
    assert list(temporary.iterdir()) == []
    assert not (checkout / "build" / "setup").exists()
    child = int((checkout / "started").read_text())
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


def test_an_unwritable_checkout_is_reported_in_one_line(checkout: Path) -> None:
    # A folder in the lock file's place refuses root too, whom no permission stops.
    (checkout / ".setup.lock").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", INSTALL], cwd=checkout, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"setup: can't write to {checkout / '.setup.lock'}: ")
    assert done.stderr.endswith("; make the checkout writable\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("module", ["fcntl", "signal"])
def test_an_interrupt_during_the_imports_prints_one_line(module: str, checkout: Path) -> None:
    # A module in the way of an import, at best of the first one: it interrupts its own process.
    (checkout / "ops" / "dev" / f"{module}.py").write_text(INTERRUPTING)
    done = subprocess.run(
        [sys.executable, "ops/dev/install.py"], cwd=checkout, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (130, "setup: interrupted; run it again to finish\n")
