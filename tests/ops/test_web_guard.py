"""The console answers the browser that opened the printed address, and nobody else."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import cast

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response

from ops import ROOT
from ops.environment import Environment
from ops.errors import OperatorError
from ops.web import server
from ops.web.guard import HEADERS
from ops.web.page import LARGEST_FORM, Page, get, post, problem, render
from ops.web.site import Site

STATIC = ROOT / "ops" / "web" / "static"
HOSTILE = "<script>alert(1)</script>\x1b[31m\u202eevil"


class _Named:
    name, region = "dev", "eu-west-1"


def _site(*, allow_changes: bool) -> Site:
    return Site(cast("Environment", _Named()), {}, allow_changes, embedded=True)


def _fails(_request: Request) -> Response:
    raise OperatorError(f"AWS refused {HOSTILE}: log in again")


def _asked(_request: Request) -> Response:
    raise OperatorError("invalid since 'x': expected a time", usage=True)


def _breaks(_request: Request) -> Response:
    raise ZeroDivisionError("a value of a customer")


def _shown(request: Request) -> Response:
    return problem(request, OperatorError("all is well"))


def _changed(request: Request) -> Response:
    return render(request, "_problem.html", text="changed")


PAGES = [
    Page(
        "First",
        "/",
        _shown,
        (
            post("/change", _changed),
            get("/fails", _fails),
            get("/asked", _asked),
            get("/breaks", _breaks),
        ),
    ),
    Page("Second", "/second", _shown),
]


@pytest.fixture(params=[True])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The printed address of a console with pages of our own."""
    with server.serving(_site(allow_changes=request.param), pages=PAGES) as printed:
        yield printed


@pytest.fixture
def browser(url: str) -> Iterator[httpx.Client]:
    """A client that has opened the address."""
    with httpx.Client(base_url=url.partition("/?")[0], trust_env=False, follow_redirects=True) as client:
        assert client.get(url).status_code == 200
        yield client


def base(url: str) -> str:
    return url.partition("/?")[0]


def test_the_printed_address_works_once(url: str) -> None:
    first = httpx.get(url, trust_env=False)
    assert (first.status_code, first.headers["location"]) == (303, "/")
    cookie = first.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    second = httpx.get(url, trust_env=False)
    assert second.status_code == 403
    assert "used already" in second.text
    assert "set-cookie" not in second.headers


def test_each_start_has_a_token_of_its_own() -> None:
    with server.serving(_site(allow_changes=False)) as one, server.serving(_site(allow_changes=False)) as two:
        assert one.partition("token=")[2] != two.partition("token=")[2]
        moved = f"{base(two)}/?token={one.partition('token=')[2]}"
        assert httpx.get(moved, trust_env=False).status_code == 403


@pytest.mark.parametrize("path", ["/", "/second", "/static/console.css", "/live", "/nothing"])
def test_without_a_session_nothing_is_shown(url: str, path: str) -> None:
    for headers in ({}, {"Cookie": "huntaze-console-1=x"}, {"Cookie": f"huntaze-console-{url[17:22]}=x"}):
        found = httpx.get(base(url) + path, headers=headers, trust_env=False)
        assert found.status_code == 401
        assert "Open the console by the address" in found.text


