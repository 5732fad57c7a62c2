"""The console of all commands: what it prints is plain."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from ops.plain import plain, plain_lines


class PlainConsole(Console):
    """A console that takes a string for what it says: no markup, no emoji, no highlighting, one line.

    What is made of several lines, such as Markdown, keeps them, and is rid of control characters too.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Make a string a renderable; Rich does it with all that it prints, cells and titles included."""
        return super().render_str(plain(text), **options | {"markup": False, "emoji": False})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render anything; Rich's own cursor movements are segments of their own kind, and stay."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(plain_lines(segment.text), segment.style)
