"""The pipeline over time: bus, asynchronous queues, dead-letter queues and redrive, as processes of simpy.

Events move in cohorts, those that arrived in one tick, and not one by one: at 20,000 events a second a
process for each would take days. So a time is exact to a tick, and a cohort may hold a fraction of an event.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import simpy

from functions.dead_letters.lease import POLL_SECONDS
from functions.shared.names import QUEUE_RETENTION_SECONDS
from ops.simulation.function import Cohort, Function, Process
from ops.simulation.invocation import Api
from ops.simulation.outcome import Outcome, Sample
from ops.simulation.redrive import DeadLetters, Redrive
from ops.simulation.rules import Rules
from ops.simulation.scenarios import Scenario

Progress: TypeAlias = Callable[[float, float], None]

# Less than one event is left over where fractions are added.
HALF: Final = 0.5
# Ticks of a disturbance; none is shorter than a second, unless asked for.
TICKS: Final = 3000
# Tick once nothing but a dead-letter queue is left to wait for.
CALM_SECONDS: Final = 300.0
# Calls of `progress` in a whole run.
PROGRESS_STEPS: Final = 200
# After that time SQS has deleted every message of the disturbance.
LONGEST_SECONDS: Final = QUEUE_RETENTION_SECONDS + 2 * CALM_SECONDS


class World:
    """One scenario as it goes on.

    Parameters
    ----------
    first_run
        When the redrive's first run starts, in seconds since the disturbance began.
    tick
        Seconds of a tick; None chooses them by the length of the disturbance.
    """

    def __init__(
        self,
        rules: Rules,
        scenario: Scenario,
        seed: int,
        *,
        first_run: float | None = None,
        tick: float | None = None,
    ) -> None:
        self.env = simpy.Environment()
        self.rules = rules
        self.seed = seed
        self.scenario = scenario
        self.outcome = Outcome()
        self.dead_letters = DeadLetters()
        self.functions = {name: Function(self, name, each) for name, each in rules.handlers.items()}
        self._healthy = Api(rules.api_seconds)
        self._disturbed = scenario.api(self._healthy)
        self._tick = tick or max(1.0, scenario.seconds / TICKS)
        self._bus = 0.0
        self._lanes = dict.fromkeys(rules.handlers, 0.0)
        self.env.process(self._events())
        if rules.redrive is not None:
            # The worst moment for the API to return is just after a run has found it down.
            worst = (scenario.seconds - POLL_SECONDS) % rules.redrive.interval_seconds
            redrive = Redrive(self, rules.redrive, worst if first_run is None else first_run)
            self.env.process(redrive.schedule())
        self.recovered = self.env.event()

    @property
    def api(self) -> Api:
        """The API now."""
        return self._disturbed if self.env.now < self.scenario.seconds else self._healthy

    @property
    def tick(self) -> float:
        """Seconds of the next tick."""
        calm = self.env.now > self.scenario.seconds + CALM_SECONDS
        waits = self._bus + sum(self._lanes.values()) + sum(each.waiting for each in self.functions.values())
        return CALM_SECONDS if calm and waits < HALF else self._tick

    def bury(self, handler: str, events: float) -> None:
        """Put events into their handler's dead-letter queue."""
        self.dead_letters.add(self.env.now, handler, events)
        self.outcome.dead_lettered += events
        self.outcome.filled_at = self.env.now

    def run(self, progress: Progress = lambda _seconds, _most: None) -> Outcome:
        """Run until nothing waits any more, or until SQS has deleted the last message.

        Parameters
        ----------
        progress
            Called now and then with the simulated seconds, and the most that there can be.
        """
        last = self.scenario.seconds + LONGEST_SECONDS
        step = last / PROGRESS_STEPS
        while not self.recovered.triggered and self.env.now < last:
            stop = self.env.timeout(min(step, last - self.env.now))
            self.env.run(until=self.recovered | stop)
            progress(self.env.now, last)
        return self.outcome

    def _events(self) -> Process:
        """Let events arrive and functions serve them, tick by tick."""
        env = self.env
        while True:
            tick = self.tick
            delivered = self._deliver(tick)
            for function in self.functions.values():
                share = function.rules.share
                if delivered * share > 0:
                    function.submit(Cohort(delivered * share, env.now))
                function.serve(tick)
            self.outcome.deleted += self.dead_letters.expire(env.now - QUEUE_RETENTION_SECONDS)
            self.observe()
            yield env.timeout(tick)

    def _deliver(self, tick: float) -> float:
        """Return the events that EventBridge delivers in a tick, and pass them through the lanes."""
        now = self.env.now
        arrived = self.scenario.arriving(now, now + tick)
        delivered = min(self._bus + arrived, self.rules.bus_per_second * tick)
        self._bus += arrived - delivered
        for name, function in self.functions.items():
            carried = self.rules.lanes * self.rules.lane_per_second * tick
            self._lanes[name] = max(0.0, self._lanes[name] + delivered * function.rules.share - carried)
        return delivered

    def observe(self) -> None:
        """Take a sample, and note when nothing waits any more."""
        now = self.env.now
        sample = Sample(
            now,
            sum(each.waiting for each in self.functions.values()),
            self.dead_letters.depth,
            sum(self._lanes.values()),
            self._bus,
        )
        self.outcome.samples.append(sample)
        if now >= self.scenario.seconds and sample.all < HALF and not self.recovered.triggered:
            lost = self.outcome.deleted >= HALF
            self.outcome.recovery_seconds = None if lost else now - self.scenario.seconds
            self.recovered.succeed()


def simulate(
    rules: Rules,
    scenario: Scenario,
    seed: int = 1,
    progress: Progress = lambda _seconds, _most: None,
) -> Outcome:
    """Simulate a scenario under an environment's rules, from the moment at which it begins.

    Parameters
    ----------
    seed
        Draws the waits between the attempts of an invocation.
    progress
        Called now and then with the simulated seconds, and the most that there can be.
    """
    return World(rules, scenario, seed).run(progress)
