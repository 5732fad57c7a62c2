"""What an install leaves behind is no part of the repository."""

from __future__ import annotations

import subprocess

import pytest

from ops import setup


def test_what_setup_writes_is_ignored_and_not_committed() -> None:
    if not (setup.ROOT / ".git").exists():
        pytest.skip("no git checkout: nothing tells what is committed")
    for path in (setup.LOCK_FILE, setup.STAMP, setup.TOOLS / "bin" / "python"):
        name = str(path.relative_to(setup.ROOT))
        tracked = subprocess.run(
            ["git", "ls-files", "--", name], cwd=setup.ROOT, capture_output=True, text=True, check=True
        )
        assert not tracked.stdout, name
        top = name.split("/")[0]
        ignored = (setup.ROOT / ".gitignore").read_text().splitlines()
        assert {top, f"{top}/"} & set(ignored), name
