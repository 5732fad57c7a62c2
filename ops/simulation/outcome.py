"""What is recorded of a scenario while it goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Sample:
    """The pipeline at a time, in events.

    Parameters
    ----------
    at
        Seconds since the disturbance began.
    waiting
        In Lambda's asynchronous queues, for their first invocation, a retry or free concurrency.
    dead_letters
        In the handlers' dead-letter queues.
    lanes
        In the audit queue, or on their way into it.
    bus
        That EventBridge has not delivered.
    """

    at: float
    waiting: float
    dead_letters: float
    lanes: float
    bus: float

    @property
    def all(self) -> float:
        """What waits anywhere."""
        return self.waiting + self.dead_letters + self.lanes + self.bus


@dataclass
class Outcome:
    """What came of a scenario.

    Parameters
    ----------
    samples
        In order of time.
    recovery_seconds
        From the end of the disturbance until nothing waited; None if SQS deleted something by then.
    applied, deleted
        Events that the API applied, and messages that SQS deleted after their retention.
    failed_invocations, probes
        Invocations that failed, and those of them that the redrive began while a circuit was open.
    """

    samples: list[Sample] = field(default_factory=list)
    recovery_seconds: float | None = None
    applied: float = 0.0
    deleted: float = 0.0
    dead_lettered: float = 0.0
    failed_invocations: float = 0.0
    probes: float = 0.0
    filled_at: float = 0.0

    def most(self, of: Callable[[Sample], float]) -> float:
        """Return the largest value of what a sample holds."""
        return max(map(of, self.samples), default=0.0)
