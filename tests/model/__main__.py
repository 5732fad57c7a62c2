"""`make model`: search the models far beyond what the tests search, or repeat one schedule.

Each model is searched whole within one more switch and one more fault than in the tests, as far as its share
of the time goes; then schedules are drawn with the seed from worlds in which much more goes wrong at once.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import IO, Final

from tests.model.code import Code
from tests.model.explorer import Path, Report, draw, search
from tests.model.models import MODELS
from tests.model.narrate import schedule
from tests.model.scenario import Scenario
from tests.model.world import Rules

DRAWN_SWITCHES: Final = 4
DRAWN_FAULTS: Final = 4
# More schedules are never run in the time that a person waits.
DRAWN_MOST: Final = 10_000_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 1 if a promise broke."""
    options = _parser().parse_args(arguments)
    unknown = [name for name in options.models if name not in MODELS]
    if unknown:
        _print(f"unknown model {unknown[0]!r}; models: {', '.join(MODELS)}", to=sys.stderr)
        return 2
    scenarios = [_within(MODELS[name], options) for name in options.models or MODELS]
    if options.schedule:
        if len(scenarios) != 1:
            _print("--schedule needs one model", to=sys.stderr)
            return 2
        return _print_schedule(scenarios[0], tuple(int(place) for place in options.schedule.split(",")))
    broken = [scenario.name for scenario in scenarios if not _holds(scenario, len(scenarios), options)]
    _print(f"broken: {', '.join(broken)}" if broken else "every promise held")
    return 1 if broken else 0


def _holds(scenario: Scenario, scenarios: int, options: argparse.Namespace) -> bool:
    share = options.minutes * 60 / scenarios
    began = time.monotonic()
    reports = [search(scenario, most=options.most, until=began + share / 2)]
    _print(str(reports[0]))
    _report(reports[0])
    if not options.no_draw:
        wild = replace(scenario, switches=DRAWN_SWITCHES, faults=DRAWN_FAULTS)
        most = options.most or DRAWN_MOST
        reports.append(draw(wild, options.seed, most=most, until=began + share))
        _print(f"seed {options.seed}, drawn: {reports[1]}")
        _report(reports[1])
    return not any(report.found for report in reports)


def _report(report: Report) -> None:
    for flaw, path in report.found.values():
        _print(f"\n{flaw}")
        _print_schedule(report.scenario, path)


def _print_schedule(scenario: Scenario, path: Path) -> int:
    shipped = Code()
    with shipped.installed():
        lines = list(schedule(Rules(scenario, shipped), path))
    _print("\n".join(lines))
    _print(f"Again: {again(scenario, path)}\n")
    return 1 if any(line.lstrip().startswith("**") for line in lines) else 0


def again(scenario: Scenario, path: Path) -> str:
    """Return the command that repeats a schedule."""
    bounds = f"SWITCHES={scenario.switches} FAULTS={scenario.faults}"
    return f"make model MODEL={scenario.name} {bounds} SCHEDULE={','.join(map(str, path))}"


def _within(scenario: Scenario, options: argparse.Namespace) -> Scenario:
    switches = scenario.switches + 1 if options.switches is None else options.switches
    faults = scenario.faults + 1 if options.faults is None else options.faults
    return replace(scenario, switches=switches, faults=faults)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make model", description=__doc__)
    parser.add_argument("models", nargs="*", help="models to search; all unless named")
    parser.add_argument("--seed", type=int, default=1, help="of the drawn schedules")
    parser.add_argument("--minutes", type=float, default=30, help="for all models together")
    parser.add_argument("--most", type=int, help="worlds of a search, and drawn schedules, at most")
    parser.add_argument("--switches", type=int, help="instead of one more than in the tests")
    parser.add_argument("--faults", type=int, help="instead of one more than in the tests")
    parser.add_argument("--no-draw", action="store_true", help="search only")
    parser.add_argument("--schedule", help="take this schedule again: places, separated by commas")
    return parser


def _print(text: str, *, to: IO[str] | None = None) -> None:
    """Write a line at once, so that a long run can be followed."""
    to = to or sys.stdout
    to.write(f"{text}\n")
    to.flush()


if __name__ == "__main__":
    sys.exit(main())
