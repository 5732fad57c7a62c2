"""The console's list of events and its Send form: filters, pages, hostile content, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

import httpx
import pytest

from ops.environment import Environment
from ops.local.envelopes import sample
from ops.story.story import Moment, Story
from ops.web import server, tree
from ops.web.pages import event, events, send
from ops.web.site import Site
from tests.unit.event_lists import BASE_MS, World, end, paid

HOSTILE = "<script>alert(1)</script>\x1b[31m\u202eevil"


class _Settings:
    livemode = False


class _Environment(World):
    """An environment of which only logs and ledger answer."""

    region = "eu-west-1"
    bus = "aws.partner/stripe.com/ed_test"
    settings = _Settings()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> _Environment:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    return _Environment()


@pytest.fixture(params=[False])
def browser(world: _Environment, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """A client that has opened a console; the parameter is whether it allows changes."""
    first = datetime.fromtimestamp(BASE_MS / 1000, UTC)
    site = Site(cast("Environment", world), {}, request.param, embedded=True, since=first)
    with server.serving(site, pages=[events.PAGE, send.PAGE]) as url:
        base = url.partition("/?")[0]
        with httpx.Client(base_url=base, trust_env=False, headers={"Origin": base}) as client:
            assert client.get(url).status_code == 303
            yield client


def rows(page: httpx.Response) -> int:
    assert page.status_code == 200
    return page.text.count("<tr>") - page.text.count("<thead><tr>")


def test_list_says_what_to_do_while_it_is_empty(browser: httpx.Client) -> None:
    page = browser.get("/events")
    assert "No event since" in page.text
    assert "<code>huntaze-stripe send invoice.paid</code>" in page.text


def test_list_shows_filters_and_links_its_events(world: _Environment, browser: httpx.Client) -> None:
    for number in range(3):
        world.log(number, **end(event_id=f"evt_{number}"))
        world.audit(number, paid(f"evt_{number}"), key=f"{number:032x}")
    world.log(9, message="event parked", event_id="evt_0", event_type="charge.failed", reason="refused")
    page = browser.get("/events")
    assert rows(page) == 3
    assert 'href="/events/evt_2"' in page.text
    assert rows(browser.get("/events", params={"q": "EVT_1"})) == 1
    assert rows(browser.get("/events", params={"customer": paid()["data"]["object"]["customer"]})) == 3
    assert rows(browser.get("/events", params={"handler": "payments"})) == 3
    nothing = browser.get("/events", params={"outcome": "stale"})
    assert "No event matches." in nothing.text
    part = browser.get("/events", headers={"HX-Request": "true"})
    assert part.text.lstrip().startswith("<section")


def test_event_that_is_not_applied_has_its_reason_beside_it(
    world: _Environment, browser: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.web.site.LIVE_SECONDS", 0.0)
    failed = {"message": "event failed", "event_id": "evt_1", "event_type": "invoice.paid"}
    world.log(1, **failed, reason="the API answered <503>")
    assert "the API answered &lt;503&gt;" in browser.get("/events").text
    world.log(2, **end(event_id="evt_1"))
    assert "the API answered" not in browser.get("/events").text


def test_pages_of_a_long_list_keep_the_filter(world: _Environment, browser: httpx.Client) -> None:
    for number in range(60):
        world.log(number, **end(event_id=f"evt_{number:02}"))
    first = browser.get("/events", params={"outcome": "applied"})
    assert rows(first) == 50
    assert 'href="/events?outcome=applied&amp;page=2"' in first.text
    second = browser.get("/events?outcome=applied&page=2")
    assert rows(second) == 10
    assert 'href="/events?outcome=applied"' in second.text
    assert rows(browser.get("/events?page=nonsense")) == 50


def test_hostile_type_and_search_are_shown_as_text(world: _Environment, browser: httpx.Client) -> None:
    hostile = sample("payout.paid")["detail"] | {"id": "evt_1", "type": HOSTILE}
    world.audit(1, hostile)
    page = browser.get("/events", params={"q": "<script>"})
    assert rows(page) == 1
    assert "&lt;script&gt;alert(1)" in page.text
    for forbidden in ("<script>alert", "\x1b", "\u202e"):
        assert forbidden not in page.text


def test_address_without_an_id_is_refused_calmly(browser: httpx.Client) -> None:
    page = browser.get("/events/evt%20x")
    assert page.status_code == 200
    assert "is not the id of an event: choose one in Events" in page.text


def test_address_that_a_form_leaves_in_the_browser_leads_to_the_event(browser: httpx.Client) -> None:
    answer = browser.get("/events/evt_1/reveal")
    assert (answer.status_code, answer.headers["location"]) == (303, "/events/evt_1")
    assert "is not the id of an event" in browser.get("/events/..%5Cx/reveal").text


@pytest.mark.parametrize("browser", [True], indirect=True)
def test_last_look_at_a_live_event_brings_what_can_be_done_now(
    browser: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = "waiting"
    parked = Moment(1.0, "queue", "it enters the queue", {})

    def known(_request: object, *, reveal: bool) -> Story:
        moments = (parked,) if outcome == "parked" else ()
        return Story(
            *("dev", "evt_1", "invoice.paid", None, None, 1.0, outcome, 1, None, "it is so", moments, ()),
            *({"id": "evt_1"}, reveal, ()),
        )

    monkeypatch.setattr(event, "_story", known)
    look = {"HX-Request": "true"}
    assert "Redrive this event" not in browser.get("/events/evt_1").text
    assert 'id="act"' not in browser.get("/events/evt_1", headers=look).text
    outcome = "parked"
    part = browser.get("/events/evt_1", headers=look).text
    assert 'id="act" hx-swap-oob="true"' in part
    assert "Redrive this event" in part
    whole = browser.get("/events/evt_1").text
    assert (whole.count('id="act"'), "hx-swap-oob" in whole) == (1, False)


@pytest.mark.parametrize("path", ["/events/evt_1/reveal", "/send"])
def test_read_only_console_changes_and_reveals_nothing(browser: httpx.Client, path: str) -> None:
    answer = browser.post(path, data={"reason": "because", "event": "{}"})
    assert "this console is read-only" in answer.text


def test_form_shows_the_sample_that_was_chosen(browser: httpx.Client) -> None:
    page = browser.get("/send", params={"type": "invoice.paid"})
    assert sample("invoice.paid")["detail"]["id"] in page.text
    assert "This console is read-only" in page.text


@pytest.mark.parametrize("browser", [True], indirect=True)
def test_event_that_is_not_one_comes_back_with_what_is_wrong(browser: httpx.Client) -> None:
    form = {"event": '{"a": "</textarea><script>"}', "type": "invoice.paid"}
    assert "the reason is missing: say in a few words why" in browser.post("/send", data=form).text
    answer = browser.post("/send", data=form | {"reason": '"><b>a test'})
    assert "the event: this is not an event: detail is missing" in answer.text
    assert 'value="&#34;&gt;&lt;b&gt;a test"' in answer.text
    assert "&lt;/textarea&gt;&lt;script&gt;" in answer.text


def test_tree_of_a_hostile_document_is_bounded() -> None:
    deep: Any = "end"
    for _ in range(90):
        deep = {"below": deep}
    wide = {f"key{number}": number for number in range(10_000)}
    made = tree.of({"long": "x" * 900_000, "deep": deep, "wide": wide})

    def count(node: tree.Node) -> int:
        return 1 + sum(map(count, node.children))

    assert count(made) <= tree.MOST_NODES + 3
    assert made.children[0].cut == f"{900_000 - tree.LONGEST_TEXT:,} more characters"
    assert len(made.children[0].text) == tree.LONGEST_TEXT
    (named,) = tree.of({"k" * 900_000: 1}).children
    assert len(named.name) == tree.LONGEST_NAME + 1
    assert "more not shown here" in made.children[2].cut
