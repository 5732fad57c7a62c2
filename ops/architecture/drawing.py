"""The architecture as an SVG: a plain picture for documents, or one with counts and links for the console.

Events pass from left to right. Solid lines carry events, dashed lines carry those that failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from typing import Final

from ops.architecture.overlay import Label, Mark, Overlay
from ops.architecture.topology import Box, Lane, Topology

# Pixels. The columns hold source, bus, rules, queues, functions and sinks, and are as wide as a README.
_COLUMNS: Final = (106, 106, 128, 146, 126, 122)
_EDGE, _PAD, _HEAD, _LINE, _ROW, _BETWEEN = 18, 8, 18, 15, 12, 14
# Between columns: of a plain picture, and of one whose lines have labels.
_GAPS: Final = (26, 26, 26, 26, 26)
_WIDE_GAPS: Final = (66, 122, 80, 86, 104)
# From a box to the line that several share, where labels need the rest of the gap.
_NEAR: Final = 16
# Of a character of a name and of a kind in the widest of the fonts; a label that may not fit is an error.
_NAME, _KIND = 7.1, 6.2
_COLOURS: Final = {
    "EventBridge": "events",
    "kept": "events",
    "Lambda": "lambda",
    "every": "lambda",
    "SQS": "queue",
    "SNS": "queue",
    "DynamoDB": "store",
    "S3": "store",
}


def draw(topology: Topology, *, style: str = "", overlay: Overlay | None = None) -> str:
    """Draw an environment.

    Parameters
    ----------
    style
        CSS for the picture; without it, the page that holds the picture has the CSS.
    overlay
        What the console adds to the boxes and lines.
    """
    return _Drawing(topology, style, overlay).text()


@dataclass(frozen=True)
class _Placed:
    """A box with its place."""

    box: Box
    x: float
    y: float
    width: float

    @property
    def height(self) -> float:
        return _height(self.box)

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def middle(self) -> float:
        return self.y + self.height / 2

    @property
    def centre(self) -> float:
        return self.x + self.width / 2

    @property
    def bottom(self) -> float:
        return self.y + self.height


def _height(box: Box) -> float:
    return _PAD * 2 + _LINE * len(box.names) + (13 if box.kind else 0) - 3


@dataclass
class _Drawing:
    topology: Topology
    style: str
    overlay: Overlay | None
    _shapes: list[str] = field(default_factory=list)
    _frames: list[str] = field(default_factory=list)
    # How far down the line to dead-letter queues reaches, by its sender.
    _branches: dict[_Placed, float] = field(default_factory=dict)
    _y: float = _EDGE

    def text(self) -> str:
        rules: list[_Placed] = []
        handlers: dict[tuple[Box, ...], list[_Placed]] = {}
        for lane in self.topology.lanes:
            first, function = self._lane(lane)
            rules.append(first)
            handlers.setdefault(lane.sinks, []).append(function)
        for sinks, functions in handlers.items():
            self._trunk(functions, self._stack(5, sinks, (functions[0].middle + functions[-1].middle) / 2))
        self._arrival(rules)
        self._legend()
        self._beside()
        return self._document()

    def _lane(self, lane: Lane) -> tuple[_Placed, _Placed]:
        """Rules, queue and function in a row, the dead-letter queues below; returns the first and last."""
        top = self._y
        tallest = max(_height(each) for each in (lane.rules, lane.queue, lane.function) if each)
        middle = top + _HEAD + _PAD + tallest / 2
        rules, function = (
            self._at(number, box, middle) for number, box in ((2, lane.rules), (4, lane.function))
        )
        senders = {"rules": rules, "function": function}
        if lane.queue:
            senders["queue"] = self._at(3, lane.queue, middle)
        for left, right in pairwise(sorted(senders.values(), key=lambda each: each.x)):
            self._between(left, right)
        below = middle + tallest / 2
        for box, sending in lane.failures:
            dead = self._put(_Placed(box, self._column(3), below + _ROW, _COLUMNS[3]))
            below = dead.bottom
            for name in sorted(sending):
                self._failure(senders[name], dead)
        self._frame(lane.function.names[0], 2, 4, top, below + _PAD)
        self._y = below + _PAD + _BETWEEN
        return rules, function

    def _arrival(self, rules: list[_Placed]) -> None:
        """Stripe, the bus and its archive, in the middle of the lanes."""
        middle = (rules[0].middle + rules[-1].middle) / 2
        stripe, bus = self._at(0, self.topology.source, middle), self._at(1, self.topology.bus, middle)
        self._between(stripe, bus)
        self._trunk([bus], rules)
        if dead := self.topology.bus_failures:
            above = bus.y - 2 * _ROW - _height(dead)
            queue = self._put(_Placed(dead, bus.x, above, bus.width))
            self._line("fail", f"M{bus.centre:g} {bus.y:g}V{queue.bottom + 5:g}")
            self._tip("fail-tip", queue.centre, queue.bottom, "up")
        archive = self._put(_Placed(self.topology.archive, bus.x, bus.bottom + 2 * _ROW, bus.width))
        self._line("flow", f"M{bus.centre:g} {bus.bottom:g}V{archive.y - 5:g}")
        self._tip("tip", archive.centre, archive.y, "down")

    def _beside(self) -> None:
        """What is beside the way of an event: the highest in the right half, the others in the left one."""
        topology = self.topology
        rows = [(run.function.names[0], (run.reads, run.function, run.sends)) for run in topology.runs]
        rows.append(("alarms", (topology.alarms, topology.topic, topology.subscribers)))
        rows.sort(key=lambda row: -max(map(_height, row[1])))
        frames = []
        tops = {0: self._y, 3: self._y}
        for number, (title, boxes) in enumerate(rows):
            first = 0 if number else 3
            middle = tops[first] + _HEAD + _PAD + max(map(_height, boxes)) / 2
            placed = [self._at(first + place, box, middle) for place, box in enumerate(boxes)]
            for left, right in pairwise(placed):
                self._between(left, right)
            bottom = max(each.bottom for each in placed) + _PAD
            frames.append((title, first, tops[first], bottom))
            tops[first] = bottom + _BETWEEN
        self._y = max(tops.values()) - _BETWEEN
        for title, first, top, bottom in frames:
            is_last = bottom + _BETWEEN == tops[first]
            self._frame(title, first, first + 2, top, self._y if is_last else bottom)

    def _legend(self) -> None:
        for style, text, y in (("flow", "events", _EDGE + 12), ("fail", "failed events", _EDGE + 30)):
            self._line(style, f"M{_EDGE} {y}h34")
            self._text("kind", _EDGE + 42, y + 3.5, text)

    @property
    def _gaps(self) -> tuple[int, ...]:
        return _WIDE_GAPS if self.overlay else _GAPS

    @property
    def _width(self) -> int:
        return 2 * _EDGE + sum(_COLUMNS) + sum(self._gaps)

    def _column(self, number: int) -> float:
        return _EDGE + sum(_COLUMNS[:number]) + sum(self._gaps[:number])

    def _end(self, number: int) -> float:
        return self._column(number) + _COLUMNS[number]

    def _at(self, column: int, box: Box, middle: float) -> _Placed:
        return self._put(_Placed(box, self._column(column), middle - _height(box) / 2, _COLUMNS[column]))

    def _stack(self, column: int, boxes: Iterable[Box], middle: float) -> list[_Placed]:
        boxes = list(boxes)
        y = middle - (sum(map(_height, boxes)) + _ROW * (len(boxes) - 1)) / 2
        placed = []
        for box in boxes:
            placed.append(self._put(_Placed(box, self._column(column), y, _COLUMNS[column])))
            y = placed[-1].bottom + _ROW
        return placed

    def _put(self, placed: _Placed) -> _Placed:
        for text, each in (*((name, _NAME) for name in placed.box.names), (placed.box.kind, _KIND)):
            if len(text) * each > placed.width - 16:
                raise ValueError(
                    f"{text!r} is too long for its box in the diagram: shorten it or widen the boxes"
                )
        colour = next((c for word, c in _COLOURS.items() if placed.box.kind.startswith(word)), None)
        mark = self.overlay.on_box(placed.box) if self.overlay else None
        style = "box" if colour else "box outside"
        if mark and mark.tone:
            style += f" {mark.tone}"
        first = len(self._shapes)
        x, y, height = placed.x, placed.y, placed.height
        self._shapes.append(_rectangle(style, x, y, placed.width, height, 5))
        if colour:
            self._shapes.append(_rectangle(colour, x, y + 5, 3, height - 10, 1.5))
        for number, name in enumerate(placed.box.names):
            self._text("name", x + 10, y + _PAD + 9 + number * _LINE, name)
        if placed.box.kind:
            self._text("kind", x + 10, y + height - _PAD, placed.box.kind)
        if mark:
            self._mark(placed, mark)
            inside = "".join(self._shapes[first:])
            self._shapes[first:] = [_linked(inside, mark.href, mark.label, _key(placed.box))]
        return placed

    def _mark(self, placed: _Placed, mark: Mark) -> None:
        """Write a count at the end of the last line of a box, and a bell where an alarm is on."""
        if mark.note:
            x, y = placed.right - 8, placed.bottom - _PAD
            place = f'x="{x:g}" y="{y:g}" text-anchor="end"'
            self._shapes.append(f'<text class="note {mark.tone}" {place}>{escape(mark.note)}</text>')
        if mark.alarm:
            x, y = placed.right - 3, placed.y + 3
            self._shapes.append(f'<circle class="bell" cx="{x:g}" cy="{y:g}" r="8"/>')
            self._shapes.append(
                f'<path class="bell-line" d="M{x:g} {y - 4:g}v4.6"/>'
                f'<circle class="bell-dot" cx="{x:g}" cy="{y + 3.4:g}" r="1.1"/>'
            )

    def _trunk(self, sources: list[_Placed], targets: list[_Placed]) -> None:
        """Each source sends to each target: one line out of each, one line down, an arrow into each."""
        fans_out = len(sources) == 1
        x = (sources[0].right + targets[0].x) / 2
        if self.overlay:
            x = sources[0].right + _NEAR if fans_out else targets[0].x - _NEAR
        heights = [each.middle for each in (*sources, *targets)]
        if max(heights) > min(heights):
            self._line("flow", f"M{x:g} {min(heights):g}V{max(heights):g}")
        for source in sources:
            self._line("flow", f"M{source.right:g} {source.middle:g}H{x:g}")
            if not fans_out:
                self._labels(source.right + _PAD, source.middle, self._on(source, targets[0]))
        for target in targets:
            self._flow(x, target.middle, target.x, target.middle)
            if fans_out:
                self._labels(x, target.middle, self._on(sources[0], target))

    def _between(self, left: _Placed, right: _Placed) -> None:
        """An arrow from one box to the next."""
        self._flow(left.right, left.middle, right.x, right.middle)
        self._labels(left.right, left.middle, self._on(left, right))

    def _on(self, left: _Placed, right: _Placed) -> Sequence[Label]:
        return self.overlay.on_line(left.box, right.box) if self.overlay else ()

    def _labels(self, x: float, y: float, labels: Sequence[Label]) -> None:
        """Write the first label above a line that begins at x, the others below it."""
        for number, label in enumerate(labels):
            height = y - 6 if number == 0 else y + 1 + 13 * number
            text = (
                f'<text class="count {label.tone}" x="{x + 6:g}" y="{height:g}">{escape(label.text)}</text>'
            )
            self._shapes.append(_linked(text, label.href, label.text, label.key))

    def _flow(self, x1: float, y1: float, x2: float, y2: float) -> None:
        self._line("flow", f"M{x1:g} {y1:g}L{x2 - 5:g} {y2:g}")
        self._tip("tip", x2, y2, "right")

    def _failure(self, sender: _Placed, dead: _Placed) -> None:
        """From below the sender to the side, or the top, of the dead-letter queue."""
        # Below the sender, beside the line.
        self._labels(sender.centre, sender.bottom + 20, self._on(sender, dead))
        if sender.x == dead.x:
            self._line("fail", f"M{sender.centre:g} {sender.bottom:g}V{dead.y - 5:g}")
            self._tip("fail-tip", dead.centre, dead.y, "down")
            return
        x, to = (dead.x, "right") if sender.x < dead.x else (dead.right, "left")
        begin = self._branches.get(sender, sender.bottom)
        self._branches[sender] = dead.middle
        self._line(
            "fail", f"M{sender.centre:g} {begin:g}V{dead.middle:g}H{x - 5 if to == 'right' else x + 5:g}"
        )
        self._tip("fail-tip", x, dead.middle, to)

    def _tip(self, style: str, x: float, y: float, to: str) -> None:
        corners = {"right": "-7 -4v8", "left": "7 -4v8", "down": "-4 -7h8", "up": "-4 7h8"}[to]
        self._shapes.append(f'<path class="{style}" d="M{x:g} {y:g}l{corners}z"/>')

    def _line(self, style: str, path: str) -> None:
        self._shapes.append(f'<path class="{style}" d="{path}"/>')

    def _text(self, style: str, x: float, y: float, text: str) -> None:
        self._shapes.append(f'<text class="{style}" x="{x:g}" y="{y:g}">{escape(text)}</text>')

    def _frame(self, title: str, first: int, last: int, top: float, bottom: float) -> None:
        left, right = self._column(first) - _PAD, self._end(last) + _PAD
        self._frames.append(_rectangle("lane", left, top, right - left, bottom - top, 8))
        self._text("title", left + _PAD, top + 15, title)

    def _document(self) -> str:
        height = self._y + _EDGE
        title = "How a Stripe event passes through huntaze-stripe-eventbridge"
        # An image has no links in it for those who do not see it.
        role = "group" if self.overlay else "img"
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self._width} {height:g}" '
                f'width="{self._width}" height="{height:g}" role="{role}" aria-labelledby="title desc">',
                f'<title id="title">{title}</title>',
                f'<desc id="desc">{escape(" ".join(_sentences(self.topology)))}</desc>',
                *([f"<style>\n{self.style}\n</style>"] if self.style else []),
                _rectangle("back", 0, 0, self._width, height, 10),
                *self._frames,
                *self._shapes,
                "</svg>\n",
            ]
        )


def _key(box: Box) -> str:
    """Return an id; a rule and a function may have the same name."""
    return f"box-{box.kind.partition(' ')[0].lower()}-{box.names[0]}"


def _linked(shapes: str, href: str, label: str, key: str) -> str:
    """Make shapes a link, if there is where to go; its id keeps the focus when the picture is drawn again."""
    if not href:
        return shapes
    return f'<a id="{escape(key)}" href="{escape(href)}" aria-label="{escape(label)}">{shapes}</a>'


def _rectangle(style: str, x: float, y: float, width: float, height: float, radius: float) -> str:
    return (
        f'<rect class="{style}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}"/>'
    )


def _sentences(topology: Topology) -> Iterator[str]:
    """The picture in words."""
    yield f"{topology.source.names[0]} sends events to a partner event bus, which keeps them in an archive."
    for lane in topology.lanes:
        way = f"through the queue {lane.queue.names[0]} " if lane.queue else ""
        sinks = " and ".join(sink.names[0] for sink in lane.sinks)
        yield f"Rules {', '.join(lane.rules.names)} send them {way}to the function {lane.function.names[0]},"
        yield f"which writes to {sinks}."
        yield f"What fails goes to {', '.join(name for box, _ in lane.failures for name in box.names)}."
    for run in topology.runs:
        yield f"The function {run.function.names[0]} ({run.function.kind}) reads {', '.join(run.reads.names)}"
        yield f"and sends to {', '.join(run.sends.names)}."
    yield f"{topology.alarms.names[0]} notify the topic {topology.topic.names[0]}."
