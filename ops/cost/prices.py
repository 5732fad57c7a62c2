"""The price list: one dated file, with the page of each price."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from ops import ROOT

FILE: Final = ROOT / "ops" / "prices.toml"


@dataclass(frozen=True)
class Prices:
    """The prices of the services by name, in US dollars.

    Parameters
    ----------
    date
        On which they were compared with their pages, as YYYY-MM-DD.
    """

    date: str
    region: str
    services: Mapping[str, Mapping[str, Any]]

    def of(self, service: str, name: str) -> float:
        """Return a price, for example `of("sqs", "million_fifo_requests")`."""
        return float(self.services[service][name])


@cache
def prices() -> Prices:
    """Read the price list."""
    document = tomllib.loads(FILE.read_text(encoding="utf-8"))
    services = {name: table for name, table in document.items() if isinstance(table, dict)}
    return Prices(document["date"].isoformat(), document["region"], services)
