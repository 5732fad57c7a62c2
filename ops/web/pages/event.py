"""One event: its story, its payload, its calls, and what can be done about it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from starlette.responses import RedirectResponse

from functions.pipeline.routing_table import ROUTES
from functions.shared import names
from ops.console import PlainConsole
from ops.errors import OperatorError
from ops.progress import Steps
from ops.story import reading
from ops.story.composition import compose
from ops.story.story import QUEUE, UNKNOWN, WAITING, Story
from ops.times import stamp, stamp_of
from ops.web import record, tree
from ops.web.page import field, is_partial, render, site_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from ops.web.site import Site

# How far back logs are read for an event that Stripe does not keep any more.
SINCE: Final = timedelta(hours=48)
# Around the event's arrival: EventBridge's window has whole seconds.
WINDOW: Final = timedelta(minutes=1)
DASHBOARD: Final = "https://dashboard.stripe.com/"


@dataclass(frozen=True)
class Link:
    """Something that can be done elsewhere."""

    text: str
    href: str


def show(request: Request) -> Response:
    """Show the event, or its live part to htmx."""
    return _page(request, _story(request, reveal=False))


def reveal(request: Request) -> Response:
    """Record who looks, and why, and show the event with personal data."""
    site, event_id = site_of(request), _event_id(request)
    record.write(site, "reveal", reason=field(request, "reason"), details={"event_id": event_id})
    return _page(request, _story(request, reveal=True))


def again(request: Request) -> Response:
    """Lead whoever opens the address of a form, which a browser shows after it, to the event."""
    return RedirectResponse(f"/events/{_event_id(request)}", 303)


def _page(request: Request, story: Story) -> Response:
    live = story.outcome in (WAITING, UNKNOWN) and not story.revealed
    return render(
        request,
        "event_live.html" if is_partial(request) else "event.html",
        story=story,
        live=live,
        partial=is_partial(request),
        now=datetime.now(UTC).timestamp(),
        why=story.why if story.why.startswith("evt_") else story.why[:1].upper() + story.why[1:],
        moments=[(_clock(moment.at), moment, _details(moment.detail)) for moment in story.moments],
        calls=[(_clock(call.at), call, _text(call.request), _text(call.answer)) for call in story.calls],
        payload=None if story.payload is None else tree.of(story.payload),
        waits=any(moment.place == QUEUE for moment in story.moments),
        links=_links(site_of(request), request, story),
        created="" if story.created is None else stamp_of(story.created),
    )


def _story(request: Request, *, reveal: bool) -> Story:
    site, event_id = site_of(request), _event_id(request)
    since = datetime.now(UTC) - SINCE
    quiet = Steps(PlainConsole(quiet=True))
    (facts,) = reading.read(site.environment, [event_id], since, quiet)
    return compose(facts, reveal=reveal)


def _event_id(request: Request) -> str:
    event_id: str = request.path_params["event_id"]
    if not names.STRIPE_ID.fullmatch(event_id):
        raise OperatorError(f"{event_id} is not the id of an event: choose one in Events")
    return event_id


def _links(site: Site, request: Request, story: Story) -> list[Link]:
    """Return where one can go from here."""
    test = "" if site.environment.settings.livemode else "test/"
    found = [Link("Open in Stripe", f"{DASHBOARD}{test}events/{quote(story.event_id)}")]
    paths = {page.path for page in request.app.state.pages}
    arrived = next((moment.at for moment in story.moments if moment.place == "bus"), None)
    route = ROUTES.get(story.event_type or "")
    if "/replays" in paths and arrived is not None and route is not None:
        time = datetime.fromtimestamp(arrived, UTC)
        window = {"since": stamp(time - WINDOW), "until": stamp(time + WINDOW), "rule": route.handler}
        found.append(Link("Replay this window", f"/replays/forecast?{urlencode(window)}"))
    if story.customer_id:
        where = "/customer?id=" if "/customer" in paths else "/events?customer="
        found.append(Link("All about this customer", where + quote(story.customer_id)))
    return found


def _clock(at: float) -> str:
    time = datetime.fromtimestamp(at, UTC)
    return f"{time:%Y-%m-%d %H:%M:%S}.{time.microsecond // 1000:03}"


def _details(detail: Mapping[str, Any]) -> str:
    shown = {key: value for key, value in detail.items() if value not in (None, [], "")}
    return _text(shown) if shown else ""


def _text(document: Any) -> str:
    """Return JSON for people; a text that is JSON is laid out, any other stays."""
    if document is None:
        return ""
    if isinstance(document, str):
        try:
            document = json.loads(document)
        except (ValueError, RecursionError):
            return str(document)
    return json.dumps(
        dict(document) if isinstance(document, Mapping) else document, indent=2, ensure_ascii=False
    )
