"""Install the project into `.venv`: the same result from any state, safe to run twice at once.

Runs on the system's Python with nothing installed, so it imports the standard library only.
pipenv itself lives in `.tools`, apart from what it installs. A stamp holding the digest of
Pipfile.lock and of the interpreter is written last: an interrupted install is finished by the next run.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

PIPENV_VERSION = "2026.10.3"
ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
TOOLS = ROOT / ".tools"
STAMP = VENV / "installed-lock.sha256"
MINIMUM_PYTHON = (3, 11)
MINIMUM_NODE = 20
UNPACK_BINDINGS = (
    "from infra import fast_provider; fast_provider.start_jsii(); import cdktf_cdktf_provider_aws._jsii"
)
CATEGORIES = "packages functions dev-packages"


class SetupError(Exception):
    """What is missing on this machine, and what to install."""


def main() -> int:
    """Check the machine, install what Pipfile.lock names, and return the exit code."""
    try:
        check_machine()
        lock_file = ROOT / ".setup.lock"
        with lock_file.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            install()
    except SetupError as error:
        sys.stderr.write(f"setup: {error}\n")
        return 1
    except subprocess.CalledProcessError as error:
        sys.stderr.write(
            f"setup: `{' '.join(map(str, error.cmd))}` failed with exit code {error.returncode}; see above\n"
        )
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("setup: interrupted; run it again to finish\n")
        return 130
    return 0


def check_machine() -> None:
    """Raise SetupError when Python or Node.js (which the CDKTF bindings run on) is missing or too old."""
    if sys.version_info < MINIMUM_PYTHON:
        raise SetupError(
            f"Python {sys.version.split()[0]} is too old: 3.11 or newer is needed; "
            "name one with `make PYTHON=python3.12 …`"
        )
    node = shutil.which("node")
    if node is None:
        raise SetupError("node is not on PATH: install Node.js 20 or newer (https://nodejs.org)")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.lstrip("v").split(".")[0]) < MINIMUM_NODE:
        raise SetupError(f"Node.js {version} is too old: 20 or newer is needed (https://nodejs.org)")


def install() -> None:
    """Install pipenv, then every category of Pipfile.lock, unless the stamp says it is done."""
    wanted = fingerprint()
    if STAMP.is_file() and STAMP.read_text() == wanted:
        return
    sys.stderr.write("setup: installing the locked packages into .venv (a few minutes the first time)\n")
    STAMP.unlink(missing_ok=True)
    environment = clean_environment()
    tool_python = TOOLS / "bin" / "python"
    if not _runs(tool_python, "-m", "pipenv", "--version"):
        subprocess.run([sys.executable, "-m", "venv", "--clear", TOOLS], check=True, env=environment)
        _pip(tool_python, environment, f"pipenv=={PIPENV_VERSION}")
    if not _runs(VENV / "bin" / "python", "--version") or not _same_version(VENV / "bin" / "python"):
        subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True, env=environment)
    subprocess.run(
        [tool_python, "-m", "pipenv", "sync", "--categories", CATEGORIES],
        cwd=ROOT,
        check=True,
        env=environment,
    )
    # JSII unpacks the provider's bindings into its package cache once; a first synth would pay for it.
    subprocess.run([VENV / "bin" / "python", "-c", UNPACK_BINDINGS], cwd=ROOT, check=True, env=environment)
    STAMP.write_text(wanted)


def fingerprint() -> str:
    """Return the SHA-256 of all that decides what `.venv` holds."""
    digest = hashlib.sha256((ROOT / "Pipfile.lock").read_bytes())
    digest.update(f"{sys.version} {sys.base_prefix} {ROOT} {PIPENV_VERSION}".encode())
    return digest.hexdigest()


def clean_environment() -> dict[str, str]:
    """Return this process's environment, with pipenv held to the project's own folder."""
    kept = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONHOME")}
    return kept | {
        "PIPENV_VENV_IN_PROJECT": "1",
        "PIPENV_IGNORE_VIRTUALENVS": "1",
        "PIPENV_NOSPIN": "1",
        "PIPENV_PIPFILE": str(ROOT / "Pipfile"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


def _pip(python: Path, environment: dict[str, str], *packages: str) -> None:
    subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True, env=environment)


def _runs(*command: str | Path) -> bool:
    """Tell whether a command can be started and succeeds."""
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _same_version(python: Path) -> bool:
    """Tell whether an interpreter has this interpreter's minor version."""
    code = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]!r})"
    return _runs(python, "-c", code)


if __name__ == "__main__":
    sys.exit(main())
