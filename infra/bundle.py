"""A function bundle as infra sees it; ops builds them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


class Bundle(Protocol):
    """A zip of handler modules with their packages, and its SHA-256 in hexadecimal.

    `contents` has a version or digest for each package and module in it.
    """

    @property
    def path(self) -> Path: ...

    @property
    def sha256(self) -> str: ...

    @property
    def contents(self) -> Mapping[str, str]: ...


# The bundles of one environment, by name: "handlers" (payments and billing) and "audit".
Bundles = Mapping[str, Bundle]
