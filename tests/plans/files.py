"""The files of plans: JSON, gzipped, the same bytes for the same plan."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parent / "data"


def store(name: str, plan: Mapping[str, Any]) -> None:
    """Write a plan."""
    FOLDER.mkdir(exist_ok=True)
    text = json.dumps(plan, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    (FOLDER / f"{name}.json.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def store_text(name: str, text: str) -> None:
    """Write a plan as Terraform prints it for people."""
    (FOLDER / f"{name}.txt.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def load_text(name: str) -> str:
    """Read a plan as Terraform prints it for people."""
    return gzip.decompress((FOLDER / f"{name}.txt.gz").read_bytes()).decode()


@cache
def _text(name: str) -> str:
    return gzip.decompress((FOLDER / f"{name}.json.gz").read_bytes()).decode()


def load(name: str) -> dict[str, Any]:
    """Read a plan; each call returns a new one."""
    plan: dict[str, Any] = json.loads(_text(name))
    return plan
