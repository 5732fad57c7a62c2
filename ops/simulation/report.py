"""What runs of the simulation came to: rows for tables, and a document for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from functions.shared.names import QUEUE_RETENTION_SECONDS
from ops.simulation.outcome import Outcome
from ops.simulation.rules import Rules
from ops.simulation.scenarios import Scenario
from ops.simulation.texts import DAY, lasting, short

HEADINGS: Final = (
    "What happens",
    "Events a second",
    "In EventBridge",
    "In Lambda's queues",
    "In the audit queue",
    "In dead-letter queues",
    "Recovered after",
)


@dataclass(frozen=True)
class Run:
    """A scenario, the rules that applied, and what came of it."""

    scenario: Scenario
    rules: Rules
    outcome: Outcome

    def cells(self) -> tuple[str, ...]:
        """Return its row, by HEADINGS."""
        most = (
            self.outcome.most(lambda sample: sample.bus),
            self.outcome.most(lambda sample: sample.waiting),
            self.outcome.most(lambda sample: sample.lanes),
            self.outcome.most(lambda sample: sample.dead_letters),
        )
        numbers = (short(number) if number >= 1 else "0" for number in most)
        return (self.scenario.name, f"{self.scenario.per_second:,g}", *numbers, self.recovery())

    def recovery(self) -> str:
        """Say how long after the disturbance nothing waited any more."""
        if self.outcome.recovery_seconds is None and self.rules.redrive is None:
            return f"auto_redrive is off: an operator redrives {short(self.outcome.dead_lettered)}"
        if self.outcome.recovery_seconds is None:
            days = QUEUE_RETENTION_SECONDS // DAY
            return f"never: after {days} days SQS deletes {short(self.outcome.deleted)}"
        return lasting(self.outcome.recovery_seconds) if self.outcome.recovery_seconds else "at once"

    def as_json(self) -> dict[str, Any]:
        """Return it for programs; numbers of events, and seconds."""
        outcome = self.outcome
        redrive = self.rules.redrive
        return {
            "scenario": self.scenario.key,
            "name": self.scenario.name,
            "events_per_second": self.scenario.per_second,
            "seconds": self.scenario.seconds,
            "recovery_seconds": outcome.recovery_seconds,
            "most_in_eventbridge": round(outcome.most(lambda sample: sample.bus)),
            "most_in_lambda_queues": round(outcome.most(lambda sample: sample.waiting)),
            "most_in_audit_queue": round(outcome.most(lambda sample: sample.lanes)),
            "most_in_dead_letter_queues": round(outcome.most(lambda sample: sample.dead_letters)),
            "dead_lettered": round(outcome.dead_lettered),
            "deleted": round(outcome.deleted),
            "failed_invocations": round(outcome.failed_invocations),
            "probes": round(outcome.probes),
            "executions": {name: each.executions for name, each in self.rules.handlers.items()},
            "redrive_per_second": None if redrive is None else redrive.settings.per_second,
            "invocations_of_eventbridge_per_second": round(self.rules.bus_per_second),
            "lanes_per_handler": self.rules.lanes,
        }


def by_scenario(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Return the runs of each scenario, in order."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(run.scenario.key, []).append(run)
    return found
