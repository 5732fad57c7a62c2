"""Bar charts as SVG: text and rectangles, readable on a light and on a dark page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

WIDTH: Final = 720
LABEL: Final = 190
VALUE: Final = 90
BAR: Final = 16
STEP: Final = 24
HEAD: Final = 34
MARGIN: Final = 12
STYLE: Final = """\
text{font:13px system-ui,sans-serif;fill:#1f2328}.head{font-weight:600}.value{fill:#59636e}
rect{fill:#8c959f}.ours{fill:#0969da}.target{stroke:#bc4c00;stroke-width:2;stroke-dasharray:4 3}
@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.value{fill:#9198a1}rect{fill:#6e7681}.ours{fill:#4493f8}
.target{stroke:#f0883e}}"""


@dataclass(frozen=True)
class Bar:
    """One bar; `ours` draws it in the colour of this project."""

    label: str
    value: float
    shown: str
    ours: bool = False


@dataclass(frozen=True)
class Panel:
    """Bars of one measure from 0 on, and its target as a dashed line."""

    head: str
    bars: Sequence[Bar]
    target: float | None = None


def svg(title: str, panels: Sequence[Panel]) -> str:
    """Return an SVG document with the panels below each other."""
    height = MARGIN + sum(HEAD + STEP * len(panel.bars) for panel in panels)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img" aria-labelledby="title">',
        f'<title id="title">{escape(title)}</title>',
        f"<style>{STYLE}</style>",
    ]
    top = 0
    for panel in panels:
        lines += _panel(panel, top)
        top += HEAD + STEP * len(panel.bars)
    return "\n".join([*lines, "</svg>", ""])


def _panel(panel: Panel, top: int) -> list[str]:
    room = WIDTH - LABEL - VALUE
    most = max([bar.value for bar in panel.bars] + ([panel.target] if panel.target else []))
    lines = [f'<text class="head" x="{MARGIN}" y="{top + 24}">{escape(panel.head)}</text>']
    for number, bar in enumerate(panel.bars):
        y = top + HEAD + STEP * number
        width = round(bar.value / most * room, 1)
        kind = ' class="ours"' if bar.ours else ""
        lines += [
            f'<text x="{LABEL - 8}" y="{y + 13}" text-anchor="end">{escape(bar.label)}</text>',
            f'<rect{kind} x="{LABEL}" y="{y}" width="{width}" height="{BAR}"/>',
            f'<text class="value" x="{LABEL + width + 8:g}" y="{y + 13}">{escape(bar.shown)}</text>',
        ]
    if panel.target:
        x = round(LABEL + panel.target / most * room, 1)
        end = top + HEAD + STEP * len(panel.bars) - STEP + BAR
        lines.append(f'<line class="target" x1="{x:g}" y1="{top + HEAD - 4}" x2="{x:g}" y2="{end + 4}"/>')
    return lines
