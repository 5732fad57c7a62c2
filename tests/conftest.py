"""One xdist group per folder: what a folder's tests share, such as a deployment, is made once."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of one folder on one worker."""
    for item in items:
        group = item.path.relative_to(TESTS).parts[0]
        item.add_marker(pytest.mark.xdist_group(group))
