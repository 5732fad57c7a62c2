"""Bundles across checkouts and processes: the same bytes anywhere, also after a build that was killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ops import ROOT
from ops.bundles import host_target
from ops.bundles.contents import distributions
from ops.bundles.target import LAMBDA, Target

PATIENCE = 60
BUILD = """
from ops.bundles import build, host_target
for bundle in build(host_target()).values():
    print(bundle.name, bundle.sha256)
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second checkout, at a path of another length."""
    folder = tmp_path_factory.mktemp("checkout") / "with a longer name"
    for name in ("ops", "functions"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Pipfile.lock", folder)
    return folder


def start(checkout: Path, code: str = BUILD, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=checkout,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_another_checkout_builds_the_same_bytes_also_after_a_killed_build(checkout: Path) -> None:
    folder = checkout / "build" / "bundles" / host_target().name
    process = start(checkout)
    deadline = time.monotonic() + PATIENCE
    while not list(folder.glob(".building-*/site*")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert list(folder.glob(".building-*"))
    assert not list(folder.glob("*.zip"))
    # With other hash seeds, on which the order of sets depends.
    here, there = start(ROOT, PYTHONHASHSEED="1"), start(checkout, PYTHONHASHSEED="2")
    assert here.communicate(timeout=PATIENCE)[0] == (built := there.communicate(timeout=PATIENCE)[0])
    assert built.count("\n") == 2
    left = [path.name for path in folder.iterdir()]
    assert sorted(left) == [".lock", "audit.zip", "handlers.zip", "manifest.json"]


def test_a_changed_handler_changes_the_bytes(checkout: Path) -> None:
    before = start(checkout).communicate(timeout=PATIENCE)[0]
    handler = checkout / "functions" / "payments.py"
    handler.write_text(handler.read_text() + "\n# changed\n")
    after = start(checkout).communicate(timeout=PATIENCE)[0]
    assert before.count("\n") == after.count("\n") == 2
    assert not set(before.split()[1::2]) & set(after.split()[1::2])


def test_a_handler_that_does_not_compile_is_named(checkout: Path) -> None:
    # Valid where imports are read, and not to the compiler.
    (checkout / "functions" / "broken.py").write_text("def f():\n    x: int = 1\n    return x\n\nreturn 1\n")
    process = start(checkout)
    _, said = process.communicate(timeout=PATIENCE)
    (checkout / "functions" / "broken.py").unlink()
    assert process.returncode == 1
    assert "can't compile functions/broken.py" in said


def test_an_index_that_is_down_is_reported_as_such(checkout: Path) -> None:
    command = [sys.executable, "-m", "ops.bundles", "--architecture", "arm64", "--runtime", "python3.13"]
    nowhere = {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_FIND_LINKS": "",
        "PIP_NO_CACHE_DIR": "1",
        "PIP_RETRIES": "1",
        "PIP_INDEX_URL": "http://127.0.0.1:1/simple",
    }
    done = subprocess.run(
        command, cwd=checkout, env={**os.environ, **nowhere}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        "error: pip can't install the functions' packages for arm64-python3.13: "
        "the package index does not answer; check"
    )


def test_the_command_prints_path_size_and_digest() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ops.bundles"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    rows = [line.rsplit(" ", 2) for line in done.stdout.splitlines()]
    assert [Path(path).name for path, _, _ in rows] == ["handlers.zip", "audit.zip"]
    assert all(Path(path).stat().st_size == int(size) and len(digest) == 64 for path, size, digest in rows)


def test_a_machine_without_glibc_on_linux_gets_its_own_wheels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    target = host_target()
    assert target.pip_options() == ["--implementation", "cp", "--python-version", target.python]
    assert target.name.startswith("arm64-python3.")
    assert target.name.endswith("-darwin")
    assert target != Target(target.architecture, target.runtime)


def test_markers_are_those_of_the_target() -> None:
    assert LAMBDA.markers()["platform_machine"] == "aarch64"
    assert LAMBDA.markers()["python_version"] == "3.13"
    assert "psycopg-binary" in {item.name for item in distributions(("functions.audit",), LAMBDA)}
