"""The console that a kept run starts, in a process of its own."""

from __future__ import annotations

import httpx

from ops.local.deployment import shell_exports
from ops.local.web import NAME, running_console
from tests.e2e.pipeline import Pipeline


def test_a_kept_run_serves_a_console_and_ends_it(pipeline: Pipeline) -> None:
    services = pipeline.deployment.services
    with running_console(services, shell_exports(pipeline.deployment)) as url:
        assert NAME.removeprefix("the ") in services.watch.processes()
        with httpx.Client(trust_env=False, follow_redirects=True) as client:
            page = client.get(url)
        assert page.status_code == 200
        assert "changes allowed" in page.text
    assert NAME.removeprefix("the ") not in services.watch.processes()
