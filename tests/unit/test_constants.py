"""Constants are written in one form, so that mypy refuses to change one."""

from __future__ import annotations

import re

from ops import ROOT

# A name of one character is a type variable.
PLAIN = re.compile(r"^_?[A-Z][A-Z0-9_]+ = ", re.MULTILINE)


def test_module_constants_are_final() -> None:
    found = [
        f"{file.relative_to(ROOT)}: {match[0]}"
        for folder in ("functions", "infra", "ops")
        for file in sorted((ROOT / folder).rglob("*.py"))
        # It runs before anything but Python is there, and loads as little of it as it can.
        if file != ROOT / "ops/dev/install.py"
        for match in PLAIN.finditer(file.read_text(encoding="utf-8"))
    ]
    assert not found, "write NAME: Final = …\n" + "\n".join(found)
