"""What can happen: a burst of events, a slow API, an API that is down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from functions.pipeline.api import READ_SECONDS
from ops.simulation.invocation import Api
from ops.simulation.texts import HOUR, MINUTE, lasting

# Events a second of the documented runs.
RATES: Final = (10, 1000, 20_000)
# How many times slower a slow API is.
SLOWER: Final = 10.0
# A burst brings the events of ten minutes in one.
BURST_SECONDS: Final = MINUTE
BURST_OF_SECONDS: Final = 10 * MINUTE

BURST: Final = "burst"
SLOW: Final = "slow"
REFUSES: Final = "refuses"
SILENT: Final = "silent"
FAILS: Final = "fails"
FAULTS: Final[Mapping[str, str]] = {
    SLOW: f"the API is {SLOWER:.0f} times slower",
    REFUSES: "the API refuses connections",
    SILENT: "the API accepts calls and never answers",
    FAILS: "the API answers 503 to calls, but not at its base URL",
}


@dataclass(frozen=True)
class Scenario:
    """A steady rate of events, and what disturbs it.

    Parameters
    ----------
    key
        Names its plot.
    per_second
        Events a second, before, during and after.
    seconds
        How long the disturbance lasts.
    fault
        One of FAULTS; empty if the API is well.
    burst, burst_seconds
        Events that arrive besides, evenly over the first seconds.
    """

    key: str
    name: str
    per_second: float
    seconds: float
    fault: str = ""
    burst: float = 0.0
    burst_seconds: float = BURST_SECONDS

    def api(self, healthy: Api) -> Api:
        """Return the API during the disturbance."""
        return {
            "": healthy,
            REFUSES: Api(0.0, applies=False, answers=False),
            SILENT: Api(READ_SECONDS, applies=False, answers=False),
            FAILS: Api(healthy.seconds, applies=False),
            SLOW: healthy.slower(SLOWER),
        }[self.fault]

    def arriving(self, begin: float, end: float) -> float:
        """Return the events that arrive between two times, in seconds since the disturbance began."""
        bursting = max(0.0, min(end, self.burst_seconds) - begin)
        return self.per_second * (end - begin) + self.burst * bursting / self.burst_seconds


def burst(per_second: float, events: float | None = None) -> Scenario:
    """Return a burst: so many events in a minute, or those of ten minutes."""
    many = per_second * BURST_OF_SECONDS if events is None else events
    name = "the events of ten minutes in one" if events is None else f"{events:,.0f} events in a minute"
    return Scenario(BURST, name, per_second, BURST_SECONDS, burst=many)


def disturbed(per_second: float, fault: str, seconds: float) -> Scenario:
    """Return a fault of the API that lasts for a time."""
    duration = lasting(seconds)
    return Scenario(
        f"{fault}-{duration.replace(' ', '')}", f"{FAULTS[fault]} for {duration}", per_second, seconds, fault
    )


def documented(per_second: float) -> list[Scenario]:
    """Return the scenarios of docs/scale.md at a rate."""
    return [
        burst(per_second),
        disturbed(per_second, SLOW, 10 * MINUTE),
        *(disturbed(per_second, REFUSES, hours * HOUR) for hours in (1, 24, 30)),
        disturbed(per_second, SILENT, HOUR),
    ]
