"""Every page: accessible in light and dark, at 360 pixels, with the keyboard, and without JavaScript."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, ViewportSize, expect

from ops.web.navigation import PAGES as SHOWN
from tests.e2e.console.opened import Opened
from tests.e2e.pipeline import Pipeline, sample

# The address of each page; those of events and forms have ids.
PARKED = "/events/evt_3nGabHArExTd2cH0I5nAWdtW"
PAGES = (
    *("/", "/events", PARKED, "/dead-letters", "/replays", "/reconciliation", "/customer", "/send"),
    *("/health", "/runbooks/dlq-messages", "/nothing"),
)
# CloudWatch looks at periods of a minute.
ALARMED_MS = 60_000
NARROW = ViewportSize(width=360, height=740)
WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.fixture(scope="module", autouse=True)
def seeded(pipeline: Pipeline) -> None:
    """Have something to show: an applied event and a parked one."""
    refused = sample("refused", "payment_intent.succeeded--test-currency")
    pipeline.drive(sample("current", "invoice.paid"), refused)


def test_every_page_of_the_navigation_is_checked() -> None:
    assert {each.path for each in SHOWN} <= set(PAGES)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_accessible(page: Page, opened: Opened, path: str, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    _goto(page, opened, path)
    found = Axe().run(page, options=WCAG).response["violations"]
    assert [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found] == []


@pytest.mark.parametrize("path", PAGES)
def test_a_page_fits_360_pixels(page: Page, opened: Opened, path: str) -> None:
    page.set_viewport_size(NARROW)
    _goto(page, opened, path)
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_readable_without_javascript(opened: Opened, chromium: Browser, path: str) -> None:
    state = opened.context.storage_state()
    context = chromium.new_context(java_script_enabled=False, storage_state=state)
    page = context.new_page()
    page.goto(opened.base + path)
    assert page.locator("main h1").count() == 1
    assert page.locator("nav a").count() >= len(SHOWN)
    context.close()


def test_the_keyboard_reaches_content_navigation_and_counts(page: Page, opened: Opened) -> None:
    _goto(page, opened, "/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    box = page.locator(":focus").bounding_box()
    assert box is not None
    assert box["y"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    reached = []
    while True:
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            # Behind the last one.
            break
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", reached[-1]
    assert {"box-sqs-payments-dlq", "line-Stripe-in", "6h"} <= set(reached)


def test_a_live_part_is_renewed_and_keeps_the_focus(page: Page, opened: Opened, pipeline: Pipeline) -> None:
    _goto(page, opened, "/")
    page.locator("#line-Stripe-in").focus()
    before = _count(page)
    pipeline.drive(sample("current", "invoice.paid"))
    page.wait_for_function(
        "before => parseInt(document.querySelector('#line-Stripe-in').textContent) > before", arg=before
    )
    assert page.evaluate("document.activeElement.id") == "line-Stripe-in"
    assert page.locator("#live").text_content() == "live"


def test_flow_shows_what_the_metrics_count_and_lights_the_alarm_where_it_belongs(
    page: Page, opened: Opened
) -> None:
    _goto(page, opened, "/")
    assert _count(page) >= 2
    assert "alarm payments-dlq-messages is on" in str(
        page.locator("#box-sqs-payments-dlq").get_attribute("aria-label")
    )
    assert page.locator("#box-sqs-payments-dlq .bell").count() == 1
    assert page.locator("#box-sqs-billing-dlq .bell").count() == 0
    page.locator("#runbook-payments-dlq-messages").click()
    assert page.locator("main h1").text_content() == "dlq-messages: a dead-letter queue holds messages"


def test_health_shows_alarms_queues_costs_and_charts(page: Page, opened: Opened) -> None:
    _goto(page, opened, "/health")
    expect(page.get_by_role("link", name="Runbook").first).to_be_visible(timeout=ALARMED_MS)
    assert page.get_by_role("img", name="Events from Stripe").count() == 1
    text = page.locator("main").inner_text()
    assert "Cost so far this month" in text
    assert "payments-dlq" in text


def test_a_live_part_outlives_an_error_of_aws(page: Page, opened: Opened) -> None:
    _goto(page, opened, "/")

    def fail(route: Route) -> None:
        route.fulfill(
            status=200,
            headers={"HX-Retarget": "#problem", "HX-Reswap": "innerHTML"},
            body='<p class="note bad" role="alert">AWS does not answer: check the network</p>',
        )

    page.route("**/?window=1h", fail)
    expect(page.get_by_role("alert")).to_have_text("AWS does not answer: check the network")
    assert page.locator("#flow").count() == 1
    page.unroute("**/?window=1h")
    expect(page.get_by_role("alert")).to_have_count(0)


def _goto(page: Page, opened: Opened, path: str) -> None:
    page.goto(opened.base + path)
    page.wait_for_selector("#live.on", state="attached")


def _count(page: Page) -> int:
    return int(str(page.locator("#line-Stripe-in").text_content()).split()[0])
