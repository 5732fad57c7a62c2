"""Build the zips that Lambda runs: our functions, the packages that they need, and bytecode of both."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Final

from packaging.utils import canonicalize_name

from ops import ROOT
from ops.bundles.authorities import write_folder
from ops.bundles.contents import BUNDLES, PACKAGE, Locked, described, distributions
from ops.bundles.interpreter import find_interpreter
from ops.bundles.target import Target
from ops.errors import OperatorError

OUTPUT: Final = ROOT / "build" / "bundles"
MANIFEST: Final = "manifest.json"
SCRATCH: Final = ".building-"
# Where Lambda unpacks a bundle: the path in tracebacks.
LAMBDA_TASK_ROOT: Final = "/var/task"
# The zip's bytes depend on names and contents only. This is the earliest time that a zip can hold.
EPOCH: Final = (1980, 1, 1, 0, 0, 0)
FILE_MODE: Final = 0o100644
LIBRARY_MODE: Final = 0o100755
COMPRESSION_LEVEL: Final = 9
UNIX: Final = 3
LEFT_OUT_SUFFIXES: Final = (".pyi", ".pyc", "py.typed")
# swagger_ui: a web page of Powertools' API router, a quarter of its bytes, which no event handler serves.
LEFT_OUT_FOLDERS: Final = frozenset({"tests", "__pycache__", "swagger_ui"})
# Utilities of Powertools that the functions do not use. Logger and Metrics import none of them.
UTILITIES: Final = (
    "auth_alpha",
    "batch",
    "circuit_breaker",
    "data_classes",
    "data_masking",
    "feature_flags",
    "idempotency",
    "kafka",
    "parameters",
    "parser",
    "streaming",
    "validation",
)
# Most of the stripe library: types for type checkers, which nothing imports at run time, classes of thin
# events, and classes and services of its products. The functions read answers as plain dicts.
PARTS_OF_STRIPE: Final = (
    "apps",
    "billing",
    "billing_portal",
    "checkout",
    "climate",
    "data",
    "entitlements",
    "events",
    "financial_connections",
    "forwarding",
    "identity",
    "issuing",
    "params",
    "product_catalog",
    "radar",
    "reporting",
    "reserve",
    "sigma",
    "tax",
    "terminal",
    "test_helpers",
    "three_d_secure",
    "treasury",
    "v2/billing",
    "v2/commerce",
    "v2/money_management",
    "v2/test_helpers",
)
LEFT_OUT_PACKAGES: Final = (
    *(f"stripe/{name}/" for name in PARTS_OF_STRIPE),
    # HTTP clients that the stripe library would use if it had none of ours.
    "requests/",
    "charset_normalizer/",
    # Asynchronous clients of httpx.
    "anyio/",
    "aws_lambda_powertools/event_handler/",
    *(f"aws_lambda_powertools/utilities/{name}/" for name in UTILITIES),
)
# Where `functions.shared.tls` looks for it.
AUTHORITIES: Final = f"{PACKAGE}/shared/authorities"


@dataclass(frozen=True)
class Bundle:
    """A built zip and its SHA-256 in hexadecimal.

    Parameters
    ----------
    contents
        The version of each package in it, and the start of the SHA-256 of each of our modules: what a plan
        names where two bundles differ.
    """

    name: str
    path: Path
    sha256: str
    contents: Mapping[str, str] = field(default_factory=dict)


def build(target: Target, progress: Callable[[str], None] = lambda _: None) -> Mapping[str, Bundle]:
    """Return the target's bundles by name, building them unless they are up to date.

    The same sources, lock, target and version of the compiling interpreter give the same bytes. Safe to call
    from two processes at once, and after one that was killed.

    Raises
    ------
    OperatorError
        Pip can't install the locked packages for the target.
    """
    folder = OUTPUT / target.name
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / ".lock"):
        # Under the lock no other process builds here: a killed build left these.
        for left in folder.glob(f"{SCRATCH}*"):
            shutil.rmtree(left)
        digest = _digest(target)
        existing = _up_to_date(folder, digest, target)
        if existing is not None:
            return existing
        with tempfile.TemporaryDirectory(dir=folder, prefix=SCRATCH) as scratch:
            return _build(target, folder, Path(scratch), digest, progress)


def _build(
    target: Target, folder: Path, scratch: Path, digest: str, progress: Callable[[str], None]
) -> Mapping[str, Bundle]:
    contents = {name: distributions(handlers, target) for name, handlers in BUNDLES.items()}
    site = scratch / "site"
    progress(f"packages for {target.name}")
    install({item.name: item for items in contents.values() for item in items}, target, site)
    shutil.copytree(ROOT / PACKAGE, site / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
    write_folder(site / "certifi" / "cacert.pem", site / AUTHORITIES)
    interpreter = find_interpreter(target)
    progress(bytecode_line(target, interpreter))
    if interpreter is not None:
        compile_sources(interpreter, site)
    owned = _files_by_distribution(site)
    bundles = {}
    for name, items in contents.items():
        progress(f"{name}.zip")
        files = dict(own_files(site))
        for item in items:
            files |= owned[item.name]
        draft = scratch / f"{name}.zip"
        write_zip(draft, _with_bytecode(files, site))
        bundles[name] = Bundle(name, folder / f"{name}.zip", _sha256(draft), described(files, items))
    (folder / MANIFEST).unlink(missing_ok=True)
    for name, bundle in bundles.items():
        (scratch / f"{name}.zip").replace(bundle.path)
    _write_manifest(folder, digest, bundles, interpreter)
    return bundles


def bytecode_line(target: Target, interpreter: Path | None) -> str:
    """Return the line that says whether the bundle has bytecode."""
    if interpreter is None:
        return (
            f"no {target.runtime} on this machine: the bundle has no bytecode, "
            "and a cold start takes 1.6 times as long"
        )
    return f"bytecode by {target.runtime}"


def install(items: Mapping[str, Locked], target: Target, site: Path) -> None:
    """Install locked distributions for a target into a folder, from wheels whose hashes the lock has.

    Raises
    ------
    OperatorError
        Pip can't install them.
    """
    requirements = site.with_suffix(".txt")
    requirements.write_text("".join(f"{items[name].requirement()}\n" for name in sorted(items)))
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-compile",
        "--require-hashes",
    ]
    command += ["--only-binary=:all:", "--disable-pip-version-check", "--target", str(site)]
    done = subprocess.run(
        [*command, *target.pip_options(), "-r", str(requirements)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise OperatorError(
            f"pip can't install the functions' packages for {target.name}: {_reason(done.stderr)}; "
            "check that pip reaches its package index (`pip config list`)"
        )


def _reason(output: str) -> str:
    """Return why pip failed, from its output: an index that is down looks like one without the package."""
    if "Retrying (" in output:
        return "the package index does not answer"
    errors = [line for line in output.splitlines() if line.startswith("ERROR")]
    return errors[-1] if errors else " ".join(output.split())


def compile_sources(interpreter: Path, site: Path) -> None:
    """Compile everything with the paths on Lambda, in one process, so that the bytes are reproducible.

    Raises
    ------
    OperatorError
        One of our modules does not compile.
    """
    command = [str(interpreter), "-I", "-m", "compileall", "-q", "-j", "1"]
    command += ["--invalidation-mode", "unchecked-hash", "-s", str(site), "-p", LAMBDA_TASK_ROOT, str(site)]
    # A package may include a file for other versions of Python; ours must compile.
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    for source in (site / PACKAGE).rglob("*.py"):
        if not list((source.parent / "__pycache__").glob(f"{source.stem}.*.pyc")):
            said = " ".join(done.stdout.replace(f"{site}/", "").split())
            raise OperatorError(f"{interpreter} can't compile {source.relative_to(site)}: {said}")


def _files_by_distribution(site: Path) -> dict[str, dict[str, Path]]:
    """Return the files of each distribution by their names in the zip."""
    found: dict[str, dict[str, Path]] = {}
    for distribution in metadata.distributions(path=[str(site)]):
        names = [str(file) for file in distribution.files or []]
        kept = {name: site / name for name in names if _is_needed(name) and (site / name).is_file()}
        found[canonicalize_name(distribution.metadata["Name"])] = kept
    return found


def own_files(site: Path) -> Iterator[tuple[str, Path]]:
    """Yield our files below a folder that belong in a bundle, by their names in it."""
    for path in sorted((site / PACKAGE).rglob("*")):
        name = path.relative_to(site).as_posix()
        if path.is_file() and _is_needed(name):
            yield name, path


def _is_needed(name: str) -> bool:
    parts = Path(name).parts
    outside = parts[0] in ("..", "bin") or parts[0].endswith(".dist-info")
    unwanted = name.endswith(LEFT_OUT_SUFFIXES) or name.startswith(LEFT_OUT_PACKAGES)
    return not outside and not unwanted and not LEFT_OUT_FOLDERS & set(parts[:-1])


def _with_bytecode(files: Mapping[str, Path], site: Path) -> dict[str, Path]:
    """Add the bytecode of each source file that has one."""
    result = dict(files)
    for name in files:
        path = site / name
        if path.suffix == ".py":
            for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.cpython-*.pyc"):
                result[compiled.relative_to(site).as_posix()] = compiled
    return result


def write_zip(path: Path, files: Mapping[str, Path]) -> None:
    """Write files into a zip, in the order of their names in it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION_LEVEL) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.create_system = UNIX
            entry.external_attr = (LIBRARY_MODE if ".so" in name else FILE_MODE) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[name].read_bytes(), compresslevel=COMPRESSION_LEVEL)


