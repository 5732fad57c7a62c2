"""Customer: all events about one customer and their objects, in order."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from ops import times
from ops.dlq.interrupts import Interruption
from ops.errors import OperatorError
from ops.progress import Steps
from ops.story import reading, references
from ops.story.composition import compose
from ops.story.text import timeline, unknown_lines
from ops.web.jobs import Job, Stop
from ops.web.page import Page, render, site_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from ops.story.story import Story
    from ops.web.site import Site

PATH: Final = "/customer"
SINCE: Final = "7d"


def show(request: Request) -> Response:
    """Show the form, and the timeline of the customer that it names."""
    site = site_of(request)
    customer = request.query_params.get("id", "").strip()
    since = request.query_params.get("since", "").strip() or SINCE
    stories: list[Story] = []
    if customer:
        _check(customer)
        now = datetime.now(UTC)
        first = times.parse_time(since, "since", now)
        stories = _stories(site, customer, first, now)
    return render(
        request,
        "customer.html",
        customer=customer,
        since=since,
        stories=stories,
        moments=list(timeline(stories)),
        unknown=unknown_lines(stories),
    )


def _check(customer: str) -> None:
    references.check(customer)
    if references.is_event(customer):
        raise OperatorError(f"{customer} is an event: open it in Events, or enter the id of a customer")


def _stories(site: Site, customer: str, first: datetime, now: datetime) -> list[Story]:
    quiet: Steps = Job("", "look", "", Stop(site.stopping), now, ends_at_once=True).watched()
    found = references.deliveries(site.environment, customer, first, now, quiet)
    if not found:
        return []
    facts = reading.read(site.environment, list(found), first, quiet, found=found, interrupted=Interruption())
    return [compose(each, reveal=False) for each in facts]


PAGE: Final = Page("Customer", PATH, show)
