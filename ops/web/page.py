"""What a page is, and how it answers: with a template, or with one calm line where something failed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from ops.environment import aws_errors
from ops.errors import DeniedError, OperatorError
from ops.web.templates import environment

if TYPE_CHECKING:
    from starlette.requests import Request

    from ops.web.site import Site

Handler = Callable[["Request"], Response]
DEAD_LETTERS: Final = "/dead-letters"
# Bytes; a form has a few short fields, or the JSON of one event of at most 1 MiB, percent-encoded.
LARGEST_FORM: Final = 4 * 1024 * 1024


@dataclass(frozen=True)
class Page:
    """A page of the console.

    Parameters
    ----------
    title
        Its name in the navigation.
    path
        Where it is.
    show
        Answers a GET of the path.
    routes
        Whatever else it answers: parts of it, pages below it, forms. Make them with `get` and `post`.
    embedded_only
        Whether only an embedded AWS has it.
    """

    title: str
    path: str
    show: Handler
    routes: Sequence[Route] = ()
    embedded_only: bool = False


def get(path: str, handler: Handler) -> Route:
    """Return the route of a page or of a part of one."""
    return Route(path, _calm(handler), methods=["GET"])


def post(path: str, handler: Handler, *, changes: bool = True) -> Route:
    """Return the route of a form.

    Parameters
    ----------
    changes
        Whether it changes something: a console without --allow-changes refuses it then.
    """

    def change(request: Request) -> Response:
        if changes:
            site_of(request).require_changes()
        return handler(request)

    return Route(path, _calm(change), methods=["POST"])


def site_of(request: Request) -> Site:
    """Return what the pages share."""
    site: Site = request.app.state.site
    return site


def waiting_in(request: Request, queue: str) -> str:
    """Return the address that shows what waits in a dead-letter queue."""
    has_page = any(page.path == DEAD_LETTERS for page in request.app.state.pages)
    return f"{DEAD_LETTERS}?{urlencode({'queue': queue})}" if has_page else "/events?outcome=parked"


def is_partial(request: Request) -> bool:
    """Return whether htmx asks for a part of a page."""
    return request.headers.get("hx-request") == "true"


def leave(request: Request, address: str) -> Response:
    """Lead the browser to another page, also from a part that htmx asked for."""
    if is_partial(request):
        return Response(headers={"HX-Redirect": address})
    return RedirectResponse(address, 303)


def field(request: Request, name: str) -> str:
    """Return a field of the form that a POST sent; empty if it has none."""
    fields: dict[str, list[str]] = request.state.form
    return fields.get(name, [""])[0]


def render(
    request: Request, template: str, *, status: int = 200, under: str = "", **context: Any
) -> Response:
    """Answer with a template; every page's template extends base.html.

    Parameters
    ----------
    under
        The address of the page that the navigation marks; by default the one that the request's begins with.
    """
    site = site_of(request)
    text = (
        environment()
        .get_template(template)
        .render(
            site=site,
            pages=request.app.state.pages,
            here=request.app.state.here(under or request.url.path),
            **context,
        )
    )
    return HTMLResponse(text, status)


def problem(request: Request, error: OperatorError, status: int = 200) -> Response:
    """Answer with what is wrong and what to do: a part of a page, or a page of its own."""
    text = error.naming("the console") if isinstance(error, DeniedError) else str(error)
    if not is_partial(request):
        # What was asked for wrongly, does not exist or has a defect answers the same again.
        fails_again = error.usage or status >= 400 or request.method != "GET"
        again = "" if fails_again else f"?{request.url.query}"
        return render(request, "problem.html", status=status, text=text, again=again)
    part = render(request, "_problem.html", text=text)
    # The live part itself stays, and looks again.
    part.headers.update({"HX-Retarget": "#problem", "HX-Reswap": "innerHTML"})
    return part


def _calm(handler: Handler) -> Callable[[Request], Any]:
    """Answer an error of AWS, or of whoever asks, with `problem`."""

    def answer(request: Request) -> Response:
        try:
            with aws_errors("what this page shows"):
                return handler(request)
        except OperatorError as error:
            return problem(request, error)

    @functools.wraps(handler)
    async def endpoint(request: Request) -> Response:
        if request.method == "POST":
            body = bytearray()
            async for part in request.stream():
                body += part
                if len(body) > LARGEST_FORM:
                    return problem(request, OperatorError("the form is too large: send less"), 413)
            request.state.form = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
        return await run_in_threadpool(answer, request)

    return endpoint
