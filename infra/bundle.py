"""What infra needs to know of a function bundle; ops builds them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


class Bundle(Protocol):
    """A zip of handlers with what they import, and its SHA-256 in hexadecimal."""

    @property
    def path(self) -> Path: ...

    @property
    def sha256(self) -> str: ...


# The bundles of one environment, by name: "handlers" (payments and billing) and "audit".
Bundles = Mapping[str, Bundle]
