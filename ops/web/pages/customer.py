"""Customer: all events about one customer and their objects, in order."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from ops import times
from ops.errors import OperatorError
from ops.story import reading, references
from ops.story.composition import compose
from ops.story.text import timeline, unknown_lines
from ops.web import jobs
from ops.web.jobs import Job, Result
from ops.web.page import Page, render, site_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from ops.story.story import Story
    from ops.web.site import Site

PATH: Final = "/customer"
SINCE: Final = "7d"
KIND: Final = "customer"
# Seconds for which the page waits for its job; then the page of the job shows how far it is.
PATIENCE_SECONDS: Final = 2.0


def show(request: Request) -> Response:
    """Show the form, and the timeline of the customer that it names."""
    customer = request.query_params.get("id", "").strip()
    since = request.query_params.get("since", "").strip() or SINCE
    stories: list[Story] = []
    if customer:
        _check(customer)
        found, job = jobs.of(site_of(request)), _job(request, customer, since)
        if not found.wait(job, PATIENCE_SECONDS):
            return jobs.moved(job)
        if job.result is None:
            raise OperatorError(job.error)
        stories = job.result.found
    return render(
        request,
        "customer.html",
        customer=customer,
        since=since,
        stories=stories,
        moments=list(timeline(stories)),
        unknown=unknown_lines(stories),
    )


def _job(request: Request, customer: str, since: str) -> Job:
    """Return the job that the address names, while the console knows what it found, or start one."""
    site, title = site_of(request), f"Events about {customer} since {since}"
    known = jobs.of(site).get(request.query_params.get("job", ""))
    if known is not None and known.title == title and not known.is_forgotten:
        return known
    now = datetime.now(UTC)
    first = times.parse_past(since, "since", now)

    def work(job: Job) -> Result:
        stories = _stories(site, customer, first, now, job)
        return Result([("events", str(len(stories)))], found=stories)

    back = f"{PATH}?{urlencode({'id': customer, 'since': since})}"
    return jobs.of(site).start(site, KIND, title, back, work, ends_at_once=True)


def _check(customer: str) -> None:
    references.check(customer)
    if references.is_event(customer):
        raise OperatorError(f"{customer} is an event: open it in Events, or enter the id of a customer")


def _stories(site: Site, customer: str, first: datetime, now: datetime, job: Job) -> list[Story]:
    steps = job.watched()
    found = references.deliveries(site.environment, customer, first, now, steps)
    if not found:
        return []
    facts = reading.read(site.environment, list(found), first, steps, found=found, interrupted=job.stop)
    return [compose(each, reveal=False) for each in facts]


PAGE: Final = Page("Customer", PATH, show)
