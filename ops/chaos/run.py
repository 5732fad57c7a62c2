"""`make chaos`: deploy to an embedded AWS, inject failures in phases, check every event's outcome."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from rich.console import Console

from ops import ROOT
from ops.bundles import described_python
from ops.chaos.faults import with_seed
from ops.chaos.fuzz.run import Fuzzed, fuzz
from ops.chaos.history import PlannedDelivery, plan, two_states_each, unstorable
from ops.chaos.phases import PHASES, Phase
from ops.chaos.report import (
    ChaosReport,
    PhaseReport,
    figures_table,
    strikes_table,
    verdict_line,
    violations_table,
)
from ops.chaos.servers import Servers, running_servers
from ops.chaos.stage import SILENCE_SECONDS, Stage
from ops.chaos.verdict import Violation
from ops.errors import OperatorError
from ops.local import drive, variants
from ops.local.deployment import EVENT_SOURCE, deploy
from ops.local.folder import run_folder
from ops.local.observer import Observer, refused_calls
from ops.local.report import write
from ops.progress import Steps

REPORT_PATH: Final = ROOT / "build" / "chaos" / "report.json"
MILLISECONDS: Final = 1000
# With fewer events in a phase, some of its failures may never strike.
LEAST_EVENTS_PER_PHASE: Final = 10
# The pipeline recovers from outages automatically, as in prod; here within a minute.
SETTINGS: Final = {"AUTO_REDRIVE": "true", "AUTO_REDRIVE_MINUTES": "1", "AUTO_REDRIVE_PER_SECOND": "50"}


@dataclass(frozen=True)
class ChaosOptions:
    """What to run: seed, deliveries of all phases together, fuzzed envelopes, which phases, and on what.

    Parameters
    ----------
    variant
        One of `ops.local.variants.VARIANTS`.
    """

    seed: int = 1
    deliveries: int = 2000
    examples: int = 20_000
    only: tuple[str, ...] = ()
    variant: str = variants.DEFAULT

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases to play, in order.

        Raises
        ------
        OperatorError
            A phase name is unknown, or there are too few deliveries for the phases.
        """
        known = {phase.name: phase for phase in PHASES}
        unknown = sorted(set(self.only) - known.keys())
        if unknown:
            raise OperatorError(
                f"unknown phase {', '.join(unknown)}: expected some of {', '.join(known)}", usage=True
            )
        chosen = tuple(phase for phase in PHASES if not self.only or phase.name in self.only)
        if self.examples < 0:
            raise OperatorError(f"invalid --examples {self.examples}: expected 0 or more", usage=True)
        least = LEAST_EVENTS_PER_PHASE * len(chosen)
        if self.deliveries < least:
            raise OperatorError(
                f"--deliveries {self.deliveries} is too few for {len(chosen)} phases: "
                f"expected {least} or more",
                usage=True,
            )
        return chosen


def run(options: ChaosOptions, console: Console, report_path: Path = REPORT_PATH) -> ChaosReport:
    """Run the phases, print the tables, write the report to a file, and return it.

    Raises
    ------
    OperatorError
        An option is invalid (before anything starts), or a step fails.
    """
    phases = options.phases
    slices = planned(options.seed, options.deliveries, phases)
    started = time.monotonic()
    steps = Steps(console)
    console.print(
        f"seed {options.seed}, {options.deliveries} deliveries, {len(phases)} phases", highlight=False
    )
    with ExitStack() as running:
        folder = running.enter_context(run_folder())
        with steps.step("start the servers") as step:
            servers = running.enter_context(running_servers(folder))
            drive.register_source(servers.services.aws, EVENT_SOURCE)
            step.note = f"embedded AWS ({described_python()}), PostgreSQL, reference Huntaze API"
        running.enter_context(servers.services.watch.guarding("during the chaos run"))
        variant = variants.settings(options.variant, servers.services.aws)
        deployment = deploy(servers.services, steps, variant | SETTINGS)
        observer = Observer(servers.services, deployment.outputs, time.time() * MILLISECONDS)
        stage = Stage(servers, deployment, observer)
        reports = []
        for phase, deliveries in zip(phases, slices, strict=True):
            reports.append(_play(phase, deliveries, stage, options.seed, steps))
    fuzzed = _fuzz(options, steps)
    steps.timings["total"] = time.monotonic() - started
    report = ChaosReport(options.seed, options.deliveries, tuple(reports), fuzzed, steps.timings)
    write(report.as_json(), report_path)
    _print(report, console)
    console.print(f"written to {report_path}", highlight=False)
    return report


