"""Reconciliation: Stripe's list, the ledger and the handlers' records, with the guards of the command."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from functions.pipeline.routing_table import ROUTES
from ops import reconciliation, times
from ops.console import plural
from ops.ledger import open_ledger
from ops.reconciliation import Comparison, Findings
from ops.web import jobs, record
from ops.web.jobs import Change, Job, Result
from ops.web.page import Page, field, get, post, render, site_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from ops.web.site import Site

KIND: Final = "reconciliation"
PATH: Final = "/reconciliation"
SINCE, UNTIL = "48h", "10m"
# Ids of one type that the result names.
SHOWN_IDS: Final = 5


def show(request: Request) -> Response:
    """Show the form."""
    running = jobs.of(site_of(request)).running(KIND)
    return render(request, "reconciliation.html", since=SINCE, until=UNTIL, running=running)


def compare(request: Request) -> Response:
    """Compare a window, and change nothing."""
    since, until = (request.query_params.get(name, "") for name in ("since", "until"))
    return _start(site_of(request), since or SINCE, until or UNTIL, heals=False)


def heal(request: Request) -> Response:
    """Compare a window again, and send what is missing."""
    site = site_of(request)
    since, until = field(request, "since"), field(request, "until")
    _window(since, until)
    details = {"since": since, "until": until}
    record.write(site, "heal", reason=field(request, "reason"), details=details)
    return _start(site, since, until, heals=True)


def _window(since: str, until: str) -> tuple[datetime, datetime, datetime]:
    now = datetime.now(UTC).replace(microsecond=0)
    first, last = times.parse_time(since, "since", now), times.parse_time(until, "until", now)
    reconciliation.check_window(first, last, now)
    return first, last, now


def _start(site: Site, since: str, until: str, *, heals: bool) -> Response:
    first, last, now = _window(since, until)

    def work(job: Job) -> Result:
        environment = site.environment
        handled_until = now - timedelta(seconds=environment.settings.handled_within_seconds)
        healer = reconciliation.healer(environment) if heals else None
        api = reconciliation.stripe(environment)
        comparison = Comparison(api, open_ledger(environment, first), environment, healer)
        findings = comparison.find(first, last, tuple(ROUTES), handled_until, job.watched())
        return _result(findings, first, last, unread=comparison.ledger.unread)

    title = f"{'Heal' if heals else 'Compare'} {times.format_time(first)} to {times.format_time(last)}"
    job = jobs.of(site).start(site, KIND, title, PATH, work, ends_at_once=True)
    return jobs.moved(job)


def _result(findings: Findings, first: datetime, last: datetime, *, unread: int) -> Result:
    gaps = (
        ("missing in the ledger", findings.gap),
        ("reached no handler", findings.unhandled),
        ("received and not applied", findings.unapplied),
    )
    facts = [("compared", plural(findings.gap.compared.total(), "event"))]
    for name, gap in gaps:
        facts.append((name, str(gap.missing_count)))
        facts += _ids(name, gap.missing)
    if findings.healed_count:
        facts.append(("sent", str(findings.healed_count)))
    left = []
    if unread:
        left.append(
            f"{plural(unread, 'object')} of the ledger could not be read: fewer events may be missing"
        )
    if findings.unapplied.open_count:
        left.append("what was received and not applied is in Dead-letter queues, or was purged there")
    change = None
    if findings.open_count:
        change = Change(
            f"{PATH}/heal",
            f"Compares the window again and sends what is missing ({plural(findings.open_count, 'event')}) "
            "to its handler, and to the audit queue if the ledger lacks it. What is applied is skipped.",
            f"Send {findings.open_count}",
            {"since": times.stamp(first), "until": times.stamp(last)},
        )
    return Result(facts, "; ".join(left), change)


def _ids(name: str, missing: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    for event_type, ids in sorted(missing.items()):
        more = f" and {len(ids) - SHOWN_IDS} more" if len(ids) > SHOWN_IDS else ""
        yield f"{name}: {event_type}", f"{', '.join(ids[:SHOWN_IDS])}{more}"


PAGE: Final = Page(
    "Reconciliation", PATH, show, routes=(get(f"{PATH}/compare", compare), post(f"{PATH}/heal", heal))
)
