"""The locked distributions that a handler needs, found by following its imports."""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final, cast

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ops import ROOT
from ops.bundles.target import Target
from ops.errors import OperatorError

PACKAGE: Final = "functions"
# The handlers of each bundle: the first calls HTTP APIs, the other needs PostgreSQL.
BUNDLES: Final[Mapping[str, tuple[str, ...]]] = {
    "handlers": (
        "functions.payments",
        "functions.billing",
        "functions.reconcile",
        "functions.redrive",
        "functions.compact",
    ),
    "audit": ("functions.audit",),
}
# Hexadecimal digits of a module's SHA-256: enough to see that two differ.
MODULE_DIGITS: Final = 8
# Part of every Python runtime of Lambda (AWS, "Building with Python": SDK for Python).
RUNTIME_PROVIDED: Final = frozenset({"boto3", "botocore", "s3transfer", "python-dateutil", "six", "urllib3"})


@dataclass(frozen=True)
class Locked:
    """One distribution of the lock."""

    name: str
    version: str
    hashes: tuple[str, ...]
    extras: tuple[str, ...]

    def requirement(self) -> str:
        """Return its line of a requirements file, with its hashes."""
        hashes = "".join(f" --hash={value}" for value in self.hashes)
        return f"{self.name}{self.version}{hashes}"


def locked(category: str = PACKAGE) -> dict[str, Locked]:
    """Read a category of Pipfile.lock, by default `functions`."""
    document: dict[str, Any] = json.loads((ROOT / "Pipfile.lock").read_text())
    return {
        canonicalize_name(name): Locked(
            name=canonicalize_name(name),
            version=entry["version"],
            hashes=tuple(entry["hashes"]),
            extras=tuple(entry.get("extras", ())),
        )
        for name, entry in document[category].items()
    }


def distributions(handlers: Sequence[str], target: Target) -> list[Locked]:
    """Return the distributions that the handlers import and their requirements on the target, sorted by name.

    Raises
    ------
    OperatorError
        A handler imports a package that is not in the `functions` category of the lock.
    """
    lock = locked()
    providers = metadata.packages_distributions()
    wanted: set[str] = set()
    for module, package in sorted(third_party(handlers)):
        names = {canonicalize_name(name) for name in providers.get(package, [])}
        if names <= RUNTIME_PROVIDED and names:
            continue
        found = sorted(names & set(lock))
        if not found:
            raise OperatorError(
                f"{module} imports {package}, which is not in [functions] of Pipfile: "
                "add it and run `make lock`"
            )
        wanted.update(found)
    return [lock[name] for name in sorted(_closed(wanted, lock, target))]


def described(files: Mapping[str, Path], items: Sequence[Locked]) -> dict[str, str]:
    """Return the version of each package, and the start of the SHA-256 of each of our modules.

    Parameters
    ----------
    files
        Files by their names in a bundle.
    """
    modules = {
        name.removesuffix(".py").removesuffix("/__init__").replace("/", "."): _digest(path)
        for name, path in files.items()
        if name.startswith(f"{PACKAGE}/") and name.endswith(".py")
    }
    packages = {item.name: item.version.removeprefix("==") for item in items}
    return dict(sorted((modules | packages).items()))


def of_checkout(target: Target) -> dict[str, str]:
    """Return what bundles of this checkout contain, without building them.

    Raises
    ------
    OperatorError
        A handler imports a package that is not in the `functions` category of the lock.
    """
    paths = sorted((ROOT / PACKAGE).rglob("*.py"))
    items = {item.name: item for handlers in BUNDLES.values() for item in distributions(handlers, target)}
    return described({path.relative_to(ROOT).as_posix(): path for path in paths}, [*items.values()])


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:MODULE_DIGITS]


def _closed(wanted: set[str], lock: Mapping[str, Locked], target: Target) -> set[str]:
    """Add everything that the wanted distributions require, transitively."""
    environment: dict[str, str] = {**cast("dict[str, str]", default_environment()), **target.markers()}
    closed: set[str] = set()
    pending = sorted(wanted)
    while pending:
        name = pending.pop()
        if name in closed or name in RUNTIME_PROVIDED:
            continue
        if name not in lock:
            raise OperatorError(
                f"{name}, which the functions need on {target.name}, is not in Pipfile.lock's [functions]: "
                "run `make lock`"
            )
        closed.add(name)
        for line in _requirements(name):
            requirement = Requirement(line)
            extras = ("", *lock[name].extras)
            marker = requirement.marker
            if marker is None or any(marker.evaluate(environment | {"extra": extra}) for extra in extras):
                pending.append(canonicalize_name(requirement.name))
    return closed


def _requirements(name: str) -> list[str]:
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError as error:
        raise OperatorError(f"{name} is locked and not installed: run `make setup`") from error


def third_party(handlers: Sequence[str]) -> set[tuple[str, str]]:
    """Return pairs of one of our modules and a top-level package that it imports, from the handlers on."""
    found: set[tuple[str, str]] = set()
    seen: set[str] = set()
    pending = list(handlers)
    while pending:
        module = pending.pop()
        if module in seen or source_file(module) is None:
            continue
        seen.add(module)
        pending.append(module.rpartition(".")[0])
        for name in imports(module):
            top = name.partition(".")[0]
            if top == PACKAGE:
                pending.append(name)
            elif top not in sys.stdlib_module_names:
                found.add((module, top))
    return found


def imports(module: str) -> Iterator[str]:
    """Yield every module that a module imports, also inside its functions, except for type checking."""
    file = source_file(module)
    assert file is not None
    pending: list[ast.AST] = [ast.parse(file.read_text())]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            pending.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        pending.extend(ast.iter_child_nodes(node))


def source_file(module: str) -> Path | None:
    """Return the file of one of our modules; None for anything else."""
    path = ROOT.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if module and candidate.is_file():
            return candidate
    return None
