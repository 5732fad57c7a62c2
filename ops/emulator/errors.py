"""Why the embedded AWS refuses to start."""

from __future__ import annotations

from ops.errors import OperatorError


class EmulatorError(OperatorError):
    """The embedded AWS can't start as asked; the message says what to change."""
