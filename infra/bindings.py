"""The copy of the CDKTF bindings that a synth loads: what the stacks use of them, in `build/bindings`.

The AWS bindings have some 2,100 modules, and the stacks use forty. The installed packages stay as they are.
"""

import hashlib
import importlib.util
import re
import sys
from collections.abc import Collection
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Final

PROVIDER: Final = "cdktf_cdktf_provider_aws"
PACKAGES: Final = ("constructs", "cdktf", PROVIDER)
_INFRA: Final = Path(__file__).parent
FOLDER: Final = _INFRA.parent / "build" / "bindings"
_MAKER: Final = Path(__file__).with_name("bindings_copy.py")
_USED: Final = re.compile(rf"^\s*from {PROVIDER}\.(\w+) import", re.MULTILINE)
_NAME_CHARACTERS: Final = 16


def used() -> frozenset[str]:
    """Return the modules of the provider's bindings that the stacks import."""
    sources = (path.read_text(encoding="utf-8") for path in _INFRA.rglob("*.py"))
    return frozenset(name for source in sources for name in _USED.findall(source))


def made(modules: Collection[str], folder: Path) -> Path:
    """Return the copy with these modules of the provider, for `sys.path`; make it, in seconds, if needed.

    Its name depends on the installed packages, on Python's version and on the modules, so that an old copy is
    never taken for a new one. Safe to call from two processes at once, and after one that was killed.

    Raises
    ------
    ModuleNotFoundError
        A package of the bindings is not installed.
    OSError
        The copy cannot be written.
    """
    packages = [_installed(name) for name in PACKAGES]
    digest = hashlib.sha256(_MAKER.read_bytes() + importlib.util.MAGIC_NUMBER)
    for package in packages:
        for archive in package.glob("_jsii/*.tgz"):
            # The version is in its name, and the lock has the hash of the wheel that it is from.
            digest.update(f"{archive} {archive.stat().st_size} ".encode())
    digest.update(" ".join(sorted(modules)).encode())
    copy = folder / digest.hexdigest()[:_NAME_CHARACTERS]
    if not copy.is_dir():
        # Late: a synth that finds the copy imports nothing that makes one.
        from infra import bindings_copy

        bindings_copy.make(packages, copy, {PROVIDER: modules})
    return copy


def _installed(name: str) -> Path:
    # Not in a copy that is on the path already.
    path = [entry for entry in sys.path if not Path(entry).is_relative_to(FOLDER)]
    spec = PathFinder.find_spec(name, path)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{name} is not installed; run `make setup`", name=name)
    return Path(spec.origin).parent
