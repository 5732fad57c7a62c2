"""The pages that change something, over the deployment and with the rights of the console alone."""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from functions.shared import names
from ops.reference.stripe import ReferenceStripe
from tests.e2e.console.conftest import serving
from tests.e2e.pipeline import DEADLINE_SECONDS, Pipeline, fresh, sample, second, wait_for

DLQ = "huntaze-stripe-payments-dlq-dev"
CUSTOMER = "cus_e2eConsole"


@pytest.fixture
def browser(
    pipeline: Pipeline, stripe: ReferenceStripe, monkeypatch: pytest.MonkeyPatch, working_api: None
) -> Iterator[httpx.Client]:
    """A session of a console that allows changes."""
    monkeypatch.setattr("ops.replay.archive.LATENESS", timedelta(0))
    monkeypatch.setattr("ops.reconciliation.GRACE", timedelta(0))
    with serving(pipeline, allow_changes=True) as url:
        monkeypatch.setenv("STRIPE_API_URL", stripe.url)
        base = url.partition("/?")[0]
        with httpx.Client(
            base_url=base, trust_env=False, follow_redirects=True, timeout=DEADLINE_SECONDS
        ) as client:
            client.get(url, follow_redirects=False)
            client.headers["Origin"] = base
            yield client


def shown(browser: httpx.Client, path: str, **parameters: Any) -> str:
    answer = browser.get(path, params=parameters)
    assert answer.status_code == 200
    return html.unescape(answer.text)


def fields(page: str, action: str) -> dict[str, str]:
    """The hidden fields of a form."""
    form = page.partition(f'action="{action}"')[2].partition("</form>")[0]
    assert form, page
    return dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form))


def done(browser: httpx.Client, answer: httpx.Response) -> str:
    """The page of a job that has ended well."""
    assert answer.url.path.startswith("/jobs/"), answer.text
    deadline = time.monotonic() + DEADLINE_SECONDS
    while 'class="outcome waiting">runs' in (page := shown(browser, answer.url.path)):
        assert time.monotonic() < deadline, "the job does not end"
        time.sleep(0.1)
    assert "note bad" not in page, page
    return page


def found(browser: httpx.Client, customer: str) -> str:
    """What the page Customer shows, after the page of its job if that takes longer."""
    answer = browser.get("/customer", params={"id": customer, "since": "1h"})
    deadline = time.monotonic() + DEADLINE_SECONDS
    while answer.url.path != "/customer":
        assert time.monotonic() < deadline, "the job does not end"
        time.sleep(0.1)
        answer = browser.get(answer.url.path)
    return html.unescape(answer.text)


def records(pipeline: Pipeline, prefix: str) -> list[dict[str, Any]]:
    s3 = pipeline.deployment.services.aws.client("s3")
    bucket = pipeline.deployment.outputs.ledger_bucket
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])]
    return [json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in keys]


def test_a_dead_letter_is_redriven_and_another_one_purged(
    pipeline: Pipeline, browser: httpx.Client, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.dlq.purge.FOLDER", tmp_path)
    pipeline.messages(DLQ)
    wrong = fresh(sample("current", "payment_intent.succeeded"), "evt_e2eConsoleWrong")
    pipeline.fail(idempotency_key="evt_e2eConsoleWrong", status=422)
    pipeline.drive(wrong)
    form = fields(shown(browser, "/dead-letters"), "/dead-letters/redrive")
    pipeline.clear_faults()
    page = done(browser, browser.post("/dead-letters/redrive", data=form | {"reason": "the API is right"}))
    assert ">applied by the API</td><td>1</td>" in page
    assert "No message: every event was applied" in shown(browser, "/dead-letters")

    pipeline.fail(idempotency_key="evt_e2eConsolePurged", status=422)
    pipeline.drive(fresh(sample("current", "payment_intent.succeeded"), "evt_e2eConsolePurged"))
    form = fields(shown(browser, "/dead-letters"), "/dead-letters/purge")
    page = done(browser, browser.post("/dead-letters/purge", data=form | {"reason": "a test"}))
    assert ">deleted</td><td>1</td>" in page
    actions = [each["action"] for each in records(pipeline, "console/")]
    assert {"redrive", "purge"} <= set(actions)


def test_a_forced_replay_is_forecast_started_and_written_down(
    pipeline: Pipeline, browser: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    since = second()
    event_id = "evt_e2eConsoleReplay"
    pipeline.drive(fresh(sample("current", "payment_intent.succeeded"), event_id))
    window = {"since": since, "until": second(), "rule": "payments"}
    answer = browser.get("/replays/forecast", params=window | {"force": "yes"})
    page = done(browser, answer)
    assert "1, which would be applied AGAIN" in page
    form = fields(page, "/replays/start")
    assert "the reason is missing" in browser.post("/replays/start", data=form).text
    page = done(browser, browser.post("/replays/start", data=form | {"reason": "a console test"}))
    (name,) = re.findall(r"<td>(forced-replay-dev-[0-9TZ]+)</td>", page)
    wait_for(lambda: pipeline.outcomes(event_id) == ["applied", "applied"], "the replay")
    assert [each["reason"] for each in records(pipeline, names.REPLAYS_PREFIX) if each["replay"] == name] == [
        "a console test"
    ]
    assert name in shown(browser, "/replays")
    # No replay of one event runs for long: AWS itself refuses to cancel it.
    monkeypatch.setattr("ops.replay.replays.RUNNING", ("COMPLETED",))
    ended = browser.post("/replays/cancel", data={"name": name, "reason": "a test"})
    assert "AWS refused to cancel the replay" in ended.text


def test_an_event_that_never_arrived_is_found_and_sent(
    pipeline: Pipeline, browser: httpx.Client, stripe: ReferenceStripe
) -> None:
    event_id = "evt_e2eConsoleMissing"
    missing = fresh(sample("current", "payment_intent.succeeded"), event_id)["detail"]
    missing["created"] = int(time.time()) - 900
    stripe.add_events(missing)
    window = {"since": "20m", "until": "10m"}
    page = done(browser, browser.get("/reconciliation/compare", params=window))
    assert event_id in page
    form = fields(page, "/reconciliation/heal") | {"reason": "it never arrived"}
    assert "sent</td>" in done(browser, browser.post("/reconciliation/heal", data=form))
    wait_for(lambda: pipeline.outcomes(event_id) == ["applied"], "the heal")


def test_everything_about_a_customer_is_in_order(pipeline: Pipeline, browser: httpx.Client) -> None:
    first = fresh(sample("current", "customer.created"), "evt_e2eConsoleCustomer")
    first["detail"]["data"]["object"]["id"] = CUSTOMER
    paid = fresh(sample("current", "payment_intent.succeeded"), "evt_e2eConsolePaid")
    paid["detail"]["data"]["object"]["customer"] = CUSTOMER
    pipeline.drive(first)
    pipeline.drive(paid)
    page = found(browser, CUSTOMER)
    assert -1 < page.find("evt_e2eConsoleCustomer") < page.find("evt_e2eConsolePaid")
    assert "The ledger has no event about cus_Nobody" in found(browser, "cus_Nobody")
