"""What the console adds to the picture of the architecture: counts, links, alarms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ops.architecture.topology import Box


@dataclass(frozen=True)
class Label:
    """A count on a line.

    Parameters
    ----------
    text
        A number and a word, for example `25 matched`.
    key
        The id of its link, which no other link has.
    tone
        good, warn, bad or soft: the class of its colour; may be empty.
    """

    text: str
    key: str
    href: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Mark:
    """What is shown at a box.

    Parameters
    ----------
    label
        The name of its link, for those who do not see it.
    note
        A count in its last line.
    alarm
        Whether an alarm on it is on.
    """

    label: str
    href: str = ""
    note: str = ""
    tone: str = ""
    alarm: bool = False


class Overlay(Protocol):
    """Knows what to show at each box and on each line."""

    def on_box(self, box: Box) -> Mark | None:
        """Return what is shown at a box."""

    def on_line(self, left: Box, right: Box) -> Sequence[Label]:
        """Return the labels of the line between two boxes: the first above it, the others below."""
