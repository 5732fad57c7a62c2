"""`make chaos`: deploy to an embedded AWS, let everything fail in phases, judge what became of the events."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from ops import ROOT
from ops.chaos.faults import seeded
from ops.chaos.fuzz.run import Fuzzed, fuzz
from ops.chaos.history import Sending, plan, two_states_each, unstorable
from ops.chaos.phases import PHASES, Phase
from ops.chaos.report import PhaseReport, Report, figures_table, strikes_table, violations_table, write
from ops.chaos.servers import World, running_world
from ops.chaos.stage import SILENCE_SECONDS, Stage
from ops.chaos.verdict import Violation
from ops.errors import OperatorError
from ops.local import drive
from ops.local.deployment import EVENT_SOURCE, deploy
from ops.local.folder import run_folder
from ops.local.observer import Observer
from ops.progress import Steps

REPORT_PATH = ROOT / "build" / "chaos" / "report.json"
MILLISECONDS = 1000
# A phase of fewer events meets some of its failures by luck only.
LEAST_EVENTS_PER_PHASE = 10
# Outages heal themselves, as they do in prod; here within a minute of the end.
SETTINGS = {"AUTO_REDRIVE": "true", "AUTO_REDRIVE_MINUTES": "1", "AUTO_REDRIVE_PER_SECOND": "50"}


@dataclass(frozen=True)
class Options:
    """What to run: the seed, the deliveries of all phases together, fuzzed envelopes, and which phases."""

    seed: int = 1
    events: int = 2000
    examples: int = 20_000
    only: tuple[str, ...] = ()

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases to play, in their order.

        Raises
        ------
        OperatorError
            No phase has such a name, or there are too few events for the phases.
        """
        known = {phase.name: phase for phase in PHASES}
        unknown = sorted(set(self.only) - known.keys())
        if unknown:
            raise OperatorError(
                f"no phase is called {', '.join(unknown)}; there are {', '.join(known)}", usage=True
            )
        chosen = tuple(phase for phase in PHASES if not self.only or phase.name in self.only)
        if self.examples < 0:
            raise OperatorError(f"{self.examples} examples can't be tried: give 0 or more", usage=True)
        least = LEAST_EVENTS_PER_PHASE * len(chosen)
        if self.events < least:
            raise OperatorError(
                f"{self.events} events are too few for {len(chosen)} phases: give {least} or more", usage=True
            )
        return chosen


def run(options: Options, console: Console, report_path: Path = REPORT_PATH) -> Report:
    """Run the phases, print the tables, write the report to a file, and return it.

    Raises
    ------
    OperatorError
        When an option is wrong (before anything starts), or a step fails.
    """
    phases = options.phases
    slices = planned(options.seed, options.events, phases)
    started = time.monotonic()
    steps = Steps(console)
    console.print(f"seed {options.seed}, {options.events} deliveries, {len(phases)} phases", highlight=False)
    with ExitStack() as running:
        folder = running.enter_context(run_folder())
        with steps.step("start the servers") as step:
            world = running.enter_context(running_world(folder))
            drive.register_source(world.services.aws, EVENT_SOURCE)
            step.note = "embedded AWS, PostgreSQL, reference Huntaze API"
        running.enter_context(world.services.watch.guarding("during the chaos run"))
        deployment = deploy(world.services, steps, SETTINGS)
        observer = Observer(world.services, deployment.outputs, time.time() * MILLISECONDS)
        stage = Stage(world, deployment, observer)
        reports = []
        for phase, sendings in zip(phases, slices, strict=True):
            reports.append(_play(phase, sendings, stage, options.seed, steps))
    fuzzed = _fuzz(options, steps)
    steps.timings["total"] = time.monotonic() - started
    report = Report(options.seed, options.events, tuple(reports), fuzzed, steps.timings)
    write(report, report_path)
    _print(report, console)
    console.print(f"written to {report_path}", highlight=False)
    return report


def planned(seed: int, events: int, phases: Sequence[Phase]) -> list[list[Sending]]:
    """Return the deliveries of each phase.

    The poison phase has one that PostgreSQL can't hold, the doubt phase customers with two states each.
    """
    each, rest = divmod(events, len(phases))
    slices = plan(seed, [each + (number < rest) for number in range(len(phases))])
    for phase, sendings in zip(phases, slices, strict=True):
        if phase.name == "doubt":
            sendings[:] = two_states_each(seed, sendings)
        if phase.name == "poison":
            sendings[len(sendings) // 2] = unstorable(seed)
    return slices


def _play(phase: Phase, sendings: list[Sending], stage: Stage, seed: int, steps: Steps) -> PhaseReport:
    started = time.monotonic()
    with steps.step(phase.name) as step:
        stage.progress, stage.marks = step.advance_to, {}
        if phase.cold:
            stage.world.restart_emulator()
            stage.mark("embedded AWS restarts")
        stage.limit_handlers(phase.timeout_seconds)
        _order(phase, stage.world, seed)
        stage.pending = list(sendings)
        phase.play(stage)
        silence = phase.silence_seconds or SILENCE_SECONDS
        verdict = stage.settle(healed=phase.healed, silence=silence)
        strikes = {**_strikes(phase, stage.world), **stage.marks}
        more = (*_idle(phase, strikes), *phase.judge(stage))
        verdict = replace(verdict, violations=(*verdict.violations, *more))
        told = "kept" if verdict.passed else f"{len(verdict.violations)} BROKEN"
        step.note = f"{phase.title}: {told}"
    if not verdict.passed:
        steps.console.print(violations_table(verdict.violations))
    return PhaseReport(phase.name, phase.title, len(sendings), strikes, verdict, time.monotonic() - started)


def _fuzz(options: Options, steps: Steps) -> tuple[Fuzzed, ...]:
    """Fuzz the functions alone on the machine, with an embedded AWS of their own."""
    if not options.examples:
        return ()
    with run_folder() as folder, steps.step("fuzz the functions") as step:
        fuzzed = fuzz(
            folder, options.seed, options.examples, lambda done: step.advance_to(done, options.examples)
        )
        step.note = f"{sum(sum(one.outcomes.values()) for one in fuzzed)} envelopes"
    return fuzzed


def _order(phase: Phase, world: World, seed: int) -> None:
    for failure in phase.failures:
        order = world.fail_api if failure.at == "api" else world.fail_aws
        for one in failure.orders:
            order(seeded(one, seed))


def _strikes(phase: Phase, world: World) -> dict[str, int]:
    """Lift the phase's failures and count how often each struck."""
    api, aws = (iter(struck) for struck in world.lift_faults())
    return {
        failure.name: sum(next(api if failure.at == "api" else aws) for _ in failure.orders)
        for failure in phase.failures
    }


def _idle(phase: Phase, strikes: dict[str, int]) -> list[Violation]:
    """A failure that never struck proves nothing."""
    return [
        Violation("idle", phase.name, "", f"never happened: {name}")
        for name, count in strikes.items()
        if not count
    ]


def _print(report: Report, console: Console) -> None:
    console.print()
    console.print(figures_table(report))
    console.print(strikes_table(report.phases))
    if report.violations:
        console.print(violations_table(report.violations))
    verdict = "passed" if report.passed else f"FAILED, {len(report.violations)} promises broken"
    console.print(f"{verdict}: seed {report.seed}, {report.events} deliveries", highlight=False)
