"""Numbers and times of the simulation, for people."""

from __future__ import annotations

import math
from typing import Final

MINUTE: Final = 60
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
_THOUSANDS: Final = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def whole(number: float) -> str:
    """Write a number of events, of which a fluid may hold a fraction."""
    return f"{math.floor(number + 0.5):,}"


def short(number: float) -> str:
    """Write a number in three digits or so: 34,200 is 34.2k."""
    for size, prefix in _THOUSANDS:
        if number >= size:
            return f"{number / size:.3g}{prefix}"
    return f"{number:.3g}"


def lasting(seconds: float) -> str:
    """Write how long something lasts, in the unit that fits."""
    seconds = round(seconds)
    for least, size, unit in ((2 * DAY, DAY, "d"), (HOUR, HOUR, "h"), (2 * MINUTE, MINUTE, "min")):
        if seconds >= least:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.0f} s"
