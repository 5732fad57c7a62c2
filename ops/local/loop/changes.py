"""What a saved file asks for: new code of the functions, Terraform, unit tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from ops import ROOT
from ops.bundles.contents import PACKAGE, imports, source_file

# Files of these decide the stack.
STACK: Final = ("environments", "infra", "main.py")
FOLDERS: Final = (PACKAGE, "environments", "infra", "tests/unit")
SUFFIXES: Final = (".py", ".toml")


@dataclass(frozen=True)
class Changes:
    """Files that were saved together.

    Parameters
    ----------
    paths
        Relative to the checkout, sorted.
    """

    paths: tuple[str, ...]

    @property
    def code(self) -> bool:
        """Whether a function's source is among them."""
        return any(path.startswith(f"{PACKAGE}/") for path in self.paths)

    @property
    def modules(self) -> frozenset[str]:
        """The names of the Python modules among them."""
        return frozenset(_module(path) for path in self.paths if path.endswith(".py"))

    def of_stack(self) -> tuple[str, ...]:
        """Return the paths that decide the stack: its own files, and what they import from the functions."""
        read = _imported_by_stack()
        return tuple(path for path in self.paths if path.partition("/")[0] in STACK or _module(path) in read)

    def unit_tests(self) -> list[Path]:
        """Return the files of unit tests that import one of the modules, directly or through others."""
        tests = sorted((ROOT / "tests" / "unit").rglob("test_*.py"))
        known: dict[str, frozenset[str]] = {}
        return [path for path in tests if self.modules & _reached(_of(path), known)]


def _imported_by_stack() -> frozenset[str]:
    """Return the modules of the functions that synth imports, directly or through others."""
    known: dict[str, frozenset[str]] = {}
    reached = (_reached(_of(path), known) for path in (ROOT / "infra").rglob("*.py"))
    return frozenset(name for names in reached for name in names if name.startswith(f"{PACKAGE}."))


def _reached(module: str, known: dict[str, frozenset[str]]) -> frozenset[str]:
    """Return a module and those of ours that it imports, directly or through others.

    Parameters
    ----------
    known
        What each module imports directly; filled here.
    """
    pending, seen = [module], set[str]()
    while pending:
        name = pending.pop()
        if name not in seen:
            seen.add(name)
            if name not in known:
                file = source_file(name)
                known[name] = _imported(name, file.stat().st_mtime_ns) if file else frozenset()
            pending.extend(known[name])
    return frozenset(seen)


@cache
def _imported(module: str, _modified: int) -> frozenset[str]:
    """Return what a module imports; it is read once for each time at which it was modified."""
    return frozenset(_imports_of(module))


def _imports_of(module: str) -> Iterator[str]:
    """Yield what a module imports; nothing while it has a syntax error."""
    try:
        yield from imports(module)
    except SyntaxError:
        return


def _of(path: Path) -> str:
    return _module(path.relative_to(ROOT).as_posix())


def _module(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def relevant(paths: Iterable[str]) -> Changes:
    """Return the changes among files that a watcher names by their full paths."""
    inside = {Path(path).relative_to(ROOT).as_posix() for path in paths}
    return Changes(tuple(sorted(path for path in inside if path.endswith(SUFFIXES))))
