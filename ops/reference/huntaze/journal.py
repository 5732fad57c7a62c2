"""The reference Huntaze API's file: each request and each applied call, as JSON lines."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ops.reference.server.messages import Recorded


@dataclass(frozen=True)
class Applied:
    """A call that changed the API's state; `created` (of the event) and `at` are Unix seconds."""

    path: str
    event_type: str
    created: int
    idempotency_key: str
    object_id: str
    body: dict[str, Any]
    at: float


class Journal:
    """A file of JSON lines; the request is null for a call that was applied after its response."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def read(self) -> Iterator[tuple[Recorded | None, Applied | None]]:
        """Yield its lines, except a last line that a kill cut short: its request got no response."""
        if not self._path.exists():
            return
        for line in self._path.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.endswith("\n"):
                entry = json.loads(line)
                request, applied = entry["request"], entry["applied"]
                yield (
                    None if request is None else Recorded(**request),
                    None if applied is None else Applied(**applied),
                )

    def open(self) -> None:
        """Open it for appending, and remove a line that a kill cut short."""
        if self._path.exists():
            content = self._path.read_bytes()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                with self._path.open("r+b") as torn:
                    torn.truncate(whole)
        self._file = self._path.open("a", encoding="utf-8")

    def write(self, recorded: Recorded | None, applied: Applied | None) -> None:
        """Write one line and flush it."""
        assert self._file is not None
        line = {
            "request": None if recorded is None else dataclasses.asdict(recorded),
            "applied": None if applied is None else dataclasses.asdict(applied),
        }
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
