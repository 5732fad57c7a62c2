"""The console as an ASGI application: the pages, what is live, static files, and calm errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from ops.console import print_error
from ops.errors import OperatorError
from ops.web.guard import Guard, Keys
from ops.web.page import Page, get, problem, site_of
from ops.web.site import Site

STATIC: Final = Path(__file__).with_name("static")
# Seconds in which a stream notices that the console ends.
NOTICED: Final = 0.2


def create(site: Site, keys: Keys, authority: str, pages: Sequence[Page]) -> Guard:
    """Return the guarded application.

    Parameters
    ----------
    authority
        The host and port under which it answers.
    """
    shown = [page for page in pages if site.embedded or not page.embedded_only]
    routes = [route for page in shown for route in (get(page.path, page.show), *page.routes)]
    app = Starlette(
        routes=[*routes, Route("/live", _live), Mount("/static", StaticFiles(directory=STATIC))],
        exception_handlers={HTTPException: _no_page, Exception: _defect},
    )
    app.state.site = site
    app.state.pages = shown
    app.state.here = lambda path: _here(path, shown)
    return Guard(app, authority, keys)


def _here(path: str, pages: Sequence[Page]) -> str:
    """Return the path of the page to which an address belongs; empty if it belongs to none."""
    under = [each.path for each in pages if path == each.path or path.startswith(f"{each.path}/")]
    return max(under, key=len, default="")


async def _live(request: Request) -> Response:
    """Send an event whenever the parts of a page that are live should look again."""
    site = site_of(request)

    async def events() -> AsyncIterator[str]:
        waited = site.live_seconds
        while not site.stopping.is_set():
            if waited >= site.live_seconds:
                waited = 0.0
                yield "event: look\ndata: \n\n"
            await asyncio.sleep(NOTICED)
            waited += NOTICED

    return StreamingResponse(events(), media_type="text/event-stream")


async def _no_page(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    text = f"the page {request.url.path} does not exist: choose one from the navigation"
    return problem(request, OperatorError(text), status)


async def _defect(request: Request, error: Exception) -> Response:
    """Say that the console has a defect; the exception itself, which may hold data, goes nowhere."""
    name = type(error).__name__
    print_error(f"console: {request.url.path} has a defect: {name}")
    return problem(
        request, OperatorError(f"this page has a defect ({name}): report it with what you did"), 500
    )
