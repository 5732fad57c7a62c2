"""What AWS answers to a request that it does not fulfil."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Refusal:
    """An error of AWS: its code, its message and the HTTP status."""

    code: str
    message: str
    status: int = 400


# Returns what AWS answers to the parameters of a request, or None if they break no rule.
Rule = Callable[[dict[str, Any]], Refusal | None]
