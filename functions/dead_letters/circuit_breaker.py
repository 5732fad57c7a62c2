"""Whether events of one type can be applied at present, by the outcomes of the last ones.

One endpoint of the API may fail while the others work, so each event type has its own circuit breaker. Three
failures in a row open it: then only a few events are tried, with a pause after each failure. One applied
event closes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

FAILURES_IN_A_ROW: Final = 3
# Seconds between two probes while the circuit is open.
PAUSE_SECONDS: Final = 2.0
# Several at a time, because a call that hangs takes half a minute.
PROBES_AT_ONCE: Final = 3


@dataclass
class CircuitBreaker:
    """The state of one event type.

    Parameters
    ----------
    newest_first
        Whether events are taken from the newest end of the backlog. Turns around when the circuit opens and
        after each failed probe, because events that never succeed may lie at either end.
    """

    in_flight: int = 0
    newest_first: bool = False
    _failures: int = 0
    _not_before: float = 0.0
    _probing: bool = False
    _succeeded: bool = False
    _failed_events: list[str] = field(default_factory=list)

    @property
    def open(self) -> bool:
        """Whether the last events failed."""
        return self._failures >= FAILURES_IN_A_ROW

    def delay(self, now: float) -> float | None:
        """Return the seconds until the next event may be tried; None while that depends on a running call."""
        if not self.open:
            return 0.0
        return None if self.in_flight >= PROBES_AT_ONCE else max(0.0, self._not_before - now)

    def start(self) -> None:
        """Note that an event is being tried."""
        self._probing = self.open
        self.in_flight += 1

    def failed(self, now: float, event: str | None) -> bool:
        """Note a failure, and return whether it opened the circuit.

        Parameters
        ----------
        event
            The event that failed; None if the failure was not an attempt of the event.
        """
        self._failures += 1
        self._not_before = now + PAUSE_SECONDS
        if event is not None:
            self._failed_events.append(event)
        opened = self._failures == FAILURES_IN_A_ROW
        if opened or self._probing:
            self.newest_first = not self.newest_first
        return opened

    def applied(self) -> dict[str, int]:
        """Note a success, and return the attempts used by the failures before it, by event."""
        self._succeeded = True
        return self.close()

    def close(self) -> dict[str, int]:
        """Reset the circuit, and return the attempts used by the failures since the last success, by event.

        While the circuit is open, the failures may be the API's, so they use no attempt. If no event of the
        type was applied in this run, nothing is known about the events, and the result is empty.
        """
        used = dict.fromkeys(self._failed_events, 0 if self.open else 1) if self._succeeded else {}
        self._failures, self._failed_events = 0, []
        return used
