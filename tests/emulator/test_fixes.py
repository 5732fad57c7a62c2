"""Every fix is needed, and works."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.emulator.fixes import FIXES
from tests.emulator.process import Emulator, running
from tests.emulator.scenarios import SCENARIOS


def test_every_fix_has_a_scenario() -> None:
    assert set(SCENARIOS) == {fix.name for fix in FIXES}


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_scenario_passes_with_the_fixes(emulator: Emulator, name: str) -> None:
    assert SCENARIOS[name](emulator.aws)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_scenario_fails_without_the_fix(tmp_path: Path, name: str) -> None:
    with running(tmp_path, without=[name]) as emulator:
        assert not SCENARIOS[name](emulator.aws)
