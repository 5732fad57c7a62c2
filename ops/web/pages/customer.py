"""Customer: everything about one customer in order, and what the stores hold of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from ops import times
from ops.customer import export, holdings
from ops.dlq.interrupts import Interruption
from ops.errors import OperatorError
from ops.progress import Steps
from ops.story import reading, references
from ops.story.composition import compose
from ops.story.text import timeline, unknown_lines
from ops.web import jobs
from ops.web.jobs import Job, Result, Stop
from ops.web.page import Page, get, render, site_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from ops.story.story import Story
    from ops.web.site import Site

KIND: Final = "customer"
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


def held(request: Request) -> Response:
    """Count what the stores hold of a customer, as `customer export` does, and change nothing."""
    site = site_of(request)
    customer = request.query_params.get("id", "").strip()
    _check(customer)

    def work(job: Job) -> Result:
        found = holdings.find(site.environment, customer, None, job.watched())
        summary = export.summary(found)
        facts = [
            ("events", str(summary["events"])),
            *((f"deliveries of {name}", str(count)) for name, count in summary["deliveries_by_type"].items()),
            ("objects of the ledger, all versions", str(summary["objects"])),
            ("rows of PostgreSQL", "no database" if summary["rows"] is None else str(summary["rows"])),
            ("messages of dead-letter queues", str(summary["messages"])),
            ("items of the idempotency table", str(summary["items"])),
        ]
        lacking = export.missing(found)
        advice = f"huntaze-stripe customer export {customer} --env {site.environment.name} writes all of it"
        return Result([*facts, ("whole", advice)], "; ".join(lacking))

    back = f"{PATH}?id={customer}"
    job = jobs.of(site).start(site, KIND, f"What is held of {customer}", back, work, ends_at_once=True)
    return jobs.moved(job)


def _check(customer: str) -> None:
    references.check(customer)
    if references.is_event(customer):
        raise OperatorError(f"{customer} is an event: open it in Events, or enter the id of a customer")


def _stories(site: Site, customer: str, first: datetime, now: datetime) -> list[Story]:
    quiet: Steps = Job("", "look", "", Stop(site.stopping), now).watched()
    found = references.deliveries(site.environment, customer, first, now, quiet)
    if not found:
        return []
    facts = reading.read(site.environment, list(found), first, quiet, found=found, interrupted=Interruption())
    return [compose(each, reveal=False) for each in facts]


PAGE: Final = Page("Customer", PATH, show, routes=(get(f"{PATH}/held", held),))
