"""One embedded AWS with all fixes for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.emulator.process import Emulator, running


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running(tmp_path_factory.mktemp("emulator")) as started:
        yield started
