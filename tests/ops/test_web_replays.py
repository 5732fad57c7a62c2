"""A forced replay from the console begins after its forecast; a stop during the forecast starts none."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import httpx
import pytest

from ops.environment import Environment
from ops.web import jobs, record, server
from ops.web.jobs import Job
from ops.web.pages import replays
from ops.web.site import Site

DEADLINE = 60.0
BEGIN = datetime(2026, 11, 30, 12, tzinfo=UTC)
FORM = {
    "since": "2026-11-30T10:00Z",
    "until": "2026-11-30T11:00Z",
    "rules": "payments",
    "force": "yes",
    "reason": "a test",
}


class _Named:
    name, region = "dev", "eu-west-1"


class Forecasting:
    """A forecast that lasts until the test ends it, ten minutes of AWS's time; what is started is kept."""

    def __init__(self) -> None:
        self.begun, self.ends = threading.Event(), threading.Event()
        self.started: list[str] = []
        self.recorded: list[str] = []
        self.now = BEGIN

    def forecast(self, *_: Any) -> object:
        self.begun.set()
        assert self.ends.wait(DEADLINE)
        self.now += timedelta(minutes=10)
        return object()


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Forecasting:
    made = Forecasting()
    replay = type("Replay", (), {"state": "STARTING"})
    monkeypatch.setattr(replays, "_checked", lambda *_, **__: ([], None))
    monkeypatch.setattr(replays, "open_ledger", lambda *_: None)
    monkeypatch.setattr("ops.replay.forecast.forecast", made.forecast)
    monkeypatch.setattr("ops.replay.starting.time_at_aws", lambda _: made.now)
    monkeypatch.setattr("ops.replay.starting.start", lambda _env, name, *_: made.started.append(name))
    monkeypatch.setattr("ops.replay.record.write", lambda _env, name, **_: made.recorded.append(name))
    monkeypatch.setattr("ops.replay.replays.describe", lambda *_: replay)
    monkeypatch.setattr(
        record, "write", lambda _site, _action, *, details, **_: made.recorded.append(details["replay"])
    )
    return made


@pytest.fixture
def site() -> Site:
    return Site(cast("Environment", _Named()), {}, allow_changes=True, embedded=True)


@pytest.fixture
def browser(site: Site) -> Iterator[httpx.Client]:
    with server.serving(site, pages=[replays.PAGE]) as url:
        base = url.partition("/?")[0]
        with httpx.Client(base_url=base, trust_env=False, headers={"Origin": base}) as client:
            client.get(url)
            yield client


def begun(site: Site, browser: httpx.Client, slow: Forecasting) -> Job:
    answer = browser.post("/replays/start", data=FORM)
    assert answer.status_code == 303, answer.text
    assert slow.begun.wait(DEADLINE)
    return jobs.of(site).find(answer.headers["location"].rpartition("/")[2])


def test_forced_replay_has_the_time_of_its_start_in_its_name(
    site: Site, browser: httpx.Client, slow: Forecasting
) -> None:
    job = begun(site, browser, slow)
    slow.ends.set()
    jobs.of(site).wait(job)
    assert slow.started == ["forced-replay-dev-20261130T121000Z"]
    assert slow.recorded == slow.started * 2


@pytest.mark.parametrize("by", ["the page", "the end of the console"])
def test_stop_during_the_forecast_starts_and_records_nothing(
    site: Site, browser: httpx.Client, slow: Forecasting, by: str
) -> None:
    job = begun(site, browser, slow)
    if by == "the page":
        job.stop.ask()
    else:
        site.stopping.set()
    slow.ends.set()
    jobs.of(site).wait(job)
    assert (slow.started, slow.recorded) == ([], [])
    assert job.error.startswith("stopped")
