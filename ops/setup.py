"""Install the project into `.venv`: the same result from any state, safe to run twice at once.

Runs on the system's Python with nothing installed, so it imports the standard library only.
pipenv itself lives in `.tools`, apart from what it installs. A stamp holding the digest of
Pipfile.lock and of the interpreter is written last: an interrupted install is finished by the next run.
Temporary files lie below build/, and are removed however a run ends; after a SIGKILL by the next one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

PIPENV_VERSION = "2026.10.3"
ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
TOOLS = ROOT / ".tools"
STAMP = VENV / "installed-lock.sha256"
# Held while installing. It lies outside the folders that an install clears, and is never committed.
LOCK_FILE = ROOT / ".setup.lock"
TEMPORARY = ROOT / "build" / "setup"
MINIMUM_PYTHON = (3, 11)
MINIMUM_NODE = 20
UNPACK_BINDINGS = (
    "from infra import fast_provider; fast_provider.start_jsii(); import cdktf_cdktf_provider_aws._jsii"
)
CATEGORIES = "packages functions dev-packages"
STOP_SECONDS = 5.0
TERMINATED = 143


class SetupError(Exception):
    """What is missing on this machine, and what to install."""


def main() -> int:
    """Check the machine, install what Pipfile.lock names, and return the exit code."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _terminated)
    signal.signal(signal.SIGHUP, _terminated)
    try:
        check_machine()
        with LOCK_FILE.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with _temporary_folder():
                install()
    except SetupError as error:
        sys.stderr.write(f"setup: {error}\n")
        return 1
    except subprocess.CalledProcessError as error:
        sys.stderr.write(
            f"setup: `{' '.join(map(str, error.cmd))}` failed with exit code {error.returncode}; see above\n"
        )
        return 1
    except OSError as error:
        sys.stderr.write(
            f"setup: can't write to {error.filename or ROOT}: {error.strerror}; make the checkout writable\n"
        )
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("setup: interrupted; run it again to finish\n")
        return 130
    return 0


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    """Leave by the way of an exception: what was started is ended, the temporary folder removed."""
    sys.exit(TERMINATED)


@contextmanager
def _temporary_folder() -> Iterator[None]:
    """Have the temporary folder empty within the block, and gone afterwards."""
    shutil.rmtree(TEMPORARY, ignore_errors=True)
    TEMPORARY.mkdir(parents=True)
    try:
        yield
    finally:
        shutil.rmtree(TEMPORARY, ignore_errors=True)


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
    STAMP.unlink(missing_ok=True)
    tool_python, python = TOOLS / "bin" / "python", VENV / "bin" / "python"
    if not _runs(tool_python, "-m", "pipenv", "--version"):
        _step("make .tools for pipenv", sys.executable, "-m", "venv", "--clear", TOOLS)
        _step("install pipenv", tool_python, "-m", "pip", "install", f"pipenv=={PIPENV_VERSION}")
    if not _runs(python, "--version") or not _same_version(python):
        _step("make .venv", sys.executable, "-m", "venv", "--clear", VENV)
    sync = (tool_python, "-m", "pipenv", "sync", "--categories", CATEGORIES)
    _step("install the locked packages (minutes, the first time)", *sync)
    # JSII unpacks the provider's bindings into its package cache once; a first synth would pay for it.
    _step("unpack the Terraform bindings", python, "-c", UNPACK_BINDINGS)
    STAMP.write_text(wanted)


def _step(what: str, *command: str | Path) -> None:
    """Run one command with a line before and after; what it says is shown where it fails."""
    sys.stderr.write(f"setup: {what} … ")
    sys.stderr.flush()
    started = time.monotonic()
    # A group of its own: what pipenv starts is to end with it, before the temporary folder is removed.
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate()
    except BaseException:
        sys.stderr.write("stopped\n")
        _stop(process)
        raise
    sys.stderr.write(f"{time.monotonic() - started:.1f} s\n")
    if process.returncode != 0:
        sys.stderr.write(said)
        raise SetupError(f"could not {what}; what it said stands above. Mend it and run `make setup` again")


def _stop(process: subprocess.Popen[str]) -> None:
    """End a command and all that it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def fingerprint() -> str:
    """Return the SHA-256 of all that decides what `.venv` holds."""
    digest = hashlib.sha256((ROOT / "Pipfile.lock").read_bytes())
    digest.update(f"{sys.version} {sys.base_prefix} {ROOT} {PIPENV_VERSION}".encode())
    return digest.hexdigest()


def clean_environment() -> dict[str, str]:
    """Return this process's environment, with pipenv held to the project's own folder."""
    kept = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONHOME")}
    TEMPORARY.mkdir(parents=True, exist_ok=True)
    return kept | {
        "PIPENV_VENV_IN_PROJECT": "1",
        "PIPENV_IGNORE_VIRTUALENVS": "1",
        "PIPENV_NOSPIN": "1",
        "PIPENV_PIPFILE": str(ROOT / "Pipfile"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "TMPDIR": str(TEMPORARY),
    }


def _runs(*command: str | Path) -> bool:
    """Tell whether a command can be started and succeeds."""
    try:
        done = subprocess.run(command, capture_output=True, env=clean_environment(), check=False)
    except OSError:
        return False
    return done.returncode == 0


def _same_version(python: Path) -> bool:
    """Tell whether an interpreter has this interpreter's minor version."""
    code = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]!r})"
    return _runs(python, "-c", code)


if __name__ == "__main__":
    sys.exit(main())
