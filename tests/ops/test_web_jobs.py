"""Jobs of the console: how they are stopped, also where nothing may be changed, and how they end."""

from __future__ import annotations

import threading
from typing import cast

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response

from ops.environment import Environment
from ops.errors import OperatorError
from ops.web import jobs, server
from ops.web.jobs import Job, Result
from ops.web.page import Page, get, site_of
from ops.web.site import Site

DEADLINE = 60.0


class _Named:
    name, region = "dev", "eu-west-1"


def _start(request: Request) -> Response:
    """Start a job that reads until somebody stops it."""

    def work(job: Job) -> Result:
        with job.watched().step("read") as step:
            for number in range(10**9):
                step.advance_to(number)
                job.stop.sleep(0.01)
        return Result([])

    site = site_of(request)
    return jobs.moved(jobs.of(site).start(site, "reading", "Read all", "/", work, ends_at_once=True))


PAGES = [Page("First", "/", _start, (get("/start", _start), *jobs.ROUTES))]


def test_a_read_only_console_stops_the_job_that_it_started() -> None:
    site = Site(cast("Environment", _Named()), {}, allow_changes=False, embedded=True)
    with server.serving(site, pages=PAGES) as url:
        base = url.partition("/?")[0]
        with httpx.Client(base_url=base, trust_env=False, timeout=DEADLINE) as browser:
            browser.get(url)
            where = browser.get("/start").headers["location"]
            assert "Stop after the current step" in browser.get(where).text
            assert (
                browser.post(f"{where}/stop", headers={"Origin": "https://evil.example"}).status_code == 403
            )
            assert browser.post(f"{where}/stop", headers={"Origin": base}).status_code == 303
            job = jobs.of(site).find(where.rpartition("/")[2])
            jobs.of(site).wait(job)
            assert "stopped: what was done before stays done" in browser.get(where).text
            assert jobs.of(site).unfinished() == []


def test_the_end_of_the_console_stops_a_job_and_says_what_it_did() -> None:
    site = Site(cast("Environment", _Named()), {}, allow_changes=True)
    begun = threading.Event()

    def work(job: Job) -> Result:
        begun.set()
        while not job.stop:
            job.stop.sleep(0.01)
        return Result([("applied", "2")], "1 message left in the queues", error="SQS refused")

    found = jobs.of(site)
    job = found.start(site, "redrive", "Redrive: all", "/", work)
    assert begun.wait(DEADLINE)
    assert found.unfinished() == [job]
    site.stopping.set()
    found.wait(job)
    assert job.ending == "Redrive: all: applied 2; 1 message left in the queues; SQS refused"


def test_a_job_that_fails_says_so_in_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(cast("Environment", _Named()), {}, allow_changes=True)

    def work(_job: Job) -> Result:
        raise OperatorError("AWS refused: log in again")

    monkeypatch.setattr(jobs, "REMEMBERED", 1)
    for _ in range(4):
        job = jobs.of(site).start(site, "redrive", "Redrive", "/", work)
        jobs.of(site).wait(job)
        assert job.ending == "Redrive: AWS refused: log in again"
