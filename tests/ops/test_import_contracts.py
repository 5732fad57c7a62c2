"""The import contracts of pyproject.toml break where they should: tried on a copy of the code."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ops import ROOT

FUNCTIONS_POINT_DOWN = "functions: no import points upward, and shared imports no other folder"
INFRA_ASKS_NOBODY = "infra asks nobody: it imports nothing that opens a connection"
INFRA_POINTS_DOWN = "infra: a resource imports no construct"
NO_BINDINGS = "names, settings, patterns and policies load without the CDKTF bindings"
INFRA_IS_PURE = "infra is pure: it never imports ops, nor what only runs in Lambda"
NO_HANDLER_IN_OPS = "ops never imports a Lambda handler"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("contracts")
    shutil.copy(ROOT / "pyproject.toml", folder)
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for package in settings["tool"]["importlinter"]["root_packages"]:
        ignored = shutil.ignore_patterns("__pycache__", "events")
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)
    return folder


def broken(folder: Path) -> set[str]:
    """The contracts that do not hold in a folder."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Contracts: " in done.stdout, done.stdout + done.stderr
    return set(re.findall(r"^(.+) BROKEN$", done.stdout, re.MULTILINE))


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("functions/shared/retry.py", "from functions.pipeline import api", FUNCTIONS_POINT_DOWN),
        ("functions/dead_letters/queue.py", "import functions.reconciliation.gap", FUNCTIONS_POINT_DOWN),
        ("infra/names.py", "import boto3", INFRA_ASKS_NOBODY),
        ("infra/resources/base.py", "import httpx", INFRA_ASKS_NOBODY),
        ("infra/bundle.py", "import socket", INFRA_ASKS_NOBODY),
        ("infra/patterns.py", "from functions import reconcile", INFRA_IS_PURE),
        ("infra/settings/checks.py", "import cdktf", NO_BINDINGS),
        ("infra/patterns.py", "from infra.resources import bucket", NO_BINDINGS),
        ("infra/policy.py", "from infra.resources import role", NO_BINDINGS),
        ("infra/resources/role.py", "from infra.constructs import rules", INFRA_POINTS_DOWN),
        ("ops/progress.py", "from functions import redrive", NO_HANDLER_IN_OPS),
        ("ops/replay/rules.py", "import functions.payments", NO_HANDLER_IN_OPS),
    ],
)
def test_an_import_that_a_contract_forbids_breaks_it(copy: Path, file: str, line: str, contract: str) -> None:
    path = copy / file
    before = path.read_text()
    path.write_text(f"{before}\n{line}\n")
    try:
        assert contract in broken(copy)
    finally:
        path.write_text(before)
