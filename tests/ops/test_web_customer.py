"""The page Customer: what it shows of the stories of a customer's events."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import cast

import httpx
import pytest

from ops.environment import Environment
from ops.story.story import Moment, Story
from ops.web import jobs, server
from ops.web.jobs import Job
from ops.web.page import Page
from ops.web.pages import customer
from ops.web.site import Site

DEADLINE = 60.0


class _Named:
    name, region = "dev", "eu-west-1"


def _story(event_id: str, at: float, sentence: str) -> Story:
    return Story(
        environment="dev",
        event_id=event_id,
        event_type="invoice.paid",
        object_id="in_1",
        customer_id="cus_1",
        created=at,
        outcome="applied",
        attempts=1,
        latency_ms=4000,
        why="the API applied it",
        moments=(Moment(at, "stripe", sentence), Moment(at + 60, "ledger", f"{sentence} and was stored")),
        calls=(),
        payload=None,
        revealed=False,
        unknown=("whether the archive holds it",),
    )


def test_moments_of_all_events_are_in_order_and_hostile_text_is_harmless(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stories = [_story("evt_1", 1000.0, "<script>first"), _story("evt_2", 1030.0, "second")]
    monkeypatch.setattr(customer, "_stories", lambda *_: stories)
    site = Site(cast("Environment", _Named()), {}, allow_changes=False, embedded=True)
    with (
        server.serving(site, pages=[customer.PAGE]) as url,
        httpx.Client(base_url=url.partition("/?")[0], trust_env=False) as browser,
    ):
        browser.get(url)
        page = browser.get("/customer", params={"id": "cus_1"}).text
        places = [
            page.find(each) for each in ("script&gt;first<", "second<", "first and was", "second and was")
        ]
        assert -1 < places[0] < places[1] < places[2] < places[3]
        assert "<script>first" not in page
        assert "whether the archive holds it" in page
        assert "is an event: open it in Events" in browser.get("/customer", params={"id": "evt_1"}).text
        assert "Enter the id of a customer." in browser.get("/customer").text


def test_a_long_search_shows_how_far_it_is_and_leads_to_what_it_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = threading.Event()

    def slowly(_site: Site, _customer: str, _first: datetime, _now: datetime, job: Job) -> list[Story]:
        with job.watched().step("read the ledger") as step:
            step.advance_to(1, 2)
            assert found.wait(DEADLINE)
        return [_story("evt_1", 1000.0, "first")]

    monkeypatch.setattr(customer, "_stories", slowly)
    monkeypatch.setattr(customer, "PATIENCE_SECONDS", 0)
    site = Site(cast("Environment", _Named()), {}, embedded=True)
    with (
        server.serving(site, pages=[customer.PAGE, Page("Jobs", "/", customer.show, jobs.ROUTES)]) as url,
        httpx.Client(base_url=url.partition("/?")[0], trust_env=False, timeout=DEADLINE) as browser,
    ):
        browser.get(url)
        where = browser.get("/customer", params={"id": "cus_1"}).headers["location"]
        assert "read the ledger: 1 of 2" in browser.get(where).text
        assert browser.get("/customer", params={"id": "cus_1"}).headers["location"] == where
        assert "wait until it has ended" in browser.get("/customer", params={"id": "cus_2"}).text
        found.set()
        assert jobs.of(site).wait(jobs.of(site).find(where.rpartition("/")[2]), DEADLINE)
        look = browser.get(where, headers={"HX-Request": "true"})
        address = browser.get(where).headers["location"]
        assert look.headers["HX-Redirect"] == address
        assert "evt_1" in browser.get(address).text
        found.clear()
        # The address of another search does not show what this one found.
        other = browser.get(address.replace("cus_1", "cus_3")).headers["location"]
        assert other != where
        found.set()
        assert jobs.of(site).wait(jobs.of(site).find(other.rpartition("/")[2]), DEADLINE)
        # The console keeps what the last search found, and searches again for an earlier one.
        assert 'class="outcome good">done' in browser.get(where).text
        found.clear()
        assert browser.get(address).headers["location"] not in (where, other)
        found.set()