def planned(seed: int, events: int, phases: Sequence[Phase]) -> list[list[PlannedDelivery]]:
    """Return the deliveries of each phase.

    The poison phase has one event that PostgreSQL can't store, the doubt phase customers with two states.
    """
    each, rest = divmod(events, len(phases))
    slices = plan(seed, [each + (number < rest) for number in range(len(phases))])
    for phase, deliveries in zip(phases, slices, strict=True):
        if phase.name == "doubt":
            deliveries[:] = two_states_each(seed, deliveries)
        if phase.name == "poison":
            deliveries[len(deliveries) // 2] = unstorable(seed)
    return slices


def _play(
    phase: Phase, deliveries: list[PlannedDelivery], stage: Stage, seed: int, steps: Steps
) -> PhaseReport:
    started = time.monotonic()
    with steps.step(phase.name) as step:
        stage.progress, stage.injected = step.advance_to, {}
        if phase.cold:
            stage.servers.restart_emulator()
            stage.add_injected("embedded AWS restarts")
        stage.limit_handlers(phase.timeout_seconds)
        _inject(phase, stage.servers, seed)
        stage.pending = list(deliveries)
        phase.play(stage)
        silence = phase.silence_seconds or SILENCE_SECONDS
        verdict = stage.settle(healed=phase.healed, silence=silence)
        strikes = {**_strikes(phase, stage.servers), **stage.injected}
        more = (*_never_struck(phase, strikes), *_refused(stage), *phase.check(stage))
        verdict = replace(verdict, violations=(*verdict.violations, *more))
        promises = "kept" if verdict.passed else f"{len(verdict.violations)} BROKEN"
        step.note = f"{phase.title}: {promises}"
    if not verdict.passed:
        steps.console.print(violations_table(verdict.violations))
    return PhaseReport(phase.name, phase.title, len(deliveries), strikes, verdict, time.monotonic() - started)


def _fuzz(options: ChaosOptions, steps: Steps) -> tuple[Fuzzed, ...]:
    """Fuzz the functions after the phases, with an embedded AWS of their own."""
    if not options.examples:
        return ()
    with run_folder() as folder, steps.step("fuzz the functions") as step:
        fuzzed = fuzz(
            folder, options.seed, options.examples, lambda done: step.advance_to(done, options.examples)
        )
        step.note = f"{sum(sum(one.outcomes.values()) for one in fuzzed)} envelopes"
    return fuzzed


def _inject(phase: Phase, servers: Servers, seed: int) -> None:
    for failure in phase.failures:
        inject = servers.inject_api_fault if failure.target == "api" else servers.inject_aws_fault
        for fault in failure.faults:
            inject(with_seed(fault, seed))


def _strikes(phase: Phase, servers: Servers) -> dict[str, int]:
    """Remove the phase's faults and count how often each failure struck."""
    api, aws = (iter(struck) for struck in servers.remove_faults())
    return {
        failure.name: sum(next(api if failure.target == "api" else aws) for _ in failure.faults)
        for failure in phase.failures
    }


def _never_struck(phase: Phase, strikes: dict[str, int]) -> list[Violation]:
    """A failure that never struck proves nothing, so it counts as a violation."""
    return [
        Violation("idle", phase.name, "", f"never struck: {name}")
        for name, count in strikes.items()
        if not count
    ]


def _refused(stage: Stage) -> list[Violation]:
    """A call that no policy allows is a mistake in a policy, whatever fails."""
    return [
        Violation("refused", f"{call.action} on {call.resource}", "", f"{call.caller} {call.advice}")
        for call in refused_calls(stage.servers.services.aws)
    ]


def _print(report: ChaosReport, console: Console) -> None:
    console.print()
    console.print(figures_table(report))
    console.print(strikes_table(report.phases))
    if report.violations:
        console.print(violations_table(report.violations))
    console.print(verdict_line(report))
