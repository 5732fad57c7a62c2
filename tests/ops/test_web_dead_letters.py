"""The page Dead-letter queues over real queues: what it shows, redrives, purges, refuses and records."""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from functions.dead_letters.queue import DeadLetterQueue
from functions.dead_letters.redrive import FAILED, RedriveResult
from functions.shared.errors import ConfigurationError
from ops import environment as environments
from ops.dlq import purge
from ops.dlq.drain import QueueCounts
from ops.dlq.queues import NamedQueue
from ops.dlq.redrive import Redriven, RedriveRun
from ops.errors import OperatorError
from ops.local.clients import Aws
from ops.local.services import REGION, isolated_environment, running_emulator
from ops.web import server
from ops.web.pages import dead_letters as dead_letters_page
from ops.web.site import Site
from tests.ops import dead_letters
from tests.ops.conftest import SOURCE
from tests.ops.dead_letters import PERSONAL, World
from tests.ops.ledgers import BUCKET

DEADLINE = 60.0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running_emulator(tmp_path_factory.mktemp("console-aws")) as url:
        world = dead_letters.make(Aws(url, REGION))
        world.aws.client("s3").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        yield world


@pytest.fixture
def queues(made: World) -> World:
    made.clear()
    return made


@pytest.fixture
def browser(
    queues: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[httpx.Client]:
    """A browser with a session; of a read-only console if the parameter says so."""
    monkeypatch.setattr("functions.dead_letters.queue.WAIT_SECONDS", 0)
    monkeypatch.setattr(purge, "FOLDER", tmp_path / "purged")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    variables = isolated_environment(tmp_path) | {
        "AWS_ENDPOINT_URL": queues.aws.url,
        "STRIPE_EVENT_SOURCE_NAME": SOURCE,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    allowed = getattr(request, "param", True)
    site = Site(environments.connect("dev"), {}, allow_changes=allowed, embedded=True)
    with (
        server.serving(site) as url,
        httpx.Client(
            base_url=url.partition("/?")[0], trust_env=False, follow_redirects=True, timeout=DEADLINE
        ) as client,
    ):
        client.get(url, follow_redirects=False)
        client.headers["Origin"] = url.partition("/?")[0]
        yield client


def shown(browser: httpx.Client, path: str = "/dead-letters") -> str:
    answer = browser.get(path)
    assert answer.status_code == 200
    return html.unescape(answer.text)


def fields(page: str, action: str) -> dict[str, str]:
    """The hidden fields of a form."""
    form = page.partition(f'action="{action}"')[2].partition("</form>")[0]
    return dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form))


def done(browser: httpx.Client, answer: httpx.Response) -> str:
    """The page of a job when it has ended."""
    assert answer.url.path.startswith("/jobs/"), answer.text
    deadline = time.monotonic() + DEADLINE
    while 'class="outcome waiting">runs' in (page := shown(browser, answer.url.path)):
        assert time.monotonic() < deadline, "the job does not end"
        time.sleep(0.05)
    return page


def records(queues: World) -> list[dict[str, Any]]:
    s3 = queues.aws.client("s3")
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET, Prefix="console/").get("Contents", [])]
    found = [json.loads(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()) for key in keys]
    for key in keys:
        s3.delete_object(Bucket=BUCKET, Key=key)
    return sorted(found, key=lambda each: str(each["at"]))


def test_messages_are_grouped_by_reason_and_stay_visible(queues: World, browser: httpx.Client) -> None:
    ids = [queues.failed(), queues.failed()]
    parked = queues.parked()
    page = shown(browser)
    assert "3 messages" in page
    assert page.count("the API answered 503</a>") == 1
    assert all(f"/events/{each}" in page for each in (*ids, parked))
    assert page.count("<rect") >= 2
    assert not any(value in page for value in PERSONAL[:3])
    assert queues.counts() == (3, 0)
    chosen = shown(browser, "/dead-letters?kind=transient")
    assert ("2 messages: transient" in chosen, f"/events/{parked}" in chosen) == (True, False)


def test_an_empty_page_says_so(browser: httpx.Client) -> None:
    assert "No message: every event was applied" in shown(browser)
    assert "No message matches." in shown(browser, "/dead-letters?kind=transient")
    assert "did you mean transient?" in shown(browser, "/dead-letters?kind=transients")


def test_a_redrive_sends_what_was_shown_and_is_recorded(queues: World, browser: httpx.Client) -> None:
    queues.failed()
    parked = queues.parked()
    page = shown(browser, "/dead-letters?kind=transient")
    form = fields(page, "/dead-letters/redrive")
    # It came after the page was shown.
    time.sleep(1.1)
    later = queues.failed()
    answer = browser.post("/dead-letters/redrive", data=form | {"reason": "the API is back"})
    ended = done(browser, answer)
    assert ">applied by the API</td><td>1</td>" in ended
    left = shown(browser)
    assert (f"/events/{parked}" in left, f"/events/{later}" in left, "2 messages" in left) == (True,) * 3
    (record,) = records(queues)
    assert (record["action"], record["reason"]) == ("redrive", "the API is back")
    assert record["details"]["kind"] == "transient"


