"""Every fix is needed, and does what it is for."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.emulator.fixes import FIXES
from tests.emulator.process import Emulator, running
from tests.emulator.scenarios import SCENARIOS


def test_every_fix_has_a_scenario() -> None:
    assert set(SCENARIOS) == {fix.name for fix in FIXES}


@pytest.mark.parametrize("name", SCENARIOS)
def test_with_the_fixes_the_scenario_holds(emulator: Emulator, name: str) -> None:
    assert SCENARIOS[name](emulator.aws)


@pytest.mark.parametrize("name", SCENARIOS)
def test_without_the_fix_the_scenario_does_not_hold(tmp_path: Path, name: str) -> None:
    with running(tmp_path, without=[name]) as emulator:
        assert not SCENARIOS[name](emulator.aws)
