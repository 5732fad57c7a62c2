"""Search the worlds of a scenario: all of them within its bounds, or random schedules far beyond them."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from tests.model.code import Code
from tests.model.scenario import Scenario
from tests.model.world import Action, Rules, World

# How often a random schedule takes another than the ordinary next step.
_ADVENTURE: Final = (0.1, 0.25, 0.5)

Path = tuple[int, ...]


@dataclass
class Report:
    """What a search has found.

    Parameters
    ----------
    worlds, endings
        Number of different ones.
    whole
        Whether all worlds within the bounds were seen.
    found
        The shortest schedule to each kind of flaw: the places of its actions among those that were possible.
    """

    scenario: Scenario
    worlds: int = 0
    endings: int = 0
    runs: int = 0
    seconds: float = 0.0
    whole: bool = False
    found: dict[str, tuple[str, Path]] = field(default_factory=dict)

    def note(self, flaws: tuple[str, ...], path: Path) -> None:
        """Keep the path to flaws if it is the shortest to their kind."""
        for flaw in flaws:
            kind = flaw.partition(":")[0]
            if kind not in self.found or len(path) < len(self.found[kind][1]):
                self.found[kind] = (flaw, path)

    def __str__(self) -> str:
        bounds = f"{self.scenario.switches} switches, {self.scenario.faults} faults"
        seen = f"{self.worlds} worlds, {self.endings} endings, {self.runs} runs of the code"
        whole = "all" if self.whole else "cut off"
        return f"{self.scenario.name} ({bounds}): {seen}, {whole}, {self.seconds:.1f} s"


def search(
    scenario: Scenario, *, most: int | None = None, until: float | None = None, first: str | None = None
) -> Report:
    """Search every world within the bounds, the nearest first.

    Parameters
    ----------
    most
        Most worlds to search.
    until
        When the search ends, by `time.monotonic`.
    first
        The search ends with the first flaw of this kind.
    """
    shipped = Code()
    report = Report(scenario)
    began = time.monotonic()
    with shipped.installed():
        rules = Rules(scenario, shipped)
        root = rules.first()
        came_by: dict[World, tuple[World, int] | None] = {root: None}
        endings: set[World] = set()
        waiting = deque([root])
        while waiting:
            if (most and len(came_by) >= most) or (until and time.monotonic() > until):
                break
            if first in report.found:
                break
            world = waiting.popleft()
            actions = rules.actions(world)
            if not actions:
                ending = _without_budget(world)
                if ending not in endings:
                    endings.add(ending)
                    flaws = rules.end(world).flaws
                    if flaws:
                        report.note(flaws, _path(came_by, world))
            for place, action in enumerate(actions):
                after = rules.take(world, action)
                if after in came_by:
                    continue
                came_by[after] = (world, place)
                if after.flaws:
                    report.note(after.flaws, _path(came_by, after))
                else:
                    waiting.append(after)
        report.whole = not waiting
    report.worlds, report.endings, report.runs = len(came_by), len(endings), shipped.runs
    report.seconds = time.monotonic() - began
    return report


def draw(scenario: Scenario, seed: int, *, most: int, until: float | None = None) -> Report:
    """Run `most` random schedules; the same seed makes the same schedules."""
    shipped = Code()
    report = Report(scenario)
    began = time.monotonic()
    chance = random.Random(seed)  # noqa: S311 (not for secrecy)
    with shipped.installed():
        rules = Rules(scenario, shipped)
        for _ in range(most):
            if until and time.monotonic() > until:
                break
            adventure = chance.choice(_ADVENTURE)
            world, path = rules.first(), []
            while not world.flaws and (actions := rules.actions(world)):
                place = chance.randrange(len(actions)) if chance.random() < adventure else 0
                path.append(place)
                world = rules.take(world, actions[place])
                report.worlds += 1
            report.note(world.flaws or rules.end(world).flaws, tuple(path))
            report.endings += 1
    report.runs, report.seconds = shipped.runs, time.monotonic() - began
    return report


def follow(rules: Rules, path: Path) -> Iterator[tuple[World, Action, World]]:
    """Repeat a schedule; yield each action with the worlds before and after it."""
    world = rules.first()
    for place in path:
        action = rules.actions(world)[place]
        after = rules.take(world, action)
        yield world, action, after
        world = after


def _path(came_by: dict[World, tuple[World, int] | None], world: World) -> Path:
    places: list[int] = []
    while (step := came_by[world]) is not None:
        world, place = step
        places.insert(0, place)
    return tuple(places)


def _without_budget(world: World) -> World:
    """Return what an ending depends on: the same for every path to it."""
    return world._replace(switches=0, faults=0, clock=0.0, current=-1)
