"""The first page: the architecture with what passes it now."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from functions.shared import names
from ops.architecture.drawing import draw
from ops.architecture.topology import Topology, read
from ops.web import alarms, metrics, queues
from ops.web.flow_overlay import OUTCOMES, PARKED, FlowOverlay
from ops.web.page import Page, is_partial, render, site_of, waiting_in

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from ops.web.site import Site

# The stack does not change while a console runs.
DRAWN_SECONDS: Final = float("inf")


@dataclass(frozen=True)
class Total:
    """A number of deliveries in the window; `href` leads to them."""

    name: str
    count: int
    href: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Row:
    """A lane in words: rules with one target, and what became of their events; `href` leads to what waits."""

    rules: str
    function: str
    matched: int
    outcomes: tuple[tuple[str, int], ...]
    waiting: int
    href: str


def show(request: Request) -> Response:
    """Show the page, or its live part to htmx."""
    site = site_of(request)
    reading = metrics.read(site, metrics.window_of(request.query_params.get("window", "")))
    overlay = FlowOverlay(
        site.environment.name,
        site.environment.bus,
        reading,
        queues.depths(site),
        alarms.read(site),
        partial(waiting_in, request),
    )
    topology = site.recent("topology", lambda: _topology(site), time.monotonic(), DRAWN_SECONDS)
    return render(
        request,
        "flow_live.html" if is_partial(request) else "flow.html",
        reading=reading,
        windows=[(each.name, f"/?window={each.name}") for each in metrics.WINDOWS],
        totals=list(_totals(overlay)),
        alarms=[each for each in overlay.alarms if each.on and each.part != alarms.UNHEALTHY],
        drawing=Markup(draw(topology, overlay=overlay)),  # noqa: S704  (draw escapes every text)
        rows=list(_rows(topology, overlay)),
    )


def _topology(site: Site) -> Topology:
    return read(site.document, site.environment.name)


def _totals(overlay: FlowOverlay) -> Iterator[Total]:
    reading = overlay.reading
    yield Total("from Stripe", reading.total(metrics.EVENTS, [overlay.bus]), "/events")
    for name, metric, tone in (*OUTCOMES, PARKED):
        count = reading.total(metric, names.HANDLERS)
        yield Total(name, count, f"/events?outcome={name}", tone if count else "")
    yield Total("audited", reading.total(metrics.AUDITED, [overlay.audit_queue]), "/events")


def _rows(topology: Topology, overlay: FlowOverlay) -> Iterator[Row]:
    """The picture in words, for narrow screens and for those who do not see it."""
    for lane in topology.lanes:
        handler = lane.function.names[0]
        outcomes = (
            tuple((word, overlay.reading.total(metric, [handler])) for word, metric, _ in (*OUTCOMES, PARKED))
            if handler in names.HANDLERS
            else (("audited", overlay.reading.total(metrics.AUDITED, [overlay.audit_queue])),)
        )
        yield Row(
            ", ".join(lane.rules.names),
            handler,
            overlay.reading.total(metrics.MATCHED, overlay.full_names(lane.rules)),
            outcomes,
            sum(overlay.waiting(box) for box, _ in lane.failures),
            next((overlay.address(box) for box, _ in lane.failures if overlay.waiting(box)), ""),
        )


PAGE: Final = Page("Flow", "/", show)
