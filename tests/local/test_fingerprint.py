"""The key of a saved deploy covers everything that decides it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ops import ROOT
from ops.local.fingerprint import SOURCES, fingerprint

# What they import to show or check a deploy does not decide it.
SHOWS = (
    "ops.addresses",
    "ops.as_role",
    "ops.console",
    "ops.cost",
    "ops.local.accounting",
    "ops.local.observations",
    "ops.local.report",
    "ops.local.watch",
    "ops.plan_report",
    "ops.policy_evaluation",
    "ops.progress",
    "ops.protection",
    "ops.secret_changes",
    "ops.secret_versions",
)
LOADED = """
import importlib, sys
import main, infra.stack, infra.bootstrap, ops.emulator.__main__, ops.emulator.front, ops.local.deployment
from ops.emulator.fixes import FIXES
for fix in FIXES:
    importlib.import_module(f"ops.emulator.fixes.{fix.name.replace('-', '_')}")
own = ("functions", "infra", "main", "ops")
print(*(name for name in sys.modules if name.partition(".")[0] in own))
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the files that count."""
    for source in SOURCES:
        (tmp_path / source).parent.mkdir(parents=True, exist_ok=True)
        copy: Callable[[Path, Path], object] = (
            shutil.copytree if (ROOT / source).is_dir() else shutil.copyfile
        )
        copy(ROOT / source, tmp_path / source)
    return tmp_path


def test_every_module_that_synthesises_deploys_or_serves_counts() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = [name for name in done.stdout.split() if not name.startswith(SHOWS)]
    assert len(loaded) > 100
    files = {name: name.replace(".", "/") for name in loaded}
    missing = [
        name
        for name, path in files.items()
        if not any(f"{path}{end}".startswith(source) for source in SOURCES for end in (".py", "/__init__.py"))
    ]
    assert missing == []


def test_the_same_checkout_has_the_same_key(checkout: Path) -> None:
    assert fingerprint("default", checkout, {}) == fingerprint("default", ROOT, {})


@pytest.mark.parametrize(
    "name", ["functions/payments.py", "infra/stack.py", "environments/dev.toml", "ops/emulator/front.py"]
)
def test_another_byte_in_a_source_is_another_key(checkout: Path, name: str) -> None:
    before = fingerprint("default", checkout, {})
    with (checkout / name).open("a") as file:
        file.write("#")
    assert fingerprint("default", checkout, {}) != before


def test_a_new_file_is_another_key(checkout: Path) -> None:
    before = fingerprint("default", checkout, {})
    (checkout / "functions" / "pipeline" / "added.py").touch()
    assert fingerprint("default", checkout, {}) != before


def test_variants_settings_and_versions_count_and_other_variables_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = fingerprint("default", ROOT, {})
    assert fingerprint("all", ROOT, {}) != before
    assert fingerprint("default", ROOT, {"STATE_BUCKET": "another"}) != before
    assert fingerprint("default", ROOT, {"EDITOR": "vi"}) == before
    monkeypatch.setattr("importlib.metadata.version", lambda _name: "0")
    assert fingerprint("default", ROOT, {}) != before
