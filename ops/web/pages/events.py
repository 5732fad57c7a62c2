"""The events of a time, newest first: searched, filtered, and live."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from ops.story.listing import OUTCOMES, Listing, Wanted
from ops.web.page import Page, get, is_partial, post, render, site_of
from ops.web.pages import event

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from ops.web.site import Site

FIELDS: Final = ("text", "event_type", "outcome", "customer", "handler")
# The names of the filters in addresses.
NAMES: Final = {"text": "q", "event_type": "type"}


def show(request: Request) -> Response:
    """Show the page, or its live part to htmx."""
    site = site_of(request)
    query = request.query_params
    chosen = {field: query.get(NAMES.get(field, field), "").strip() for field in FIELDS}
    number = query.get("page", "1")
    listing = listed(site)
    found = listing.page(Wanted(**chosen), int(number) if number.isdecimal() and len(number) < 7 else 1)
    return render(
        request,
        "events_live.html" if is_partial(request) else "events.html",
        found=found,
        chosen=chosen,
        since=datetime.fromtimestamp(listing.since, UTC),
        types=listing.types(),
        outcomes=OUTCOMES,
        here_address=_address(chosen, found.number),
        newer=_address(chosen, found.number - 1) if found.number > 1 else "",
        older=_address(chosen, found.more) if found.more else "",
        filtered=any(chosen.values()),
    )


def listed(site: Site) -> Listing:
    """Return the list of events, which all browsers share, with what is new.

    Raises
    ------
    OperatorError
        CloudWatch Logs or S3 refuses or does not answer.
    """
    since = site.since.timestamp()
    listing = site.recent("listing", lambda: Listing(site.environment, since), 0.0, float("inf"))
    site.recent("events", listing.refresh, time.monotonic())
    return listing


def _address(chosen: dict[str, str], number: int) -> str:
    """Return the address of a page of the list, which shows the same to whoever opens it."""
    query = {NAMES.get(field, field): value for field, value in chosen.items() if value}
    if number > 1:
        query["page"] = str(number)
    return f"/events?{urlencode(query)}" if query else "/events"


PAGE: Final = Page(
    "Events",
    "/events",
    show,
    routes=(
        get("/events/{event_id}", event.show),
        get("/events/{event_id}/reveal", event.again),
        post("/events/{event_id}/reveal", event.reveal),
    ),
)
