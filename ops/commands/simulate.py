"""`huntaze-stripe simulate`: how deep queues get, and how long recovery takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ops import DEFAULT_ENVIRONMENT
from ops.commands.options import Env, Json
from ops.console import PlainTable, open_console, print_json, print_line
from ops.errors import OperatorError
from ops.signals import FAILED

if TYPE_CHECKING:
    from ops.progress import Steps
    from ops.simulation.report import Run
    from ops.simulation.scenarios import Scenario

SCENARIOS: Final = "burst, slow, refuses, silent or fails"
SPAN: Final = re.compile(r"(\d{1,5})([mhd])")
SPAN_SECONDS: Final = {"m": 60, "h": 3600, "d": 86_400}
MOST_SECONDS: Final = 30 * SPAN_SECONDS["d"]
LEAST_RATE: Final = 0.01
MOST_RATE: Final = 100_000.0
MOST_BURST: Final = 10**9
# The parameters that --check and --measure take.
COMPARING: Final = frozenset({"check", "measure", "as_json"})


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(simulate)


def simulate(
    context: typer.Context,
    scenario: Annotated[
        str, typer.Option(metavar="NAME", help=f"Only {SCENARIOS}; all of docs/scale.md without it.")
    ] = "",
    rates: Annotated[
        list[float] | None,
        typer.Option(
            "--events-per-second",
            metavar="R",
            help="Rate of events; repeatable. Default: 10; with --sized 10, 1000, 20000.",
        ),
    ] = None,
    lasting: Annotated[
        str, typer.Option("--for", metavar="SPAN", help="How long the API is slow or down: 10m, 24h, 2d.")
    ] = "1h",
    burst: Annotated[
        int | None, typer.Option(metavar="N", help="Events of the burst; those of ten minutes without it.")
    ] = None,
    env: Env = DEFAULT_ENVIRONMENT,
    sized: Annotated[
        bool,
        typer.Option(
            "--sized",
            help="Raise concurrency, EventBridge's quota, the audit's lanes and the redrive's rate to what "
            "the rate needs.",
        ),
    ] = False,
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Replace an assumption of docs/costs.md, for example api_ms=300; repeatable.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of the random waits.")] = 1,
    plots: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write a plot of each scenario there, as SVG.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Compare the simulation with the kept measurement of an outage.")
    ] = False,
    measure: Annotated[
        bool,
        typer.Option("--measure", help="Run that outage on the embedded AWS and keep it: ten minutes."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Simulate bursts, a slow API and outages under the rules that an environment deploys.

    Shows how many events wait, where, and how long after the end nothing waits any more. The rules are those
    of the synthesised stack and of the functions' own code: retries, event age, concurrency, redrive. Nothing
    is asked of AWS. docs/scale.md explains the results.

    Example: `huntaze-stripe simulate --env prod --scenario refuses --for 4h --events-per-second 25`
    """
    if measure or check:
        _require_no_other(context)
    if measure:
        _measure(as_json=as_json)
    if measure or check:
        _check(as_json=as_json)
        return
    chosen = _scenarios(scenario, rates or _default_rates(sized=sized), lasting, burst)
    if plots is not None and plots.exists() and not plots.is_dir():
        raise OperatorError(f"invalid --plots {plots}: expected a folder", usage=True)
    from ops.progress import Steps
    from ops.simulation.report import HEADINGS

    console = open_console(as_json=as_json)
    runs = _run(chosen, env, given or [], seed, sized=sized, steps=Steps(console))
    if plots is not None:
        _plot(runs, plots)
    if as_json:
        print_json({"environment": env, "seed": seed, "runs": [run.as_json() for run in runs]})
        return
    console.print()
    table = PlainTable(*HEADINGS, text=(HEADINGS[0], HEADINGS[-1]), title=f"{env}, most events that wait")
    for run in runs:
        table.add_row(*run.cells())
    console.print(table)


def _require_no_other(context: typer.Context) -> None:
    """Refuse an option that --check and --measure would ignore."""
    for each in context.command.params:
        source = context.get_parameter_source(each.name or "")
        if each.name not in COMPARING and source is not None and source.name == "COMMANDLINE":
            raise OperatorError(
                f"invalid {each.opts[0]} with --check or --measure, which compare one kept outage: leave it "
                "out",
                usage=True,
            )


