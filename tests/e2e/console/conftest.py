"""The console over the deployment of the end-to-end tests, under its rights, and the machine's Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from ops import environment as environments
from ops.dev import browser as machine
from ops.local.deployment import shell_exports
from ops.web import server, site
from tests.e2e.console.opened import Opened
from tests.e2e.pipeline import Pipeline

DESKTOP = ViewportSize(width=1280, height=860)


@contextmanager
def serving(pipeline: Pipeline, *, allow_changes: bool) -> Iterator[str]:
    """Serve a console under the rights of the command alone; yield its address."""
    options = ["--allow-changes"] if allow_changes else []
    with pytest.MonkeyPatch.context() as patch:
        exports = shell_exports(pipeline.deployment) | pipeline.operators.variables(["console", *options])
        for name, value in exports.items():
            patch.setenv(name, value)
        # Stripe's key comes from the deployed secret.
        patch.delenv("STRIPE_SECRET_KEY", raising=False)
        opened = site.of(environments.connect("dev"), allow_changes=allow_changes)
        with server.serving(opened) as url:
            yield url


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """The machine's browser, or a skip that says how to get one."""
    path = machine.find()
    if path is None:
        pytest.skip(machine.MISSING)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(path), args=machine.arguments())
        yield started
        started.close()


@pytest.fixture(scope="module")
def opened(pipeline: Pipeline, chromium: Browser) -> Iterator[Opened]:
    """A console that allows changes, opened in a browser of its own profile."""
    with serving(pipeline, allow_changes=True) as url:
        context = chromium.new_context(viewport=DESKTOP)
        opened = Opened(url, context)
        opened.open()
        yield opened
        context.close()


# What the browser itself says of a page that does not exist.
NO_PAGE = "Failed to load resource: the server responded with a status of 404 (Not Found)"


@pytest.fixture
def page(opened: Opened) -> Iterator[Page]:
    """A page of the console; the test fails if its script did, or if it asked another host."""
    page = opened.context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    page.on("request", lambda sent: problems.append(sent.url) if not opened.is_own(sent.url) else None)
    yield page
    page.close()
    assert [each for each in problems if each != NO_PAGE] == []
