"""The ports of the servers whose addresses are part of a deploy: in settings, secrets and queue URLs."""

from __future__ import annotations

from dataclasses import dataclass

from ops.local.loopback import is_free


@dataclass(frozen=True)
class Ports:
    """Where the embedded AWS, the reference Huntaze API and PostgreSQL listen; None for any free port."""

    aws: int | None = None
    api: int | None = None
    database: int | None = None

    def taken(self) -> int | None:
        """Return the first port that another process has, or None."""
        named = filter(None, (self.aws, self.api, self.database))
        return next((port for port in named if not is_free(port)), None)