def _default_rates(*, sized: bool) -> list[float]:
    """Return the rates of docs/scale.md; as it is deployed, no environment carries more than the first."""
    from ops.simulation.scenarios import RATES

    return [float(rate) for rate in (RATES if sized else RATES[:1])]


def _scenarios(name: str, rates: list[float], lasting: str, burst: int | None) -> list[Scenario]:
    """Return what to simulate, by the options."""
    from ops.simulation import scenarios

    for rate in rates:
        if not LEAST_RATE <= rate <= MOST_RATE:
            raise OperatorError(
                f"invalid --events-per-second {rate:g}: expected {LEAST_RATE:g} to {MOST_RATE:,.0f}",
                usage=True,
            )
    if name not in ("", scenarios.BURST, *scenarios.FAULTS):
        raise OperatorError(f"invalid --scenario {name!r}: expected {SCENARIOS}", usage=True)
    if burst is not None and (name != scenarios.BURST or not 1 <= burst <= MOST_BURST):
        raise OperatorError(
            f"invalid --burst {burst}: expected 1 to {MOST_BURST:,}, with --scenario burst", usage=True
        )
    seconds = _span(lasting)
    if not name:
        return [each for rate in rates for each in scenarios.documented(rate)]
    if name == scenarios.BURST:
        return [scenarios.burst(rate, burst) for rate in rates]
    return [scenarios.disturbed(rate, name, seconds) for rate in rates]


def _span(text: str) -> float:
    found = SPAN.fullmatch(text)
    seconds = int(found[1]) * SPAN_SECONDS[found[2]] if found else 0
    if not 0 < seconds <= MOST_SECONDS:
        raise OperatorError(
            f"invalid --for {text!r}: expected a span such as 10m, 24h or 2d, up to 30d", usage=True
        )
    return seconds


def _run(
    chosen: list[Scenario], env: str, given: list[str], seed: int, *, sized: bool, steps: Steps
) -> list[Run]:
    from ops.cost import assumptions, measured, prices, stack
    from ops.cost.services import Usage
    from ops.simulation import rules
    from ops.simulation.pipeline import simulate as play
    from ops.simulation.report import Run

    found = measured.read()
    changed = assumptions.of(found).changed(given)
    known = rules.of(Usage(stack.read(env), found, changed, prices.prices(), 0))
    for rate in {each.per_second for each in chosen}:
        if not sized and (excess := known.excess(rate)):
            raise OperatorError(
                f"{env} does not carry {rate:g} events a second: {excess}; add --sized, or lower the rate",
                usage=True,
            )
    runs = []
    for scenario in chosen:
        applied = known.sized(scenario.per_second) if sized else known
        with steps.step(f"{scenario.key} at {scenario.per_second:g}/s") as step:
            outcome = play(
                applied, scenario, seed, lambda seconds, all_: step.advance_to(int(seconds), int(all_))
            )
            run = Run(scenario, applied, outcome)
            step.note = f"recovered after {run.recovery()}" if outcome.recovery_seconds else run.recovery()
        runs.append(run)
    return runs


def _plot(runs: list[Run], folder: Path) -> None:
    from ops.simulation.plots import draw
    from ops.simulation.report import by_scenario

    folder.mkdir(parents=True, exist_ok=True)
    for key, some in by_scenario(runs).items():
        (folder / f"{key}.svg").write_text(
            draw([(run.scenario, run.outcome) for run in some]), encoding="utf-8"
        )


def _measure(*, as_json: bool) -> None:
    from ops.progress import Steps
    from ops.simulation import experiment, kept

    found = experiment.measure(Steps(open_console(as_json=as_json)))
    kept.write(found)
    print_line(f"{kept.FILE.name} written", as_json=as_json)


def _check(*, as_json: bool) -> None:
    """Fail if a figure of the simulation is further from the measured one than the tolerance."""
    from ops.simulation import kept
    from ops.simulation.check import HEADINGS, TOLERANCE, compare

    experiment = kept.read()
    compared = compare(experiment)
    if as_json:
        print_json({"how": experiment.how, "figures": [each.as_json() for each in compared]})
    else:
        table = PlainTable(*HEADINGS, text=(HEADINGS[0],), title=f"{experiment.how}; {experiment.date}")
        for each in compared:
            table.add_row(*each.cells())
        console = open_console()
        console.print(table)
    if not all(each.within for each in compared):
        print_line(f"a figure differs by more than {TOLERANCE:.0%}", as_json=as_json)
        raise typer.Exit(FAILED)