def _digest(target: Target) -> str:
    """Return the SHA-256 of everything that decides the bundles' bytes, except the compiling interpreter."""
    digest = hashlib.sha256(repr(target).encode())
    lock = json.loads((ROOT / "Pipfile.lock").read_text())[PACKAGE]
    digest.update(json.dumps(lock, sort_keys=True).encode())
    for folder in (ROOT / PACKAGE, Path(__file__).parent):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(path.relative_to(ROOT).as_posix().encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _up_to_date(folder: Path, digest: str, target: Target) -> dict[str, Bundle] | None:
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError):
        return None
    if manifest["digest"] != digest or (not manifest["bytecode"] and find_interpreter(target)):
        return None
    bundles = {
        name: Bundle(name, folder / f"{name}.zip", sha, manifest["contents"][name])
        for name, sha in manifest["bundles"].items()
    }
    intact = all(item.path.is_file() and _sha256(item.path) == item.sha256 for item in bundles.values())
    return bundles if intact else None


def _write_manifest(
    folder: Path, digest: str, bundles: Mapping[str, Bundle], interpreter: Path | None
) -> None:
    manifest = {
        "digest": digest,
        "bytecode": interpreter is not None,
        "bundles": {name: bundle.sha256 for name, bundle in bundles.items()},
        "contents": {name: bundle.contents for name, bundle in bundles.items()},
    }
    draft = folder / f".{MANIFEST}.{os.getpid()}"
    draft.write_text(json.dumps(manifest, indent=2) + "\n")
    draft.replace(folder / MANIFEST)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
