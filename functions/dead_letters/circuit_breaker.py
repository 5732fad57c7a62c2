"""Whether the events of one type can be applied at present, by how the last ones of it ended.

One endpoint of the API may be broken while the others work, so each type has a circuit of its own. After
three failures in a row it is open: few events are tried, with a pause after each that failed. One that is
applied closes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

FAILURES_IN_A_ROW: Final = 3
# Seconds between two tries while the circuit is open.
PAUSE_SECONDS: Final = 2.0
# Several at a time, because one that hangs does so for half a minute.
TRIES_AT_ONCE: Final = 3


@dataclass
class CircuitBreaker:
    """The state of one type.

    Parameters
    ----------
    newest_first
        Whether events are taken from the newest end of the queue. It turns round when the circuit opens, and
        after each try that failed: a row of events that never succeed, at whichever end, is no outage.
    """

    in_flight: int = 0
    newest_first: bool = False
    _failures: int = 0
    _not_before: float = 0.0
    _probing: bool = False
    _worked: bool = False
    _failed: list[str] = field(default_factory=list)

    @property
    def open(self) -> bool:
        """Whether nothing was applied for some failures."""
        return self._failures >= FAILURES_IN_A_ROW

    def pause(self, now: float) -> float:
        """Return the seconds until the next event may be tried; below 0, it waits for the one in flight."""
        if not self.open:
            return 0.0
        return -1.0 if self.in_flight >= TRIES_AT_ONCE else max(0.0, self._not_before - now)

    def start(self) -> None:
        """Note that an event is being tried."""
        self._probing = self.open
        self.in_flight += 1

    def failed(self, now: float, event: str | None) -> bool:
        """Note a failure, of the named event's own or not, and return whether it opened the circuit."""
        self._failures += 1
        self._not_before = now + PAUSE_SECONDS
        if event is not None:
            self._failed.append(event)
        opened = self._failures == FAILURES_IN_A_ROW
        if opened or self._probing:
            self.newest_first = not self.newest_first
        return opened

    def applied(self) -> dict[str, int]:
        """Note a success, and return what the failures before it cost: attempts by event."""
        self._worked = True
        return self.close()

    def close(self) -> dict[str, int]:
        """Begin anew, and return what the failures since the last success cost: attempts by event.

        In an open circuit nobody knows whether the events failed or the API did, which costs none. Where
        nothing was applied in this run, nothing is known of the events at all.
        """
        cost = dict.fromkeys(self._failed, 0 if self.open else 1) if self._worked else {}
        self._failures, self._failed = 0, []
        return cost
