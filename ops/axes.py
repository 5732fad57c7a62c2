"""Round numbers for the axes of charts."""

from __future__ import annotations

import math
from typing import Final

ROUND: Final = (1.0, 2.0, 2.5, 5.0, 10.0)


def above(value: float, ticks: int) -> float:
    """Return a round number that is not below a value, and divides by the ticks."""
    return step(value / ticks) * ticks


def step(value: float) -> float:
    """Return the smallest of `ROUND` times a power of ten that is not below a value above 0."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(factor * power for factor in ROUND if factor * power >= value * (1 - 1e-9))
