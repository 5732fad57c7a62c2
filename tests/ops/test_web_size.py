"""A page of the console over a hundred thousand rows of the ledger reads no object again."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from functions.ledger.keys import lower_bound
from ops import environment as environments
from ops.local.services import isolated_environment, running_emulator
from ops.web import server
from ops.web.pages import events
from ops.web.site import Site
from tests.ops import ledgers
from tests.ops.conftest import SOURCE

OBJECTS, EACH = 100, 1000
ROWS = OBJECTS * EACH
AGE = timedelta(minutes=1)
FUNCTIONS = ("payments", "billing", "audit")
# What a person opens, and how many rows that shows.
ADDRESSES = {
    "/events": 50,
    "/events?page=1000": 50,
    "/events?page=2000": 50,
    "/events?q=evt_size0999": 50,
    "/events?outcome=waiting": 50,
    "/events?customer=nobody": 0,
}


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """An environment whose ledger has that many rows."""
    folder = tmp_path_factory.mktemp("size-aws")
    with running_emulator(folder) as url:
        variables = {"AWS_ENDPOINT_URL": url, "STRIPE_EVENT_SOURCE_NAME": SOURCE}
        for name, value in (isolated_environment(folder) | variables).items():
            monkeypatch.setenv(name, value)
        bucket = ledgers.make(url)
        envelope = ledgers.delivery("payment_intent.succeeded")
        line, event_id = ledgers.record(envelope).line, envelope["detail"]["id"]
        for number in range(OBJECTS):
            # As the audit's objects, made of one line: parsing each of them took minutes.
            ids = range(number * EACH, (number + 1) * EACH)
            key = f"{lower_bound(ledgers.NOW - AGE)}-0-{number:032x}.jsonl.gz"
            bucket.put(key, [line.replace(event_id, f"evt_size{each:06}").encode() for each in ids])
        logs = bucket.aws.client("logs")
        for name in FUNCTIONS:
            logs.create_log_group(logGroupName=f"/aws/lambda/huntaze-stripe-{name}-dev")
        yield Site(environments.connect("dev"), {}, embedded=True)


@pytest.mark.timeout(600)
def test_a_page_of_a_hundred_thousand_rows_reads_no_object_again(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: Counter[str] = Counter()

    def count(model: object, **_: object) -> None:
        calls[getattr(model, "name", "")] += 1

    site.environment.client("s3").meta.events.register("before-call.s3", count)
    with (
        server.serving(site, pages=[events.PAGE]) as url,
        httpx.Client(trust_env=False, timeout=300) as client,
    ):
        base = url.partition("/?")[0]
        client.get(url)
        begun = time.perf_counter()
        assert f"{ROWS:,} events" in client.get(f"{base}/events").text
        took = {"first look": time.perf_counter() - begun}
        assert calls["GetObject"] == OBJECTS
        for address, rows in ADDRESSES.items():
            begun = time.perf_counter()
            page = client.get(base + address).text
            took[address] = time.perf_counter() - begun
            assert page.count("<tr>") - page.count("<thead><tr>") == rows, address
    assert calls["GetObject"] == OBJECTS
    with capsys.disabled():
        for name, seconds in took.items():
            sys.stdout.write(f"\n{name:<28} {seconds * 1000:8.0f} ms")
