"""The peers' packages and programs, installed into build/bench, apart from what the project runs on."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from ops import ROOT
from ops.bundles import Target
from ops.dev.install import NPM_OPTIONS
from ops.errors import OperatorError

FOLDER: Final = ROOT / "build" / "bench"
PEERS: Final = Path(__file__).resolve().parent / "peers"
REQUIREMENTS: Final = PEERS.parent / "requirements.txt"
# What each peer in Python requires; the packages that those require are added.
PYTHON_PEERS: Final = {
    "obvious": ("aws-lambda-powertools[tracer]", "httpx", "stripe"),
    "bare": ("httpx",),
    "webhook": ("httpx", "httptools", "starlette", "stripe", "uvicorn", "uvloop"),
}
NODE_PEERS: Final = ("bare", "powertools")
DIGITS: Final = 12


def installed(target: Target) -> Path:
    """Return the folder of the locked packages for a target, installing them if it is missing.

    Raises
    ------
    OperatorError
        Pip can't install them.
    """
    folder = FOLDER / f"packages-{target.name}-{_digest([REQUIREMENTS])}"
    if folder.is_dir():
        return folder
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER, prefix=".packages-") as scratch:
        site = Path(scratch) / "site"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        command += ["--no-deps", "--no-compile", "--require-hashes", "--only-binary=:all:"]
        command += [*target.pip_options(), "--target", str(site), "-r", str(REQUIREMENTS)]
        _run(command, "pip can't install the peers' packages: check that it reaches its package index")
        site.rename(folder)
    return folder


def deployed(peer: str, packages: Path, folder: Path) -> Path:
    """Copy a peer in Python and the packages that it requires into a folder, as its deployment would."""
    found = {
        canonicalize_name(each.metadata["Name"]): each
        for each in metadata.distributions(path=[str(packages)])
    }
    for name in _closed(PYTHON_PEERS[peer], found):
        for file in found[name].files or []:
            source = packages / file
            if source.is_file() and ".." not in file.parts:
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, folder / file)
    own = folder / "bench" / "peers"
    own.mkdir(parents=True)
    shutil.copy(PEERS.parent / "__init__.py", own.parent)
    for own_file in ("__init__.py", "calls.py", "calls.json", f"{peer}.py"):
        shutil.copy(PEERS / own_file, own)
    return folder


def node_programs() -> dict[str, Path]:
    """Return the bundled program of each peer in Node.js, built with esbuild from the locked packages.

    Raises
    ------
    OperatorError
        Node.js or npm is missing, or npm can't install the packages.
    """
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise OperatorError("node or npm is not on PATH")
    sources = sorted(file for file in (PEERS / "node").iterdir() if file.is_file())
    folder = FOLDER / f"node-{_digest([*sources, PEERS / 'calls.json'])}"
    if not folder.is_dir():
        FOLDER.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER, prefix=".node-") as made:
            scratch = Path(made)
            program = scratch / "node"
            shutil.copytree(PEERS / "node", program, ignore=shutil.ignore_patterns("node_modules"))
            shutil.copy(PEERS / "calls.json", scratch)
            _run([npm, "ci", "--prefix", str(program), *NPM_OPTIONS], "npm can't install the locked packages")
            for name in NODE_PEERS:
                command = [str(program / "node_modules" / ".bin" / "esbuild"), f"{name}.mjs", "--bundle"]
                command += ["--minify", "--platform=node", "--target=node20", "--format=cjs"]
                command += [f"--outfile={scratch / 'built' / name}.cjs", "--log-level=error"]
                _run(command, "esbuild can't bundle the peers", program)
            (scratch / "built").rename(folder)
    return {name: folder / f"{name}.cjs" for name in NODE_PEERS}


def peers_digest() -> str:
    """Return a digest of the peers' own files and the locks of their packages."""
    return _digest(
        [
            REQUIREMENTS,
            *sorted(path for path in PEERS.rglob("*.*") if path.suffix != ".pyc" and path.is_file()),
        ]
    )


def _digest(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name} ".encode() + file.read_bytes())
    return digest.hexdigest()[:DIGITS]


def _closed(
    wanted: Sequence[str], found: Mapping[NormalizedName, metadata.Distribution]
) -> set[NormalizedName]:
    """Return the names of the wanted packages and of all that they require."""
    closed: set[NormalizedName] = set()
    pending = [Requirement(each) for each in wanted]
    while pending:
        requirement = pending.pop()
        package = canonicalize_name(requirement.name)
        if package in closed and not requirement.extras:
            continue
        closed.add(package)
        for line in found[package].requires or []:
            further = Requirement(line)
            extras = ("", *requirement.extras)
            if further.marker is None or any(further.marker.evaluate({"extra": extra}) for extra in extras):
                pending.append(further)
    return closed


def _run(command: Sequence[str], failure: str, folder: Path = ROOT) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        written = (done.stderr or done.stdout).strip().splitlines()
        raise OperatorError(f"{failure} ({written[-1] if written else done.returncode})")
