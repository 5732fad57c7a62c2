"""What every test needs: its folder's worker, a temporary folder in the checkout, an end, and Ctrl-C."""

from __future__ import annotations

import os
import signal
import tempfile
from contextlib import ExitStack
from pathlib import Path

import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from ops.local.folder import run_folder

TESTS = Path(__file__).resolve().parent
TEMPORARY = TESTS.parent / "build" / "tests"


def pytest_configure(config: pytest.Config) -> None:
    """Prepare the process for what the tests start."""
    _know_ctrl_c()
    # How long an example takes says more of the machine than of the code.
    hypothesis.settings.register_profile("untimed", deadline=None)
    hypothesis.settings.load_profile("untimed")
    # An xdist worker inherits the folder of the process that started it.
    if not hasattr(config, "workerinput"):
        _keep_temporary_files_in_the_checkout(config)


def _know_ctrl_c() -> None:
    """Take SIGINT seriously also where a shell without job control started this in the background.

    Such a process ignores it, and so do those that it starts.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _keep_temporary_files_in_the_checkout(config: pytest.Config) -> None:
    """Make the folder of this run of tests, which takes along what they started, however they end."""
    run = ExitStack()
    config.add_cleanup(run.close)
    os.environ["TMPDIR"] = str(run.enter_context(run_folder(TEMPORARY)))
    tempfile.tempdir = None


class FolderScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Runs a folder's tests on one worker: what they share, such as a deployment, is made once."""

    def _split_scope(self, nodeid: str) -> str:
        return str(Path(nodeid).parts[1])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FolderScheduling:
    """Schedule by folder. What xdist itself has for groups does nothing with pytest 9.2."""
    return FolderScheduling(config, log)