def test_a_redrive_stops_after_the_current_event(
    queues: World, browser: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(4):
        queues.failed()
    sent: list[str] = []
    jobs_page: list[str] = []

    def stopped(_self: object, message: Any) -> RedriveResult:
        sent.append(message.event_id)
        browser.post(f"{jobs_page[0]}/stop") if jobs_page else time.sleep(1)
        return RedriveResult("applied")

    monkeypatch.setattr("functions.dead_letters.redrive.HandlerTarget.send", stopped)
    form = fields(shown(browser), "/dead-letters/redrive")
    answer = browser.post("/dead-letters/redrive", data=form | {"reason": "test"})
    jobs_page.append(answer.url.path)
    ended = done(browser, answer)
    assert ">stopped</span>" in ended
    assert 1 <= len(sent) < 4
    assert queues.counts() == (4 - len(sent), 0)
    records(queues)


def test_a_purge_writes_deletes_and_leaves_unknown_outcomes(
    queues: World, browser: httpx.Client, tmp_path: Path
) -> None:
    parked = queues.parked()
    unknown = queues.failed()
    form = fields(shown(browser), "/dead-letters/purge")
    ended = done(browser, browser.post("/dead-letters/purge", data=form | {"reason": "wrong currency"}))
    assert ">deleted</td><td>1</td>" in ended
    assert "1 message of unknown outcome left alone" in ended
    (file,) = (tmp_path / "purged").iterdir()
    assert [json.loads(line)["event_id"] for line in file.read_text().splitlines()] == [parked]
    assert f"/events/{unknown}" in shown(browser)
    assert [each["action"] for each in records(queues)] == ["purge"]


def test_a_purge_that_aws_ends_says_what_it_did_and_where_its_file_is(
    queues: World, browser: httpx.Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    queues.parked()
    queues.parked()
    delete = DeadLetterQueue.delete
    deleted: list[Any] = []

    def fails_later(self: DeadLetterQueue, message: Any) -> None:
        if deleted:
            raise ConfigurationError("SQS refused")
        deleted.append(message)
        delete(self, message)

    monkeypatch.setattr(DeadLetterQueue, "delete", fails_later)
    form = fields(shown(browser), "/dead-letters/purge")
    ended = done(browser, browser.post("/dead-letters/purge", data=form | {"reason": "test"}))
    (file,) = (tmp_path / "purged").iterdir()
    assert ">deleted</td><td>1</td>" in ended
    assert str(file) in ended
    assert "1 message in the file and still in the queues" in ended
    assert re.search('note bad">[^<]*SQS refused', ended)
    assert ">done</span>" not in ended
    records(queues)


def test_nothing_changes_without_a_reason_or_with_another_form(queues: World, browser: httpx.Client) -> None:
    queues.failed()
    form = fields(shown(browser), "/dead-letters/redrive")
    assert "the reason is missing" in browser.post("/dead-letters/redrive", data=form).text
    long = form | {"reason": "x" * 201}
    assert "the reason is too long" in browser.post("/dead-letters/redrive", data=long).text
    wrong = form | {"before": "9999999999", "reason": "test"}
    assert "open Dead-letter queues again" in browser.post("/dead-letters/redrive", data=wrong).text
    assert (queues.counts(), records(queues)) == ((1, 0), [])


@pytest.mark.parametrize("browser", [False], indirect=True)
def test_a_read_only_console_offers_and_does_nothing(queues: World, browser: httpx.Client) -> None:
    queues.failed()
    page = shown(browser)
    assert "start the console with --allow-changes" in page
    assert "<form" not in page
    answer = browser.post("/dead-letters/purge", data={"before": "1", "reason": "test"})
    assert "this console is read-only" in answer.text
    assert (queues.counts(), records(queues)) == ((1, 0), [])


def test_one_event_is_redriven_from_its_page(queues: World, browser: httpx.Client) -> None:
    chosen, other = queues.failed(), queues.failed()
    form = {"event": chosen, "before": str(time.time()), "reason": "the API is right"}
    answer = browser.post("/dead-letters/redrive", data=form)
    ended = done(browser, answer)
    assert ">applied by the API</td><td>1</td>" in ended
    assert f'<a href="/events/{chosen}">Back</a>' in ended
    left = shown(browser)
    assert (f"/events/{chosen}" in left, f"/events/{other}" in left) == (False, True)
    assert records(queues)[0]["details"]["event"] == chosen
    assert "no message was seen" in done(browser, browser.post("/dead-letters/redrive", data=form))
    wrong = browser.post("/dead-letters/redrive", data=form | {"event": "evt/../x"})
    assert "expected an event id" in html.unescape(wrong.text)


@pytest.mark.parametrize(
    ("results", "stopped", "expected"),
    [
        ([RedriveResult("applied")], "", ([("applied by the API", "1")], "", "")),
        ([], "", ([("messages", "none")], "no message was seen: others hold it, or it is gone", "")),
        (
            [RedriveResult(FAILED, "transient", "the function is throttled")],
            "",
            (
                [("still in its queue", "1"), ("failed in payments-dlq", "1: the function is throttled")],
                "1 message left in the queues",
                "",
            ),
        ),
        (
            [RedriveResult("applied"), RedriveResult("parked")],
            "",
            (
                [("applied by the API", "1"), ("refused again; a new message holds the reason", "1")],
                "1 message left in the queues",
                "",
            ),
        ),
        ([RedriveResult("applied")], "SQS refused", ([("applied by the API", "1")], "", "SQS refused")),
    ],
)
def test_a_redrive_says_what_is_left(
    results: list[RedriveResult], stopped: str, expected: tuple[object, str, str]
) -> None:
    queue = NamedQueue("payments-dlq", cast("Any", None))
    run = RedriveRun(
        QueueCounts({}),
        [Redriven(cast("Any", None), queue, result) for result in results],
        stopped=OperatorError(stopped) if stopped else None,
    )
    result = dead_letters_page._redriven(run)
    assert (result.facts, result.left, result.error) == expected
