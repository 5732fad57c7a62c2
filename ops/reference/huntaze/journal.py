"""What outlives the reference Huntaze API: each request, and each call that was applied, as JSON lines."""

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
    """A call that changed the API's state. `created` is the event's time, `at` the change's: Unix seconds."""

    path: str
    event_type: str
    created: int
    idempotency_key: str
    object_id: str
    body: dict[str, Any]
    at: float


class Journal:
    """A file of JSON lines; each has the request, or null where a call was applied after its answer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def read(self) -> Iterator[tuple[Recorded | None, Applied | None]]:
        """Yield what it holds. A last line that a kill cut short was never answered, and is left out."""
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
        """Open it for appending, without the torn line that a kill may have left."""
        if self._path.exists():
            content = self._path.read_bytes()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                with self._path.open("r+b") as torn:
                    torn.truncate(whole)
        self._file = self._path.open("a", encoding="utf-8")

    def write(self, recorded: Recorded | None, applied: Applied | None) -> None:
        """Write one line, and let it reach the file."""
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
