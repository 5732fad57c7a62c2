"""The licences of all locked packages, against a list of those that are allowed.

What is installed says its licence: `License-Expression` (PEP 639), else the classifiers, else `License`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any, Final

from license_expression import ExpressionError, Licensing, ParseError
from packaging.utils import canonicalize_name

from ops import ROOT

# SPDX identifiers. Each lets a package be used, and shipped unchanged, if its notice stays with it.
ALLOWED: Final = frozenset(
    {
        *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CNRI-Python", "ISC", "MIT", "MIT-0"),
        *("CC0-1.0", "MIT-CMU", "MPL-2.0", "PSF-2.0", "Python-2.0", "Unlicense", "Zlib"),
    }
)
# Packages with another licence, and why they may be here.
ACCEPTED: Final[Mapping[str, str]] = {
    "axe-playwright-python": "MIT by its LICENSE file, with axe-core, MPL-2.0: only tests run it",
    "codespell": "GPL-2.0-only: a program that `make check` runs, never imported and never shipped",
    "psycopg": "LGPL-3.0-only: imported as a library, shipped unchanged with its licence",
    "psycopg-binary": "LGPL-3.0-only: imported as a library, shipped unchanged with its licence",
}
# What older metadata calls them; classifiers end with the same names.
NAMES: Final[Mapping[str, str]] = {
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache-2": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd 3": "BSD-3-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "the mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "psf": "PSF-2.0",
    "python software foundation license": "PSF-2.0",
    "the unlicense (unlicense)": "Unlicense",
    "gnu general public license v2 (gplv2)": "GPL-2.0-only",
    "gnu general public license v3 (gplv3)": "GPL-3.0-only",
    "gnu lesser general public license v3 (lgplv3)": "LGPL-3.0-only",
    "gnu affero general public license v3": "AGPL-3.0-only",
}
CLASSIFIER: Final = "License :: "
APPROVED: Final = "OSI Approved"
SPDX: Final = Licensing()
# A longer `License` field is the text of a licence.
LONGEST_NAME: Final = 60


@dataclass(frozen=True)
class Licence:
    """What a package says of its licence; empty if it says nothing that this module knows."""

    package: str
    expression: str


def faults(folders: Iterable[Path], lock: Path = ROOT / "Pipfile.lock") -> list[str]:
    """Return the faults of the locked packages that are installed in these folders, one sentence each."""
    wanted = locked(lock)
    found = {each.package: each for each in _installed(folders) if each.package in wanted}
    return [
        *(text for each in sorted(found.values(), key=lambda one: one.package) if (text := fault(each))),
        *(
            f"{package} is not locked: remove it from ACCEPTED in ops/dev/policy/licences.py"
            for package in sorted(set(ACCEPTED) - wanted)
        ),
    ]


def not_installed(folders: Iterable[Path], lock: Path = ROOT / "Pipfile.lock") -> list[str]:
    """Return the locked packages that are not in these folders, for example those of other platforms."""
    return sorted(locked(lock) - {each.package for each in _installed(folders)})


def fault(licence: Licence) -> str:
    """Return what is wrong with a licence; empty if it is allowed, or accepted for this package."""
    allowed = bool(licence.expression) and is_allowed(licence.expression)
    if allowed and licence.package in ACCEPTED:
        return f"{licence.package} is {licence.expression} now: remove it from ACCEPTED"
    if allowed or licence.package in ACCEPTED:
        return ""
    what = licence.expression or "a licence that its metadata does not name"
    return (
        f"{licence.package} has {what}: use another package, or accept it with its reason in "
        "ops/dev/policy/licences.py"
    )


def is_allowed(expression: str) -> bool:
    """Whether an SPDX expression can be met with allowed licences: AND needs both sides, OR one."""
    try:
        return _is_met(SPDX.parse(expression))
    except (ExpressionError, ParseError):
        return False


def _is_met(node: Any) -> bool:
    if isinstance(node, SPDX.AND):
        return all(map(_is_met, node.args))
    if isinstance(node, SPDX.OR):
        return any(map(_is_met, node.args))
    # An exception to a licence gives more rights, never fewer.
    symbol = getattr(node, "license_symbol", node)
    return getattr(symbol, "key", None) in ALLOWED


def locked(lock: Path) -> set[str]:
    """Return the names of all locked packages."""
    document = json.loads(lock.read_text(encoding="utf-8"))
    sections = (packages for category, packages in document.items() if category != "_meta")
    return {canonicalize_name(name) for packages in sections for name in packages}


def of(distribution: Distribution) -> Licence:
    """Read the licence of an installed package."""
    metadata = distribution.metadata
    name = canonicalize_name(metadata["Name"])
    # A key that is not there has the value None, which the typing of email.message leaves out.
    read: Callable[[str], str | None] = metadata.__getitem__
    if expression := read("License-Expression"):
        return Licence(name, expression)
    classified = [
        _spdx(each.rpartition(" :: ")[2])
        for each in metadata.get_all("Classifier") or ()
        if each.startswith(CLASSIFIER) and not each.endswith(APPROVED)
    ]
    if classified and all(classified):
        return Licence(name, " AND ".join(sorted(set(classified))))
    written = (read("License") or "").strip()
    return Licence(name, _spdx(written) if len(written) <= LONGEST_NAME else "")


def _installed(folders: Iterable[Path]) -> Iterator[Licence]:
    yield from map(of, distributions(path=[str(folder) for folder in folders]))


def _spdx(name: str) -> str:
    """Return the SPDX expression of a name; empty if it is unknown."""
    known = NAMES.get(name.lower())
    if known:
        return known
    spdx = {each.lower(): each for each in ALLOWED}
    parts = re.split(r"\s+(?:AND|OR)\s+", name)
    return name if name and all(part.lower() in spdx or "GPL" in part for part in parts) else ""
