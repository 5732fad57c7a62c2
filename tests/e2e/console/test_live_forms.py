"""A live part in a real browser: it is renewed, but not while somebody fills in a form of it."""

from __future__ import annotations

from itertools import count
from typing import cast

import pytest
from playwright.sync_api import Browser, expect
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from ops.environment import Environment
from ops.web import server, site
from ops.web.page import Page, is_partial, render
from ops.web.site import Site

NUMBERS = count()


class _Named:
    name, region = "dev", "eu-west-1"


def _show(request: Request) -> Response:
    part = (
        '<section id="part" hx-get="/" hx-trigger="look from:body" hx-swap="outerHTML">'
        f'<p id="number">{next(NUMBERS)}</p><details><summary>Cancel</summary>'
        '<form method="post"><input name="reason" aria-label="Why"></form></details></section>'
    )
    if is_partial(request):
        return HTMLResponse(part)
    page = bytes(render(request, "problem.html", text="x").body).decode()
    return HTMLResponse(page.replace("</main>", f"{part}</main>"))


def test_a_form_that_is_filled_in_stays(chromium: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "LIVE_SECONDS", 0.2)
    opened = Site(cast("Environment", _Named()), {}, allow_changes=True, embedded=True)
    with server.serving(opened, pages=[Page("First", "/", _show)]) as url:
        context = chromium.new_context()
        page = context.new_page()
        page.goto(url)
        number = page.locator("#number")
        before = str(number.text_content())
        expect(number).not_to_have_text(before)
        page.get_by_text("Cancel").click()
        page.get_by_label("Why").fill("it sends too much")
        held = str(number.text_content())
        for _ in range(3):
            with page.expect_response(page.url):
                pass
        assert (number.text_content(), page.get_by_label("Why").input_value()) == (held, "it sends too much")
        page.get_by_text("Cancel").click()
        page.locator("h1").click()
        expect(number).not_to_have_text(held)
        context.close()
