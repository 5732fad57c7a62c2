"""A real browser and real pages of others: what must not open the console does not."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.e2e.console.opened import Opened

FOREIGN = """<!doctype html><title>other</title>
<form method="post" action="{base}/health"><button>go</button></form>
<iframe src="{base}/"></iframe><img src="{base}/static/icon.svg">"""


@pytest.fixture
def foreign(opened: Opened) -> Iterator[str]:
    """A page of another server of this machine, which a browser counts as the same site."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(FOREIGN.format(base=opened.base).encode())

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_a_page_of_another_server_gets_and_changes_nothing(opened: Opened, foreign: str) -> None:
    page = opened.context.new_page()
    page.goto(foreign)
    fetched = page.evaluate(
        """async base => {
            const read = options => fetch(base + "/health", {credentials: "include", ...options})
                .then(answer => answer.text().then(text => text.length), () => "refused");
            return Promise.all([{}, {mode: "no-cors"}, {method: "POST", mode: "no-cors"}].map(read));
        }""",
        opened.base,
    )
    # What the page could read of an opaque answer is empty.
    assert all(each in ("refused", 0) for each in fetched)
    assert page.frames[1].url.startswith("chrome-error:")
    assert page.evaluate("document.images[0].naturalWidth") == 0
    with page.expect_navigation() as moved:
        page.locator("button").click()
    assert moved.value.status == 403
    page.close()


@pytest.mark.parametrize("host", ["localhost", "rebound.localhost"])
def test_a_name_that_leads_to_this_machine_is_refused(opened: Opened, host: str) -> None:
    page = opened.context.new_page()
    answer = page.goto(opened.base.replace("127.0.0.1", host))
    assert answer is not None
    assert answer.status == 421
    assert "answers only under the address that the command printed" in page.content()
    page.close()


def test_another_browser_needs_a_token_and_the_printed_one_is_used_up(
    opened: Opened, chromium: Browser
) -> None:
    context: BrowserContext = chromium.new_context()
    page = context.new_page()
    statuses = []
    for address in (f"{opened.base}/", opened.url):
        answer = page.goto(address)
        assert answer is not None
        statuses.append(answer.status)
    assert statuses == [401, 403]
    assert context.cookies() == []
    context.close()


def test_the_cookie_is_strict_and_hidden_from_scripts(opened: Opened) -> None:
    (cookie,) = opened.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/")


def test_the_page_runs_no_inline_script(opened: Opened) -> None:
    page = opened.context.new_page()
    page.goto(opened.base)
    page.evaluate(
        """() => new Promise(done => {
            const script = document.createElement("script");
            script.textContent = "window.ran = true";
            document.body.append(script);
            document.body.insertAdjacentHTML("beforeend", "<img src=/nothing onerror='window.ran = true'>");
            document.body.lastChild.addEventListener("error", done);
        })"""
    )
    assert page.evaluate("window.ran") is None
    page.close()
