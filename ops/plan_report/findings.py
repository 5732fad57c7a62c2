"""What a rule finds in a plan, and how bad it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from ops.plan_report.plan import Plan


class Level(IntEnum):
    """How bad: `safe` needs nobody, `review` needs a reader, `danger` may lose events or money."""

    SAFE = 0
    REVIEW = 1
    DANGER = 2

    @property
    def word(self) -> str:
        """The level as people write it."""
        return self.name.lower()


@dataclass(frozen=True)
class Hit:
    """One thing that a rule found, as Markdown in which every value of the plan is a code span.

    Parameters
    ----------
    address
        The resource, or the name of an output.
    what, why, do
        What changes; what that means in events or money; what to do. The last two may be empty.
    """

    address: str
    what: str
    why: str = ""
    do: str = ""


@dataclass(frozen=True)
class Rule:
    """One thing to look for, with the name by which a pull request accepts it."""

    name: str
    level: Level
    find: Callable[[Plan], Iterator[Hit]]


@dataclass(frozen=True)
class Finding:
    """A hit, with its rule's name and level, and the reason for which a pull request accepts it."""

    rule: str
    level: Level
    hit: Hit
    accepted: str = ""
