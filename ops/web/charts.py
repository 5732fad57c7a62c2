"""Charts as SVG: columns for what is counted, lines for what is measured. Styles are in console.css."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Final

from markupsafe import Markup

from ops.axes import above
from ops.simulation.texts import lasting, short
from ops.web.metrics import Graph, Series, Window

# Pixels.
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 420, 158, 50, 10, 10, 24
_TICKS: Final = 4
_TIMES: Final = 4
# Colours in console.css; what has no colour of its own is in the last one.
COLOURS: Final = 6
MILLISECONDS: Final = 1000
COUNTED: Final = "Sum"


@dataclass(frozen=True)
class Key:
    """A line of the legend; `colour` is a number below COLOURS."""

    label: str
    value: str
    colour: int


@dataclass(frozen=True)
class Chart:
    """A graph as a picture, with its legend."""

    title: str
    svg: Markup
    keys: tuple[Key, ...]


def chart(graph: Graph, window: Window, end: datetime) -> Chart | None:
    """Draw a graph; None if it has no value above 0 in the window."""
    shown = [each for each in graph.series if any(value for _, value in each.points)]
    if not shown:
        return None
    counted = shown[0].statistic == COUNTED
    shown.sort(key=_weight, reverse=True)
    keys = tuple(
        Key(each.label, _shown(_weight(each), graph.unit), min(number, COLOURS - 1))
        for number, each in enumerate(shown)
    )
    plot = _Plot(window, end, graph.unit, _most(shown, stacked=counted))
    parts = plot.columns(shown) if counted else plot.lines(shown)
    said = f"{graph.title}: " + ", ".join(f"{key.label} {key.value}" for key in keys[:COLOURS])
    svg = "".join(
        [
            f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(said)}">',
            *plot.axes(),
            *parts,
            "</svg>",
        ]
    )
    return Chart(graph.title, Markup(svg), keys)  # noqa: S704  (every text above is escaped)


def _weight(series: Series) -> float:
    """Return the sum of what is counted, or the most of what is measured."""
    return series.total if series.statistic == COUNTED else max(value for _, value in series.points)


def _most(shown: Sequence[Series], *, stacked: bool) -> float:
    if not stacked:
        return max(map(_weight, shown))
    totals: dict[datetime, float] = {}
    for each in shown:
        for at, value in each.points:
            totals[at] = totals.get(at, 0.0) + value
    return max(totals.values())


def _shown(value: float, unit: str) -> str:
    """Return a value with its unit, where the unit is of time."""
    if unit == "ms":
        return lasting(value / MILLISECONDS) if value >= 2 * MILLISECONDS else f"{value:.0f} ms"
    return lasting(value) if unit == "seconds" else short(value)


@dataclass(frozen=True)
class _Plot:
    """The area of a chart, and what maps a time and a value to it."""

    window: Window
    end: datetime
    unit: str
    most: float

    @property
    def _top(self) -> float:
        return above(max(self.most, 1e-9 if self.unit in ("ms", "seconds") else float(_TICKS)), _TICKS)

    def _x(self, at: datetime) -> float:
        passed = (at - (self.end - self.window.length)) / self.window.length
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * min(1.0, max(0.0, passed))

    def _y(self, value: float) -> float:
        bottom = _HEIGHT - _BOTTOM
        return bottom - (bottom - _TOP) * value / self._top

    def axes(self) -> list[str]:
        """Return the grid with its numbers and times."""
        parts = []
        for number in range(_TICKS + 1):
            value = self._top * number / _TICKS
            y = self._y(value)
            parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>')
            if number % 2 == 0:
                text = escape(_shown(value, self.unit))
                parts.append(f'<text x="{_LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{text}</text>')
        form = "%H:%M" if self.window.length <= timedelta(days=1) else "%d %b"
        for number in range(_TIMES + 1):
            at = self.end - self.window.length * (1 - number / _TIMES)
            anchor = {0: "start", _TIMES: "end"}.get(number, "middle")
            text = f"{at.astimezone(UTC):{form}}"
            parts.append(
                f'<text x="{self._x(at):.1f}" y="{_HEIGHT - 7}" text-anchor="{anchor}">{text}</text>'
            )
        return parts

    def columns(self, shown: Sequence[Series]) -> list[str]:
        """Return a column for each time, of one part for each series."""
        width = (_WIDTH - _LEFT - _RIGHT) * self.window.period / self.window.length.total_seconds()
        below: dict[datetime, float] = {}
        parts = []
        for number, each in enumerate(shown):
            for at, value in each.points:
                if value:
                    base = below.get(at, 0.0)
                    below[at] = base + value
                    y, bottom = self._y(base + value), self._y(base)
                    # A column is at least as wide as can be seen.
                    parts.append(
                        f'<rect class="c{min(number, COLOURS - 1)}" x="{self._x(at):.1f}" y="{y:.1f}" '
                        f'width="{max(2.0, width - 1):.1f}" height="{bottom - y:.1f}">'
                        f"<title>{escape(each.label)}: {short(value)}</title></rect>"
                    )
        return parts

    def lines(self, shown: Sequence[Series]) -> list[str]:
        """Return a line for each series, with a dot for each value; only what has a colour of its own."""
        parts = []
        for number, each in reversed(list(enumerate(shown[:COLOURS]))):
            points = [(self._x(at), self._y(value)) for at, value in each.points]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            parts.append(f'<polyline class="c{number}" points="{path}"/>')
            x, y = points[-1]
            parts.append(f'<circle class="c{number}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>')
        return parts