@pytest.mark.parametrize("host", ["evil.example", "localhost", "127.0.0.1", "127.0.0.1:1", "[::1]"])
def test_another_host_is_refused(browser: httpx.Client, host: str) -> None:
    assert browser.get("/", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_another_page_sends_is_refused(
    browser: httpx.Client, headers: dict[str, str], method: str
) -> None:
    assert browser.request(method, "/change", headers=headers).status_code == 403


def test_a_change_needs_an_origin_and_a_form_of_our_own_page_has_one(browser: httpx.Client) -> None:
    assert browser.post("/change").status_code == 403
    for headers in (
        {"Origin": base(str(browser.base_url)).rstrip("/")},
        {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
    ):
        assert "changed" in browser.post("/change", headers=headers, data={"a": "b"}).text


@pytest.mark.parametrize("url", [False], indirect=True)
def test_a_console_without_allow_changes_changes_nothing(browser: httpx.Client) -> None:
    answer = browser.post("/change", headers={"Origin": str(browser.base_url).rstrip("/")})
    assert "read-only: start it with --allow-changes" in answer.text
    assert "changed</p>" not in answer.text


def test_a_form_of_any_size_does_not_fill_the_memory(browser: httpx.Client) -> None:
    headers = {"Origin": str(browser.base_url).rstrip("/")}
    answer = browser.post("/change", headers=headers, content=b"a" * (LARGEST_FORM + 1))
    assert (answer.status_code, "too large" in answer.text) == (413, True)


@pytest.mark.parametrize("path", ["/", "/second", "/nothing", "/static/console.css", "/fails"])
def test_every_answer_has_the_headers_that_protect_it(browser: httpx.Client, path: str) -> None:
    headers = browser.get(path).headers
    assert {name: headers[name] for name in HEADERS} == dict(HEADERS)
    assert "server" not in headers


def test_an_error_is_one_calm_line_that_shows_hostile_text_as_it_reads(browser: httpx.Client) -> None:
    page = browser.get("/fails")
    assert page.status_code == 200
    assert "&lt;script&gt;alert(1)&lt;/script&gt;�[31m�evil: log in again" in page.text
    part = browser.get("/fails", headers={"HX-Request": "true"})
    assert part.text.startswith('<p class="note bad" role="alert">AWS refused')
    assert part.headers["HX-Retarget"] == "#problem"


def test_a_defect_shows_no_value_and_no_traceback(
    browser: httpx.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    page = browser.get("/breaks")
    assert page.status_code == 500
    assert "this page has a defect (ZeroDivisionError)" in page.text
    err = capsys.readouterr().err
    assert err == "console: /breaks has a defect: ZeroDivisionError\n"


def test_a_page_that_does_not_exist_is_said_and_the_navigation_stays(browser: httpx.Client) -> None:
    page = browser.get("/nothing")
    assert page.status_code == 404
    assert "the page /nothing does not exist" in page.text
    assert '<a href="/second">Second</a>' in page.text
    assert "aria-current" not in page.text
    assert "Try again" not in page.text
    assert '<a href="/second" aria-current="page">Second</a>' in browser.get("/second").text


def test_only_a_failure_of_others_can_be_tried_again(browser: httpx.Client) -> None:
    assert (
        '<a class="button" href="?q=a&amp;since=2h">Try again</a>' in browser.get("/fails?q=a&since=2h").text
    )
    assert "Try again" not in browser.get("/asked?since=x").text


def test_live_pages_look_again_and_the_end_of_the_console_ends_the_stream(url: str) -> None:
    with httpx.Client(trust_env=False, follow_redirects=True) as client:
        client.get(url)
        with client.stream("GET", f"{base(url)}/live") as stream:
            lines = stream.iter_lines()
            assert next(lines) == "event: look"


def test_a_port_in_use_is_named(url: str) -> None:
    port = int(base(url).rpartition(":")[2])
    with (
        pytest.raises(OperatorError, match=f"can't listen on --port {port}"),
        server.serving(_site(allow_changes=False), port),
    ):
        pass


def test_pages_load_nothing_from_elsewhere_and_hold_no_inline_script_or_style() -> None:
    templates = sorted((ROOT / "ops" / "web" / "templates").glob("*.html"))
    assert templates
    for file in templates:
        text = file.read_text(encoding="utf-8")
        assert not re.findall(r'(?:src|href|action)="(?:https?:)?//', text), file.name
        assert not re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:|\|safe", text), file.name
        assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", text)), file.name


def test_htmx_is_the_file_that_its_page_names() -> None:
    digest = hashlib.sha256((STATIC / "htmx.min.js").read_bytes()).hexdigest()
    assert digest in (STATIC / "README.md").read_text(encoding="utf-8")
    assert "Permission to use, copy, modify" in (STATIC / "htmx.LICENSE").read_text(encoding="utf-8")
