"""The first page: the architecture with what passes it now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from functions.shared import names
from ops.web import metrics
from ops.web.page import Page, is_partial, render, site_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from ops.web.site import Site

# How deliveries end at a handler: the outcome, its metric, and how it looks.
OUTCOMES: Final = (
    ("applied", names.EVENTS_APPLIED, "good"),
    ("recorded", names.EVENTS_RECORDED, "good"),
    ("duplicate", names.DUPLICATES_SKIPPED, ""),
    ("stale", names.STALE_SKIPPED, ""),
    ("parked", names.EVENTS_PARKED, "bad"),
)


@dataclass(frozen=True)
class Total:
    """A number of deliveries in the window; `href` leads to them."""

    name: str
    count: int
    href: str = ""
    tone: str = ""


def show(request: Request) -> Response:
    """Show the page, or its live part to htmx."""
    site = site_of(request)
    reading = metrics.read(site, metrics.window_of(request.query_params.get("window", "")))
    return render(
        request,
        "flow_live.html" if is_partial(request) else "flow.html",
        reading=reading,
        windows=[(each.name, f"/?window={each.name}") for each in metrics.WINDOWS],
        totals=list(_totals(site, reading)),
    )


def _totals(site: Site, reading: metrics.Reading) -> Iterator[Total]:
    yield Total("from Stripe", reading.total("Events", [site.environment.bus]), "/events")
    for name, metric, tone in OUTCOMES:
        count = reading.total(metric, names.HANDLERS)
        yield Total(name, count, f"/events?outcome={name}", tone if count else "")


PAGE: Final = Page("Flow", "/", show)
