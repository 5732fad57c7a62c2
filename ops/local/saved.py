"""Deploys that local runs saved, each in a folder below `build/warm`, so that a later run restores one.

A folder holds what the embedded AWS kept, the synthesised stacks, Terraform's state of the bootstrap, and
`saved.json`: the ports and secrets that are part of that state, and the SHA-256 of every file. It contains
secrets of local servers, so only its owner can read it. A save appears by a rename, or not at all.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from infra.names import BOOTSTRAP
from ops import ROOT
from ops.local.ports import Ports

FOLDER: Final = ROOT / "build" / "warm"
RECORD: Final = "saved.json"
DRAFT: Final = ".saving-"
# Each takes about 20 MB. Another variant, and a run beside this one, have one of their own.
MOST: Final = 4
# Of the run's folder; the servers make everything else again.
PARTS: Final = (
    "aws/state",
    "aws/s3",
    "cdktf.out",
    "postgres/password",
    f"terraform.{BOOTSTRAP}.tfstate",
)
# Sessions of the deploy: no later run should accept their keys.
LEFT_OUT: Final = frozenset({"aws/state/sts.json"})


@dataclass(frozen=True)
class Record:
    """What a saved deploy needs besides its files.

    Parameters
    ----------
    key
        Of `ops.local.fingerprint`.
    secrets
        The values that the deploy wrote to Secrets Manager, by the names of `ops.local.services.Secrets`.
    settings
        The settings that override those of the environment.
    resources
        How many resources Terraform manages.
    engine, version
        The Terraform that deployed.
    outputs
        The outputs of the stack.
    files
        The SHA-256 of each file by its path in the folder.
    """

    key: str
    ports: Ports
    secrets: Mapping[str, str] = field(repr=False)
    settings: Mapping[str, str]
    resources: int
    engine: str
    version: str
    outputs: Mapping[str, Any] = field(repr=False)
    files: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Found:
    """A saved deploy of a key: it can be restored, or `taken` is a port of it that is in use."""

    folder: Path
    record: Record
    taken: int | None


def find(key: str, folder: Path = FOLDER) -> Found | None:
    """Return the newest saved deploy of a key whose ports are free; else one whose are not, or None."""
    best = None
    for place in _newest_first(folder):
        record = _record(place)
        if record is not None and record.key == key:
            best = Found(place, record, record.ports.taken())
            if best.taken is None:
                break
    return best


def restore(found: Found, run: Path, folder: Path = FOLDER) -> bool:
    """Copy a saved deploy into a run's folder; return False, and remove it, if a file of it is damaged."""
    with _locked(folder):
        if not found.folder.is_dir() or _digests(found.folder) != found.record.files:
            shutil.rmtree(found.folder, ignore_errors=True)
            return False
        os.utime(found.folder)
        _copy(found.folder, run)
    return True


def save(record: Record, run: Path, folder: Path = FOLDER) -> None:
    """Save a deploy from its run's folder, and remove the oldest ones beyond MOST."""
    with _locked(folder):
        for left in folder.glob(f"{DRAFT}*"):
            shutil.rmtree(left, ignore_errors=True)
        draft = Path(tempfile.mkdtemp(dir=folder, prefix=DRAFT))
        _copy(run, draft)
        complete = asdict(record) | {"files": _digests(draft)}
        (draft / RECORD).write_text(json.dumps(complete))
        final = folder / f"{record.key[:12]}-{record.ports.aws}"
        shutil.rmtree(final, ignore_errors=True)
        draft.rename(final)
        for place in list(_newest_first(folder))[MOST:]:
            shutil.rmtree(place, ignore_errors=True)


def discard(found: Found, folder: Path = FOLDER) -> None:
    """Remove a saved deploy that can't be used."""
    with _locked(folder):
        shutil.rmtree(found.folder, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _newest_first(folder: Path) -> list[Path]:
    try:
        places = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(DRAFT)]
        return sorted(places, key=lambda path: path.stat().st_mtime, reverse=True)
    except OSError:
        return []


def _record(place: Path) -> Record | None:
    """Read `saved.json`; None if it is missing, or another release of this project wrote it."""
    try:
        read = json.loads((place / RECORD).read_text())
        return Record(**read | {"ports": Ports(**read["ports"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _copy(source: Path, target: Path) -> None:
    for part in PARTS:
        origin, copy = source / part, target / part
        copy.parent.mkdir(parents=True, exist_ok=True)
        if origin.is_dir():
            shutil.copytree(origin, copy, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy2(origin, copy)
    for name in LEFT_OUT:
        (target / name).unlink(missing_ok=True)


def _digests(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_file() and name != RECORD:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found
