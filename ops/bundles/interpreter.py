"""Find the target's Python on this machine: it compiles the bytecode, and runs functions locally."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from ops.bundles.target import LAMBDA, LINUX, Target

CURRENT: Final = f"python{sys.version_info.major}.{sys.version_info.minor}"
PLACES: Final = ("/usr/local/bin", "/usr/bin", "/opt/homebrew/bin", "/opt/*/bin", "/usr/local/*/bin")


def host_target() -> Target:
    """Return the target of this machine's functions: Lambda's Python if it is there, else the current one.

    A Linux with glibc runs Lambda's wheels; macOS and Linux with musl
    have wheels of their own.
    """
    architecture = "arm64" if platform.machine().lower() in ("arm64", "aarch64") else "x86_64"
    system = platform.system().lower()
    if system == LINUX and platform.libc_ver()[0] != "glibc":
        system = "musl"
    lambdas = Target(architecture, LAMBDA.runtime, system)
    if find_interpreter(lambdas):
        return lambdas
    return Target(architecture, CURRENT, system)


def described_python() -> str:
    """Return which Python functions run in on this machine, for the notes of a run."""
    found = host_target()
    other = "" if found.runtime == LAMBDA.runtime else f" instead of {LAMBDA.python}"
    return f"functions in Python {found.python}{other}"


def find_interpreter(target: Target) -> Path | None:
    """Return an interpreter of the target's minor version, or None.

    It runs each candidate: a `python3.13` on PATH may be a version manager's shim without that version.
    """
    return next((path for path in _candidates(target) if _is_version(path, target.python)), None)


def _candidates(target: Target) -> Iterator[Path]:
    if target.runtime == CURRENT:
        yield Path(sys.executable)
    on_path = shutil.which(target.runtime)
    if on_path:
        yield Path(on_path)
    home = Path.home()
    pyenv = Path(os.environ.get("PYENV_ROOT") or home / ".pyenv") / "versions"
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or home / ".local" / "share" / "uv" / "python")
    for folder, pattern in ((pyenv, f"{target.python}.*"), (uv, f"cpython-{target.python}.*")):
        yield from sorted(folder.glob(f"{pattern}/bin/{target.runtime}"))
    for place in PLACES:
        yield from sorted(Path("/").glob(f"{place.lstrip('/')}/{target.runtime}"))


@cache
def _is_version(path: Path, version: str) -> bool:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([path, "-c", code], capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.strip() == version
