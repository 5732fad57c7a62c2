"""Install the project into `.venv`: the same result from any state, safe to run twice at once.

Runs on the system's Python with nothing installed, so it imports the standard library only. Every package
comes as a wheel whose SHA-256 stands in Pipfile.lock, and nothing else is downloaded: no package builds
itself, and pip is the one that Python ships. A stamp holding the digest of what is locked and of the
interpreter is written last: an interrupted install is finished by the next run. Temporary files lie below
build/, and are removed however a run ends; after a SIGKILL by the next one.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
TOOLS = ROOT / ".tools"
STAMP = VENV / "installed-lock.sha256"
# Held while installing. It lies outside the folders that an install clears, and is never committed.
LOCK_FILE = ROOT / ".setup.lock"
TEMPORARY = ROOT / "build" / "setup"
MINIMUM_PYTHON = (3, 11)
MINIMUM_NODE = 20
UNPACK_BINDINGS = (
    "from infra import fast_provider, resources; fast_provider.start_jsii(); "
    "import cdktf_cdktf_provider_aws._jsii"
)
# As Pipfile.lock calls its categories: what the project runs on, the functions' own, what its checks need.
CATEGORIES = ("default", "functions", "develop")
# Bytecode is written by the first import: most modules of the Terraform bindings are never imported.
PIP_OPTIONS = ("--no-deps", "--require-hashes", "--only-binary", ":all:", "--no-compile")
STOP_SECONDS = 5.0
# Found from where the program lies, so that a moved or linked checkout runs its own code; the shell starts
# the interpreter, because a shebang holds neither spaces nor a long path.
PROGRAM = """\
#!/bin/sh
'''exec' "$(dirname "$0")/python" "$0" "$@"
' '''
import os
import sys

sys.path[0] = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
from {module} import {function}

{function}()
"""
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
    """Install what the project needs into `.venv`, unless the stamp says it is done."""
    if not _is_installed(VENV, CATEGORIES):
        python = _install_into(VENV, CATEGORIES)
        # JSII unpacks the provider's bindings into its package cache once; a first synth would pay for it.
        _step("unpack the Terraform bindings", python, "-c", UNPACK_BINDINGS)
        _stamp(VENV).write_text(fingerprint(CATEGORIES))
    write_programs(VENV / "bin")


def write_programs(folder: Path) -> None:
    """Write the programs of `[project.scripts]` in pyproject.toml into a folder."""
    # Not at the top: an older Python is to reach the check that refuses it.
    import tomllib

    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    for name, target in scripts.items():
        module, _, function = target.partition(":")
        program = folder / name
        program.write_text(PROGRAM.format(module=module, function=function))
        program.chmod(0o755)


def install_tool(category: str) -> Path:
    """Install a category of Pipfile.lock into a folder of its own, unless it is there; return its programs.

    Raises
    ------
    SetupError
        A package can't be installed.
    """
    folder = TOOLS / category
    with LOCK_FILE.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with _temporary_folder():
            if not _is_installed(folder, (category,)):
                _install_into(folder, (category,))
                _stamp(folder).write_text(fingerprint((category,)))
    return folder / "bin"


def _is_installed(folder: Path, categories: Sequence[str]) -> bool:
    stamp = _stamp(folder)
    return stamp.is_file() and stamp.read_text() == fingerprint(categories)


def _install_into(folder: Path, categories: Sequence[str]) -> Path:
    """Make a virtual environment of the locked packages; return its interpreter."""
    _stamp(folder).unlink(missing_ok=True)
    python = folder / "bin" / "python"
    name = folder.relative_to(ROOT)
    if not _runs(python, "--version") or not _same_version(python):
        _step(f"make {name}", sys.executable, "-m", "venv", "--clear", folder)
    requirements = TEMPORARY / "requirements.txt"
    requirements.write_text(locked(json.loads((ROOT / "Pipfile.lock").read_text()), categories))
    _step(
        f"install the locked packages into {name}",
        *(python, "-m", "pip", "install", *PIP_OPTIONS, "-r", requirements),
    )
    return python


def _stamp(folder: Path) -> Path:
    return folder / STAMP.name


def locked(lock: dict[str, dict[str, dict[str, Any]]], categories: Sequence[str]) -> str:
    """Write categories of Pipfile.lock as pip's requirements, each package with the hashes of its files.

    Raises
    ------
    SetupError
        A package is locked without a hash.
    """
    packages = {name: package for category in categories for name, package in lock[category].items()}
    lines = []
    for name, package in sorted(packages.items()):
        if not package.get("hashes"):
            raise SetupError(f"Pipfile.lock has no hash of {name}; run `make lock`")
        extras = f"[{','.join(package['extras'])}]" if "extras" in package else ""
        marker = f" ; {package['markers']}" if "markers" in package else ""
        hashes = "".join(f" --hash={value}" for value in package["hashes"])
        lines.append(f"{name}{extras}{package['version']}{marker}{hashes}\n")
    return "".join(lines)


def _step(what: str, *command: str | Path) -> None:
    """Run one command with a line before and after; what it says is shown where it fails."""
    sys.stderr.write(f"setup: {what} … ")
    sys.stderr.flush()
    started = time.monotonic()
    # A group of its own: what pip starts is to end with it, before the temporary folder is removed.
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
        raise SetupError(f"could not {what}; what it said stands above. Fix it and run `make setup` again")


def _stop(process: subprocess.Popen[str]) -> None:
    """End a command and all that it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def fingerprint(categories: Sequence[str]) -> str:
    """Return the SHA-256 of all that decides what an installed folder holds."""
    lock = json.loads((ROOT / "Pipfile.lock").read_text())
    digest = hashlib.sha256(json.dumps([lock[category] for category in categories]).encode())
    digest.update(f"{sys.version} {sys.base_prefix} {ROOT}".encode())
    return digest.hexdigest()


def clean_environment() -> dict[str, str]:
    """Return this process's environment, with pip and pipenv held to the project's own folders."""
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
