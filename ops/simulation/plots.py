"""A scenario's queues over time, as an SVG: a panel for each rate. The same outcomes give the same bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import Final

from ops.axes import above, step
from ops.simulation.outcome import Outcome, Sample
from ops.simulation.scenarios import Scenario
from ops.simulation.texts import DAY, HOUR, MINUTE, short

# Pixels.
_PANEL, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM, _LEGEND = 284, 190, 46, 18, 30, 34, 26
_COLUMNS: Final = 140
_LINES: Final[Sequence[tuple[str, str, Callable[[Sample], float]]]] = (
    ("bus", "EventBridge", lambda sample: sample.bus),
    ("lanes", "audit queue", lambda sample: sample.lanes),
    ("waiting", "Lambda's queues", lambda sample: sample.waiting),
    ("dead", "dead-letter queues", lambda sample: sample.dead_letters),
)
_TICKS: Final = 4
_UNITS: Final = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (1, "s"))
_STYLE: Final = """
svg { --back: #ffffff; --line: #d0d7de; --text: #1f2328; --soft: #59636e; --shade: #fff1e5;
  font: 11px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", Arial, sans-serif; }
@media (prefers-color-scheme: dark) {
  svg { --back: #0d1117; --line: #3d444d; --text: #f0f6fc; --soft: #9198a1; --shade: #3a2414; }
}
.back { fill: var(--back); } .shade { fill: var(--shade); } text { fill: var(--soft); }
.title { fill: var(--text); font-weight: 600; } .axis { stroke: var(--line); fill: none; }
.of { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
.bus { stroke: #e7157b; } .lanes { stroke: #4d72f3; stroke-dasharray: 5 3; }
.waiting { stroke: #ed7100; } .dead { stroke: #8c4fff; }
""".strip()


def draw(runs: Sequence[tuple[Scenario, Outcome]]) -> str:
    """Draw what one scenario did at several rates."""
    width, height = len(runs) * _PANEL, _HEIGHT + _LEGEND
    shown = [line for line in _LINES if any(outcome.most(line[2]) >= 1 for _, outcome in runs)]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        f"<title>{escape(runs[0][0].name)}</title>",
        f"<style>\n{_STYLE}\n</style>",
        f'<rect class="back" width="{width}" height="{height}"/>',
    ]
    for number, (scenario, outcome) in enumerate(runs):
        parts += [
            f'<g transform="translate({number * _PANEL} 0)">',
            *_panel(scenario, outcome, shown),
            "</g>",
        ]
    for number, (name, label, _) in enumerate(shown):
        x, y = _LEFT + 150 * number, _HEIGHT + 12
        parts.append(
            f'<path class="of {name}" d="M{x} {y}h20"/><text x="{x + 26}" y="{y + 4}">{label}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


def _panel(
    scenario: Scenario, outcome: Outcome, lines: Sequence[tuple[str, str, Callable[[Sample], float]]]
) -> list[str]:
    right, bottom = _PANEL - _RIGHT, _HEIGHT - _BOTTOM
    end = max(outcome.samples[-1].at, scenario.seconds * 1.2)
    top = above(max([float(_TICKS), *(outcome.most(of) for _, _, of in lines)]), _TICKS)

    def x(seconds: float) -> float:
        return _LEFT + (right - _LEFT) * seconds / end

    def y(events: float) -> float:
        return bottom - (bottom - _TOP) * events / top

    size, unit = next((size, unit) for size, unit in _UNITS if end >= 2 * size or size == 1)
    apart = step(end / size / _TICKS)
    parts = [
        f'<text class="title" x="{_LEFT}" y="18">{scenario.per_second:,.0f} events a second</text>',
        f'<rect class="shade" x="{x(0):.1f}" y="{_TOP}" width="{x(scenario.seconds) - x(0):.1f}" '
        f'height="{bottom - _TOP}"/>',
        f'<path class="axis" d="M{_LEFT} {_TOP}V{bottom}H{right}"/>',
    ]
    for number in range(_TICKS + 1):
        value = top * number / _TICKS
        parts.append(f'<text x="{_LEFT - 5}" y="{y(value) + 4:.1f}" text-anchor="end">{short(value)}</text>')
    for number in range(math.floor(end / size / apart) + 1):
        at = number * apart
        parts.append(
            f'<text x="{x(at * size):.1f}" y="{bottom + 16}" text-anchor="middle">{at:g} {unit}</text>'
        )
    for name, _, of in lines:
        points = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in _thinned(outcome, of, end))
        parts.append(f'<polyline class="of {name}" points="{points}"/>')
    return parts


def _thinned(outcome: Outcome, of: Callable[[Sample], float], end: float) -> list[tuple[float, float]]:
    """Return one sample for each column of pixels: the largest."""
    columns: dict[int, Sample] = {}
    for sample in outcome.samples:
        column = math.floor(sample.at / end * _COLUMNS)
        if column not in columns or of(sample) > of(columns[column]):
            columns[column] = sample
    first, last = outcome.samples[0], outcome.samples[-1]
    chosen = [first, *columns.values(), last]
    return [(sample.at, of(sample)) for sample in chosen]
