"""A flame graph as SVG: what is called, from the top down, each as wide as its share of the CPU time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Final

from bench.report import Frame

WIDTH: Final = 1080
ROW: Final = 18
HEAD: Final = 30
# Calls with less of the CPU time are left out; deeper ones too.
SMALLEST: Final = 0.015
DEEPEST: Final = 18
CHARACTER: Final = 6.6
OURS: Final = "functions."
STYLE: Final = """\
text{font:11px ui-monospace,monospace;fill:#1f2328}.head{font:600 13px system-ui,sans-serif}
rect{fill:#d0d7de;stroke:#fff;stroke-width:.6}.ours{fill:#80ccff}
@media(prefers-color-scheme:dark){text{fill:#f0f6fc}rect{fill:#3d444d;stroke:#0d1117}.ours{fill:#1f6feb}}"""


@dataclass
class _Node:
    """A call that is being counted, with those below it."""

    samples: int = 0
    below: dict[str, _Node] = field(default_factory=dict)


def tree(name: str, stacks: Mapping[str, Mapping[str, int]]) -> Frame:
    """Return the calls of several programs below one frame.

    Parameters
    ----------
    stacks
        By program: how often each stack was found, its frames joined by semicolons, the outermost first.
    """
    top = _Node()
    for program, found in stacks.items():
        for stack, samples in found.items():
            node = top
            node.samples += samples
            for frame in (program, *stack.split(";")[:DEEPEST]):
                node = node.below.setdefault(frame, _Node())
                node.samples += samples
    return _frame(name, top, top.samples * SMALLEST)


def _frame(name: str, node: _Node, least: float) -> Frame:
    below = sorted(
        (item for item in node.below.items() if item[1].samples >= least), key=lambda item: item[0]
    )
    return Frame(name=name, samples=node.samples, below=tuple(_frame(each, of, least) for each, of in below))


def svg(title: str, top: Frame) -> str:
    """Return an SVG document; each call has its full name and its share as a title."""
    height = HEAD + ROW * (_depth(top) + 1)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img" aria-labelledby="title">',
        f'<title id="title">{escape(title)}</title>',
        f"<style>{STYLE}</style>",
        f'<text class="head" x="4" y="19">{escape(title)}</text>',
    ]
    return "\n".join([*lines, *_drawn(top, 0, 0, top.samples), "</svg>", ""])


def _drawn(frame: Frame, left: float, depth: int, whole: int) -> Iterator[str]:
    width = frame.samples / whole * WIDTH
    y = HEAD + ROW * depth
    kind = ' class="ours"' if frame.name.startswith(OURS) else ""
    title = escape(f"{frame.name}: {frame.samples / whole:.1%}")
    yield f"<g><title>{title}</title>"
    yield f'<rect{kind} x="{left:.1f}" y="{y}" width="{width:.1f}" height="{ROW - 1}"/>'
    room = int((width - 4) / CHARACTER)
    # A name's end says more than its package.
    text = frame.name if len(frame.name) <= room else frame.name.rpartition(".")[2][:room]
    if room > 2:
        yield f'<text x="{left + 3:.1f}" y="{y + 12}">{escape(text)}</text>'
    yield "</g>"
    for each in frame.below:
        yield from _drawn(each, left, depth + 1, whole)
        left += each.samples / whole * WIDTH


def _depth(frame: Frame) -> int:
    return 1 + max((_depth(each) for each in frame.below), default=-1)
