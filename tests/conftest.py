"""What every test needs: its kind, its place in the run, a temporary folder in the checkout, and Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import botocore.loaders
import botocore.session
import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from ops.local.folder import run_folder

TESTS = Path(__file__).resolve().parent
TEMPORARY = TESTS.parent / "build" / "tests"
# The kind of a folder's tests, which a module or a test may override with a marker of its own.
KINDS = {
    "api": "embedded",
    "bench": "embedded",
    "bundles": "embedded",
    "chaos": "unit",
    "e2e": "e2e",
    "emulator": "embedded",
    "functions": "embedded",
    "infra": "embedded",
    "local": "embedded",
    "model": "unit",
    "ops": "embedded",
    "policies": "embedded",
    "terraform": "embedded",
    "unit": "unit",
}
# The folders that take longest, the longest first: what comes last must be divisible among the workers.
LONGEST = ("e2e", "chaos", "infra", "ops", "functions", "emulator", "local")
# Each of its tests computes for seconds and shares nothing with another.
DIVISIBLE = "model"
# They remove everything that they deploy and restore it, and need a deployment of their own for that.
APART = ("tests/e2e/test_deployment_roles.py", "tests/e2e/test_warm.py")

DEPLOYMENT_SECONDS = 900


def pytest_configure(config: pytest.Config) -> None:
    """Prepare the process for what the tests start."""
    _handle_ctrl_c()
    # Each command that a test runs in this process makes a session, which would read botocore's files again.
    vars(botocore.session)["create_loader"] = cache(botocore.loaders.create_loader)
    # The time of an example depends more on the machine than on the code.
    hypothesis.settings.register_profile("untimed", deadline=None)
    hypothesis.settings.load_profile("untimed")
    # An xdist worker inherits the folder of the process that started it.
    if not hasattr(config, "workerinput"):
        _keep_temporary_files_in_the_checkout(config)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with its kind: its own marker's, else its folder's. The longest folders come first."""
    for item in items:
        marked = any(item.get_closest_marker(kind) for kind in ("unit", "embedded", "e2e"))
        # A test may run tests in a folder of its own.
        if not marked and item.path.is_relative_to(TESTS):
            item.add_marker(KINDS[item.path.relative_to(TESTS).parts[0]])
        if item.get_closest_marker("e2e"):
            # The first test deploys, which takes minutes where other work uses the processors.
            item.add_marker(pytest.mark.timeout(DEPLOYMENT_SECONDS))
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    folder = item.path.relative_to(TESTS).parts[0] if item.path.is_relative_to(TESTS) else ""
    if folder == DIVISIBLE:
        return len(LONGEST) + 1
    return LONGEST.index(folder) if folder in LONGEST else len(LONGEST)


@pytest.fixture(autouse=True)
def unit_tests_connect_to_nothing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail a unit test that opens a connection: it is of another kind."""
    if request.node.get_closest_marker("unit"):

        def connect(_socket: socket.socket, address: Any) -> None:
            pytest.fail(f"a unit test connects to {address}: mark it embedded, or use a fake")

        monkeypatch.setattr(socket.socket, "connect", connect)


def _handle_ctrl_c() -> None:
    """Handle SIGINT, also where a shell without job control started this process in the background.

    Such a process ignores SIGINT, and so do those that it starts.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _keep_temporary_files_in_the_checkout(config: pytest.Config) -> None:
    """Make the folder of this test run; closing it also ends what the tests started."""
    run = ExitStack()
    config.add_cleanup(run.close)
    os.environ["TMPDIR"] = str(run.enter_context(run_folder(TEMPORARY)))
    tempfile.tempdir = None


class FolderScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Runs a folder's tests on one worker, so that what they share, such as a deployment, is made once."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        folder = Path(path).parts[1]
        if folder == DIVISIBLE:
            return nodeid
        return APART[0] if path in APART else folder


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FolderScheduling | None:
    """Schedule by folder; the groups of xdist itself have no effect with pytest 9.2.

    With `--dist worksteal` unit tests, which share nothing, use every worker.
    """
    return None if config.getoption("dist") == "worksteal" else FolderScheduling(config, log)
