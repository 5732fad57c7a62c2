"""The counts, links and alarms on the picture of the architecture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from functions.shared import names
from infra.names import PROJECT
from ops.architecture.overlay import Label, Mark
from ops.architecture.topology import FUNCTION, QUEUE, RULE, Box
from ops.dlq.queues import FIFO
from ops.simulation.texts import short
from ops.web import metrics
from ops.web.alarms import UNHEALTHY, Alarm
from ops.web.metrics import Counted, Reading

# How deliveries end at a handler: the outcome, its metric, and how its count looks.
OUTCOMES: Final = (
    ("applied", metrics.ours(names.EVENTS_APPLIED), "good"),
    ("recorded", metrics.ours(names.EVENTS_RECORDED), "good"),
    ("duplicate", metrics.ours(names.DUPLICATES_SKIPPED), "soft"),
    ("stale", metrics.ours(names.STALE_SKIPPED), "soft"),
)
PARKED: Final = ("parked", metrics.ours(names.EVENTS_PARKED), "bad")


@dataclass(frozen=True)
class FlowOverlay:
    """What a reading, the queues and the alarms say of each box and line.

    Parameters
    ----------
    depths
        Messages by the queues' short names.
    waiting_in
        Returns the address that shows what waits in a dead-letter queue.
    """

    environment: str
    bus: str
    reading: Reading
    depths: Mapping[str, int]
    alarms: Sequence[Alarm]
    waiting_in: Callable[[str], str]

    def on_box(self, box: Box) -> Mark | None:
        """Return what is shown at a box."""
        on = [each for each in self.alarms if each.on and each.part != UNHEALTHY and _is_about(each, box)]
        if box.kind.startswith(QUEUE):
            return self._queue(box, on)
        if box.names == ("alarms",):
            number = sum(each.on for each in self.alarms if each.part != UNHEALTHY)
            return Mark(f"{number} alarms are on", "/health", f"{number} on", "bad" if number else "")
        if box.names == ("ledger",):
            return Mark("events in the ledger", "/events")
        if not on:
            return None
        said = ", ".join(each.part for each in on)
        return Mark(f"{', '.join(box.names)}: alarm {said} is on", "/health", tone="bad", alarm=True)

    def on_line(self, left: Box, right: Box) -> Sequence[Label]:
        """Return the labels of the line between two boxes."""
        if right.names == ("partner bus",):
            return [self._label("in", metrics.EVENTS, [self.bus], "/events", left)]
        if right.kind.startswith(RULE):
            return [self._label("matched", metrics.MATCHED, self.full_names(right), _events(right), right)]
        if left.kind.startswith(RULE):
            if _is_dead_letter(right):
                return self._failed("undelivered", metrics.UNDELIVERED, self.full_names(left), right)
            word = "sent" if right.kind.startswith(QUEUE) else "invoked"
            return [self._label(word, metrics.DELIVERED, self.full_names(left), "", left)]
        if left.kind.startswith(QUEUE):
            if _is_dead_letter(right):
                return ()
            return [self._label("batches", metrics.INVOKED, self.full_names(right), "", right)]
        if left.names[0] in names.HANDLERS:
            if _is_dead_letter(right):
                return self._failed(PARKED[0], PARKED[1], left.names, right)
            return [
                self._label(word, metric, left.names, _events(left, outcome=word), left, tone)
                for word, metric, tone in OUTCOMES
            ]
        if right.names == ("ledger",):
            return [self._label("audited", metrics.AUDITED, [self.audit_queue], "/events", right, "good")]
        return ()

    @property
    def audit_queue(self) -> str:
        """The name in AWS of the queue from which events are audited."""
        return f"{PROJECT}-events-{self.environment}{FIFO}"

    def waiting(self, box: Box) -> int:
        """Return how many messages the queues of a box hold."""
        return sum(self.depths.get(name, 0) for name in self._short_names(box))

    def _short_names(self, box: Box) -> list[str]:
        """Return the names of queues as the `dlq` commands have them: a FIFO queue's with its ending."""
        return [f"{name}{FIFO}" if f"{name}{FIFO}" in self.depths else name for name in box.names]

    def _queue(self, box: Box, on: Sequence[Alarm]) -> Mark:
        waiting = self.waiting(box)
        is_dead_letter = _is_dead_letter(box)
        tone = "bad" if waiting and is_dead_letter else ""
        said = ", ".join(box.names)
        rest = f", alarm {', '.join(each.part for each in on)} is on" if on else ""
        href = self.address(box) if is_dead_letter else "/health"
        return Mark(f"{said}: {waiting} waiting{rest}", href, f"{short(waiting)}", tone, alarm=bool(on))

    def address(self, box: Box) -> str:
        """Return the address of what waits in a box: in the first of its queues that holds anything."""
        short_names = self._short_names(box)
        return self.waiting_in(next((name for name in short_names if self.depths.get(name)), short_names[0]))

    def _label(
        self, word: str, metric: Counted, resources: Iterable[str], href: str, at: Box, tone: str = ""
    ) -> Label:
        count = self.reading.total(metric, resources)
        return Label(f"{short(count)} {word}", f"line-{at.names[0]}-{word}", href, tone if count else "soft")

    def _failed(self, word: str, metric: Counted, resources: Iterable[str], right: Box) -> Sequence[Label]:
        """Return the label of a line that carries events only where something failed."""
        # What a rule can't deliver has no outcome: it is in the queue alone.
        href = f"/events?outcome={word}" if word == PARKED[0] else self.address(right)
        label = self._label(word, metric, resources, href, right, "bad")
        return () if label.text.startswith("0 ") else [label]

    def full_names(self, box: Box) -> list[str]:
        """Return the names of a box's resources in AWS."""
        return [f"{PROJECT}-{name}-{self.environment}" for name in box.names]


def _is_about(alarm: Alarm, box: Box) -> bool:
    # The kind of a scheduled function is its schedule.
    kind = next((each for each in (RULE, QUEUE) if box.kind.startswith(each)), FUNCTION)
    return any((kind, name.removesuffix(FIFO)) in alarm.about for name in box.names)


def _is_dead_letter(box: Box) -> bool:
    return all("dlq" in name for name in box.names)


def _events(box: Box, **more: str) -> str:
    """Return the address of the list of events that pass a box."""
    handler = {"handler": box.names[0]} if box.names[0] in names.HANDLERS else {}
    chosen = {**handler, **more}
    return f"/events?{urlencode(chosen)}" if chosen else "/events"
