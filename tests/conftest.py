"""One xdist group per folder: what a folder's tests share, such as a deployment, is made once."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent


def pytest_configure() -> None:
    """Let processes that the tests start know Ctrl-C, also where this one was started in the background.

    A shell without job control starts such a process with SIGINT ignored, and its children inherit that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of one folder on one worker."""
    for item in items:
        group = item.path.relative_to(TESTS).parts[0]
        item.add_marker(pytest.mark.xdist_group(group))
