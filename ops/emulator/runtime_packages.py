"""The packages that Lambda's Python runtime has: the SDK, and AWS's runtime interface client.

`python -m ops.emulator.runtime_packages` installs the client for the Python versions in which functions run
on this machine; another version is installed when a function first needs it.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from ops import ROOT
from ops.bundles import LAMBDA, Target, host_target
from ops.bundles.builder import install
from ops.bundles.contents import locked
from ops.bundles.interpreter import CURRENT, find_interpreter

CATEGORY: Final = "lambda"
FOLDER: Final = ROOT / ".tools" / CATEGORY
DIGITS: Final = 12
# The SDK of Lambda's runtime (developer guide, "Runtime-included SDK versions"). All of it is Python, so that
# every interpreter imports it from where it is installed.
SDK: Final = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")
# Where AWS's compiled client has no build for this machine (macOS, musl), Python imports this one instead.
CLIENT_IN_PYTHON: Final = Path(__file__).with_name("runtime_client") / "runtime_client.py"


def interpreter(runtime: str) -> Path:
    """Return this machine's interpreter of a runtime such as `python3.13`, or else the current one."""
    return find_interpreter(_target(runtime)) or Path(sys.executable)


def link_packages(runtime: str, folder: Path) -> None:
    """Fill a folder with links to the packages of a runtime, for the interpreter that runs it.

    Raises
    ------
    OperatorError
        The client is not installed, and pip can't install it.
    """
    unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    for name in SDK:
        source = package_source(name)
        (unfinished / source.name).symlink_to(source)
    for source in installed(runtime).iterdir():
        (unfinished / source.name).symlink_to(source)
    (unfinished / CLIENT_IN_PYTHON.name).symlink_to(CLIENT_IN_PYTHON)
    unfinished.rename(folder)


def package_source(name: str) -> Path:
    """Return the folder or file of an installed package."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    origin = Path(spec.origin)
    return origin.parent if origin.name == "__init__.py" else origin


def installed(runtime: str) -> Path:
    """Return the folder of the runtime interface client, installing what Pipfile.lock names if it is missing.

    Raises
    ------
    OperatorError
        Pip can't install it.
    """
    items = locked(CATEGORY)
    versions = "".join(sorted(item.requirement() for item in items.values()))
    folder = FOLDER / f"{runtime}-{hashlib.sha256(versions.encode()).hexdigest()[:DIGITS]}"
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=FOLDER, prefix=".installing-") as scratch:
                site = Path(scratch) / "site"
                # Linux's wheels hold the Python code for every system.
                install(items, Target(_target(runtime).architecture, runtime), site)
                for unneeded in site.glob("bin"):
                    shutil.rmtree(unneeded)
                site.rename(folder)
    return folder


def _target(runtime: str) -> Target:
    host = host_target()
    return Target(host.architecture, runtime, host.system)


if __name__ == "__main__":
    for wanted in sorted({LAMBDA.runtime, CURRENT}):
        installed(wanted)
