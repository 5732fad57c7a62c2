"""The simulation beside the kept measurement of a real outage: `simulate --check`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

from ops import DEFAULT_ENVIRONMENT
from ops.cost import assumptions, measured, prices, stack
from ops.cost.services import Usage
from ops.simulation import rules
from ops.simulation.invocation import Api, average
from ops.simulation.kept import Experiment
from ops.simulation.outcome import Outcome
from ops.simulation.pipeline import World
from ops.simulation.rules import Rules
from ops.simulation.scenarios import REFUSES, Scenario

# How far the simulation may be from what was measured.
TOLERANCE: Final = 0.2
# Seconds.
TICK: Final = 0.1
MILLISECONDS: Final = 1000


HEADINGS: Final = ("Figure", "Measured", "Simulated", "Difference")


@dataclass(frozen=True)
class Comparison:
    """One figure, as measured and as simulated."""

    what: str
    unit: str
    measured: float
    simulated: float

    @property
    def difference(self) -> float:
        """The simulation's error, as a share of what was measured."""
        return self.simulated / self.measured - 1

    @property
    def within(self) -> bool:
        """Whether it is within the tolerance."""
        return abs(self.difference) <= TOLERANCE

    def cells(self) -> tuple[str, ...]:
        """Return its row, by HEADINGS."""
        unit = f" {self.unit}" if self.unit else ""
        return (
            self.what,
            f"{self.measured:,.0f}{unit}",
            f"{self.simulated:,.0f}{unit}",
            f"{self.difference:+.0%}",
        )

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "figure": self.what,
            "unit": self.unit,
            "measured": self.measured,
            "simulated": round(self.simulated, 1),
            "difference": round(self.difference, 3),
            "within": self.within,
        }


def compare(experiment: Experiment, seed: int = 1) -> list[Comparison]:
    """Simulate the outage of a measurement, and return its figures beside those of the simulation."""
    known = _rules(experiment)
    outcome = simulated(experiment, known, seed)
    failed = [
        average(Api(0.0, applies=False), each.work_seconds, each.timeout_seconds, seed).seconds * MILLISECONDS
        for each in known.handlers.values()
    ]
    return [
        *(
            Comparison(f"an invocation of {handler} that fails", "ms", experiment.failed_ms[handler], seconds)
            for handler, seconds in zip(known.handlers, failed, strict=True)
        ),
        Comparison(
            "from the first event until all were in the dead-letter queues",
            "s",
            experiment.filling_seconds,
            outcome.filled_at,
        ),
        Comparison(
            "most messages in them",
            "",
            max(depth for _, depth in experiment.depths),
            outcome.most(lambda sample: sample.dead_letters),
        ),
        Comparison(
            "mean number of messages in them, from the first event until they were empty",
            "",
            _mean(experiment.depths),
            _mean([(sample.at, sample.dead_letters) for sample in outcome.samples]),
        ),
        Comparison(
            "from the API's return until they were empty",
            "s",
            experiment.recovery_seconds,
            outcome.recovery_seconds or 0.0,
        ),
    ]


def simulated(experiment: Experiment, known: Rules | None = None, seed: int = 1) -> Outcome:
    """Simulate the outage of a measurement."""
    known = known or _rules(experiment)
    assert known.redrive is not None
    scenario = Scenario(
        REFUSES,
        experiment.how,
        per_second=0.0,
        seconds=experiment.returned_seconds,
        fault=REFUSES,
        burst=sum(experiment.events.values()),
        burst_seconds=experiment.sending_seconds,
    )
    # The API returned when a run had just ended.
    next_run = experiment.returned_seconds + known.redrive.interval_seconds
    return World(known, scenario, seed, first_run=next_run, tick=TICK).run()


def _mean(depths: Sequence[tuple[float, float]]) -> float:
    """Return the mean over time of depths that were sampled at uneven times."""
    area = sum(
        (after - before) * (depth + next_depth) / 2
        for (before, depth), (after, next_depth) in pairwise(depths)
    )
    return area / depths[-1][0]


def _rules(experiment: Experiment) -> Rules:
    """Return the rules of the deployed settings, with the times of the embedded AWS."""
    deployed = stack.shipped(DEFAULT_ENVIRONMENT, tuple(experiment.settings.items()))
    durations = measured.read()
    known = rules.of(Usage(deployed, durations, assumptions.of(durations), prices.prices(), 0))
    total = sum(experiment.events.values())
    handlers = {
        name: replace(each, share=experiment.events[name] / total) for name, each in known.handlers.items()
    }
    return replace(
        known,
        handlers=handlers,
        first_retry_seconds=experiment.retry_seconds,
    )
