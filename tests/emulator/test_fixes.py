"""Every fix is needed, and works."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops import ROOT
from ops.emulator.fixes import FIXES
from tests.emulator.process import Emulator, running
from tests.emulator.scenarios import SCENARIOS

# Shown wrong without the fix, and right with it, by calling the functions: no server is needed.
CALLED_DIRECTLY = {
    "policy-evaluation": "tests/policies/test_evaluator.py",
    "queue-index": "tests/emulator/test_queue_index.py",
}


def test_every_fix_has_a_scenario_or_a_test_of_its_own() -> None:
    assert {*SCENARIOS, *CALLED_DIRECTLY} == {fix.name for fix in FIXES}
    for file in CALLED_DIRECTLY.values():
        assert (ROOT / file).exists()


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_scenario_passes_with_the_fixes(emulator: Emulator, name: str) -> None:
    assert SCENARIOS[name](emulator.aws)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_scenario_fails_without_the_fix(tmp_path: Path, name: str) -> None:
    with running(tmp_path, without=[name]) as emulator:
        assert not SCENARIOS[name](emulator.aws)
