"""Alarms with their runbooks, queues, costs so far, and the graphs of the dashboard."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from ops.cost import month, prices
from ops.cost.services import NOT_INCLUDED, Cost
from ops.cost.stack import of as stack_of
from ops.doctor.expected import EVENTS_QUEUE
from ops.doctor.queues import ages_of
from ops.errors import OperatorError
from ops.web import alarms, charts, metrics, queues, runbooks
from ops.web.page import Page, get, is_partial, problem, render, site_of, waiting_in

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from ops.web.site import Site

# Seconds for which costs are kept: they change by the hour.
COST_SECONDS: Final = 300.0


@dataclass(frozen=True)
class Queue:
    """A queue; `age` is that of its oldest message in seconds, where CloudWatch knows it."""

    name: str
    waiting: int
    age: float | None
    dead_letter: bool


@dataclass(frozen=True)
class Bill:
    """The cost of the month so far in US dollars."""

    events: int
    dollars: float
    costs: tuple[Cost, ...]
    prices: str


def show(request: Request) -> Response:
    """Show the page, or its live part to htmx."""
    site = site_of(request)
    reading = metrics.read(site, metrics.window_of(request.query_params.get("window", "")))
    drawn = {graph.title: charts.chart(graph, reading.window, reading.at) for graph in reading.graphs}
    return render(
        request,
        "health_live.html" if is_partial(request) else "health.html",
        reading=reading,
        windows=[(each.name, f"/health?window={each.name}") for each in metrics.WINDOWS],
        alarms=alarms.read(site),
        queues=[(each, waiting_in(request, each.name)) for each in _queues(site)],
        bill=site.recent("bill", lambda: _bill(site), time.monotonic(), COST_SECONDS),
        not_included=NOT_INCLUDED,
        charts=[each for each in drawn.values() if each],
        silent=[title for title, each in drawn.items() if not each],
    )


def runbook(request: Request) -> Response:
    """Show the runbook of an alarm."""
    name = request.path_params["name"]
    text = runbooks.html(name)
    if text is None:
        return problem(
            request, OperatorError(f"the runbook {name} does not exist: choose an alarm in Health"), 404
        )
    return render(request, "runbook.html", under=PAGE.path, name=name, text=text)


def _queues(site: Site) -> Iterator[Queue]:
    depths = queues.depths(site)
    full = [name for name, waiting in depths.items() if waiting]
    ages = site.recent(
        "ages", lambda: ages_of(site.environment, full, datetime.now(UTC)) if full else {}, time.monotonic()
    )
    for name, waiting in depths.items():
        yield Queue(name, waiting, ages.get(name), dead_letter=name != EVENTS_QUEUE)


def _bill(site: Site) -> Bill:
    found = month.read(site.environment, datetime.now(UTC))
    every = month.so_far(found, stack_of(site.document, site.environment.settings))
    listed = prices.prices()
    most = sorted((each for each in every if each.dollars), key=lambda each: -each.dollars)
    return Bill(
        found.events, sum(each.dollars for each in every), tuple(most), f"{listed.region}, {listed.date}"
    )


PAGE: Final = Page("Health", "/health", show, routes=(get("/runbooks/{name}", runbook),))
