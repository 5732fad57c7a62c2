"""`make browser`: find a Chromium for the tests of the console and for screenshots, or install one.

Playwright drives the browser of the machine, so that no test downloads one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ops.console import print_error, print_line

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge")
# Where macOS keeps programs with a window.
MACOS: Final = (
    Path("/Applications/Chromium.app/Contents/MacOS/Chromium"),
    Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),
)
# Package managers, and how they install a Chromium. Ubuntu's is a snap, which a container can't run.
INSTALLERS: Final[Sequence[tuple[str, Sequence[Sequence[str]]]]] = (
    # A new machine has no list of packages.
    ("apt-get", (("update",), ("install", "--yes", "--no-install-recommends", "chromium"))),
    ("dnf", (("install", "--assumeyes", "chromium"),)),
    ("apk", (("add", "chromium"),)),
    ("pacman", (("--sync", "--noconfirm", "chromium"),)),
    ("brew", (("install", "--cask", "chromium"),)),
)
# It asks for no administrator.
UNPRIVILEGED: Final = frozenset({"brew"})
MISSING: Final = "no Chromium on PATH: run `make browser`, or install chromium or google-chrome"


def find() -> Path | None:
    """Return the machine's Chromium, or a browser of its kind; None if there is none."""
    found = [Path(path) for name in NAMES if (path := shutil.which(name))]
    return next((path for path in (*found, *MACOS) if path.exists()), None)


def arguments() -> list[str]:
    """Return what the browser needs to start: root has no sandbox of Chromium."""
    return ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []


def main() -> int:
    """Install a Chromium if none is found; return an exit code."""
    if path := find():
        print_line(f"found {path}")
        return 0
    for name, steps in INSTALLERS:
        program = shutil.which(name)
        if program:
            is_root = hasattr(os, "geteuid") and os.geteuid() == 0
            sudo = [] if is_root or name in UNPRIVILEGED else ["sudo", "--non-interactive"]
            try:
                for words in steps:
                    print_line(f"run {' '.join((*sudo, name, *words))}")
                    subprocess.run([*sudo, program, *words], check=True)
            except (OSError, subprocess.CalledProcessError) as error:
                print_error(f"error: {name} installed no Chromium ({error}): install one yourself")
                return 1
            return 0 if find() else _missing()
    return _missing()


def _missing() -> int:
    print_error(f"error: {MISSING}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
