"""The list of events, one event's page, and Send, in a browser: from the first page to a redriven event."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from ops import environment as environments
from ops.local import drive
from ops.local.deployment import EVENT_SOURCE, shell_exports
from ops.web import server, site
from tests.e2e.console.conftest import DESKTOP
from tests.e2e.console.opened import Opened
from tests.e2e.pipeline import Pipeline, fresh, sample, target_gone, wait_for

HOSTILE = "<script>document.title='owned'</script><img src=x onerror=alert(1)>\x1b[31m\u202egnp.exe"
LONG = 900 * 1024


@pytest.fixture(autouse=True)
def working_again(pipeline: Pipeline) -> Iterator[None]:
    """Remove faults, and whatever a test left in the queues of the handlers."""
    yield
    pipeline.clear_faults()
    for handler in ("payments", "billing"):
        pipeline.messages(f"huntaze-stripe-{handler}-dlq-dev")


def test_newcomer_finds_a_parked_event_and_redrives_it(
    page: Page, opened: Opened, pipeline: Pipeline
) -> None:
    pipeline.fail(event_type="charge.failed", status=422, body='{"code": "event_rejected"}', times=1)
    pipeline.drive(fresh(sample("current", "charge.failed"), "evt_ConsoleRedrive"))
    page.goto(opened.base)
    page.get_by_role("link", name="Events", exact=True).click()
    page.get_by_label("Outcome").select_option("parked")
    page.get_by_role("button", name="Filter").click()
    page.locator("#event-evt_ConsoleRedrive").click()
    expect(page.locator(".why")).to_contain_text("The API answered 422 (event_rejected): no retry can help")
    page.locator("#link-act").click()
    page.locator("form[action$=redrive] input[name=reason]").fill("the API is corrected")
    page.get_by_role("button", name="Redrive this event").click()
    expect(page.locator("#job tbody tr")).to_have_text("applied by the API1")
    page.get_by_role("link", name="Back").click()
    expect(page.locator(".why .outcome")).to_have_text("applied")
    assert len(pipeline.requests("evt_ConsoleRedrive")) == 2


def test_event_that_the_audit_missed_is_redriven_to_the_ledger(
    page: Page, opened: Opened, pipeline: Pipeline
) -> None:
    envelope = fresh(sample("current", "charge.succeeded"), "evt_ConsoleAudit")
    with target_gone(pipeline, "huntaze-stripe-audit-payments-dev"):
        drive.send(pipeline.deployment.services.aws, EVENT_SOURCE, [envelope])
        wait_for(
            lambda: pipeline.observer.queue_depths()["huntaze-stripe-audit-payments-dlq-dev"] == 1,
            "the event is in the audit's dead-letter queue",
        )
    page.goto(f"{opened.base}/events/evt_ConsoleAudit")
    page.locator("form[action$=redrive] input[name=reason]").fill("the rule is corrected")
    page.get_by_role("button", name="Redrive this event").click()
    expect(page.locator("#job tbody tr")).to_have_text("sent to the audit queue1")
    wait_for(lambda: pipeline.observer.look().ledger.get("evt_ConsoleAudit") == 1, "the ledger has the event")


def test_list_shows_a_new_event_without_a_reload(page: Page, opened: Opened, pipeline: Pipeline) -> None:
    page.goto(f"{opened.base}/events?q=ConsoleLive")
    expect(page.locator("#events")).to_contain_text("No event matches.")
    pipeline.drive(fresh(sample("current", "customer.created"), "evt_ConsoleLive"))
    expect(page.locator("#event-evt_ConsoleLive")).to_be_visible(timeout=20_000)
    expect(page.locator("#events .outcome")).to_have_text("applied")


def test_personal_data_is_masked_until_somebody_says_why(
    page: Page, opened: Opened, pipeline: Pipeline
) -> None:
    envelope = fresh(sample("current", "customer.created"), "evt_ConsoleReveal")
    pipeline.drive(envelope)
    email = envelope["detail"]["data"]["object"]["email"]
    page.goto(f"{opened.base}/events/evt_ConsoleReveal")
    assert email not in page.content()
    page.get_by_text("Reveal personal data").click()
    page.locator("form[action$=reveal] input[name=reason]").fill("a question of support")
    page.get_by_role("button", name="Reveal", exact=True).click()
    expect(page.get_by_text(email).first).to_be_attached()
    s3 = pipeline.deployment.services.aws.client("s3")
    bucket = pipeline.deployment.outputs.ledger_bucket
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket, Prefix="console/")["Contents"]]
    record = json.loads(
        s3.get_object(Bucket=bucket, Key=max(k for k in keys if "reveal" in k))["Body"].read()
    )
    assert (record["reason"], record["details"]) == (
        "a question of support",
        {"event_id": "evt_ConsoleReveal"},
    )


def test_hostile_event_is_shown_harmlessly(page: Page, opened: Opened, pipeline: Pipeline) -> None:
    envelope = fresh(sample("current", "customer.created"), "evt_ConsoleHostile")
    stripe_object = envelope["detail"]["data"]["object"]
    stripe_object["name"] = HOSTILE
    stripe_object["metadata"] = {HOSTILE: HOSTILE}
    stripe_object["description"] = "x" * LONG
    pipeline.drive(envelope)
    page.goto(f"{opened.base}/events/evt_ConsoleHostile")
    page.get_by_text("Reveal personal data").click()
    page.locator("form[action$=reveal] input[name=reason]").fill("look at it")
    page.get_by_role("button", name="Reveal", exact=True).click()
    expect(page.get_by_text("Personal data is shown")).to_be_visible()
    assert "owned" not in page.title()
    assert page.locator("main img, main script").count() == 0
    content = page.content()
    assert "\x1b" not in content
    assert "\u202e" not in content
    assert len(content) < LONG, "a long text is cut"
    assert page.evaluate("document.documentElement.scrollWidth") <= DESKTOP["width"]


def test_keyboard_alone_opens_an_event(page: Page, opened: Opened, pipeline: Pipeline) -> None:
    pipeline.drive(fresh(sample("current", "invoice.paid"), "evt_ConsoleKeys"))
    page.goto(f"{opened.base}/events")
    page.locator("#q").focus()
    page.keyboard.type("ConsoleKeys")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=ConsoleKeys**")
    page.locator("main").focus()
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "event-evt_ConsoleKeys":
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/events/evt_ConsoleKeys")
    expect(page.locator("h1")).to_have_text("invoice.paid")


def test_sent_event_walks_to_its_end(
    pipeline: Pipeline, chromium: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Only Stripe may publish, so no role of ours has the right; the exports of a run may do everything.
    for name, value in shell_exports(pipeline.deployment).items():
        monkeypatch.setenv(name, value)
    with server.serving(site.of(environments.connect("dev"), allow_changes=True)) as url:
        context = chromium.new_context(viewport=DESKTOP)
        page = context.new_page()
        page.goto(url)
        page.get_by_role("link", name="Send", exact=True).click()
        page.get_by_label("Sample").select_option("customer.updated")
        page.get_by_role("button", name="Use this sample").click()
        page.get_by_label("Why?").fill("to see it walk")
        page.get_by_role("button", name="Send", exact=True).click()
        page.wait_for_url("**/events/evt_*")
        expect(page.locator(".why .outcome")).to_have_text("applied", timeout=20_000)
        context.close()
