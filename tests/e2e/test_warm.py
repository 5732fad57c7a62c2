"""A saved deploy is restored with everything that can be on: functions, mappings, schedules, key, archive.

It needs the ports of the servers that made it, so it comes last: see `conftest.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rich.console import Console

from ops.local import variants
from ops.local.deployment import Deployment
from ops.local.envelopes import default_set
from ops.local.folder import run_folder
from ops.local.observer import Observer
from ops.local.report import LocalReport
from ops.local.run import drive_events
from ops.local.start import Wanted, deployed
from ops.progress import Steps
from tests.e2e.pipeline import Pipeline


@pytest.fixture(scope="module")
def restored(pipeline: Pipeline) -> Iterator[Deployment]:
    """The deploy of the pipeline, restored after its servers have ended."""
    pipeline.stop()
    wanted = Wanted(variants.ALL, with_stripe=True)
    with run_folder() as folder, deployed(folder, wanted, steps(), pipeline.saves) as deployment:
        yield deployment


def steps() -> Steps:
    return Steps(Console(quiet=True))


@pytest.fixture(scope="module")
def report(restored: Deployment) -> LocalReport:
    return drive_events(restored, default_set(), steps())


def test_the_deploy_was_restored_and_its_plan_has_no_changes(
    pipeline: Pipeline, restored: Deployment
) -> None:
    assert not pipeline.deployment.facts.warm
    assert restored.facts.warm
    assert restored.facts.second_plan_changes == 0
    assert restored.facts.resources == pipeline.deployment.facts.resources > 100
    assert restored.services.ports() == pipeline.deployment.services.ports()
    assert restored.services.folder != pipeline.deployment.services.folder


def test_every_event_is_accounted_for_and_no_call_is_refused(report: LocalReport) -> None:
    assert report.passed, report.verdict()
    totals = report.totals()
    assert totals["sent"] == totals["audited"] == len(default_set())
    assert totals["applied"] > 0
    assert totals["parked"] == 1


def test_nothing_of_earlier_runs_is_left(restored: Deployment, report: LocalReport) -> None:
    expected = {sample.envelope["detail"]["id"] for sample in default_set()}
    assert {row.sent.event_id for row in report.rows} == expected
    seen = Observer(restored.services, restored.outputs, since=0).look()
    assert seen.ledger.keys() == expected
    assert {one.event_id for one in seen.finished} <= expected
