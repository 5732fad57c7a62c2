"""Events whose content is made to break a page are shown as they read, and do nothing."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

from tests.e2e.console.opened import Opened
from tests.e2e.pipeline import Pipeline, fresh, sample

HOSTILE = {
    "html": "<h1>owned</h1><img src=/x onerror='window.ran=1'>",
    "script": "</pre></script><script>window.ran=1</script>{{ 7*7 }}${7*7}",
    "attribute": '" onfocus=window.ran=1 autofocus x="\'><svg/onload=window.ran=1>',
    "ansi": "\x1b[31mred\x1b]8;;https://evil.example\x07link\x1b[2J\r\nSet-Cookie: a=b",
    "right": "\u202etxt.exe\u2066 \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
}
LARGE = "evt_e2eConsoleLarge"
KIBIBYTES = 900
NARROW = 360


def hostile(name: str, text: str) -> dict[str, Any]:
    envelope = fresh(sample("current", "customer.created"), f"evt_e2eConsole{name}")
    thing = envelope["detail"]["data"]["object"]
    thing |= {"description": text, "name": text, "metadata": {text: text}}
    return envelope


@pytest.fixture(scope="module", autouse=True)
def delivered(pipeline: Pipeline) -> None:
    """Deliver them all, and one of a hostile type and of nearly the largest size."""
    large = fresh(sample("current", "customer.created"), LARGE)
    large["detail"]["data"]["object"]["description"] = "\u05d0<b>" * (KIBIBYTES * 1024 // 5)
    typed = hostile("type", "x")
    typed["detail-type"] = typed["detail"]["type"] = "evil.<img src=/x onerror=window.ran=1>\u202e"
    pipeline.drive(*(hostile(name, text) for name, text in HOSTILE.items()), typed, large)


def shown(page: Page, opened: Opened, path: str) -> None:
    """Look at a page as whoever attacks it hopes that it is looked at."""
    page.goto(opened.base + path)
    page.wait_for_selector("#live.on", state="attached")
    assert page.evaluate("window.ran") is None
    assert page.locator("main img, main script, main iframe").count() == 0
    assert page.locator("h1").count() == 1
    text = page.content()
    assert "\u202e" not in text
    assert "\x1b" not in text
    page.set_viewport_size({"width": NARROW, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW


@pytest.mark.parametrize("path", ["/", "/events", "/events?q=%3Cscript%3Ewindow.ran%3D1%3C%2Fscript%3E"])
def test_lists_show_hostile_events_and_searches_as_they_read(page: Page, opened: Opened, path: str) -> None:
    shown(page, opened, path)


@pytest.mark.parametrize("name", [*HOSTILE, "type"])
def test_a_hostile_event_is_shown_and_does_nothing(page: Page, opened: Opened, name: str) -> None:
    shown(page, opened, f"/events/evt_e2eConsole{name}")


def test_hostile_content_that_is_revealed_is_still_text(page: Page, opened: Opened) -> None:
    for name in HOSTILE:
        page.goto(f"{opened.base}/events/evt_e2eConsole{name}")
        page.locator("summary", has_text="Reveal").click()
        page.locator("form[action$=reveal] input[name=reason]").fill("a test")
        page.locator("form[action$=reveal] button").click()
        page.wait_for_selector("text=Personal data is shown")
        assert page.evaluate("window.ran") is None
        assert page.locator("main img, main script").count() == 0


def test_an_event_of_900_kibibytes_is_shown_in_part(page: Page, opened: Opened) -> None:
    shown(page, opened, f"/events/{LARGE}")
    # The browser gets a page, not the event.
    assert len(page.content()) < KIBIBYTES * 1024 / 2
