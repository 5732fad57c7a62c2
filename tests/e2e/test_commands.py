"""The commands reach a running local environment through its exports alone."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from ops import ROOT
from ops.local import drive, usage
from tests.e2e.pipeline import Pipeline, fresh, run_ops, sample

pytestmark = pytest.mark.usefixtures("checkout")


def test_plan_prints_that_nothing_changes_and_writes_it_as_markdown(pipeline: Pipeline) -> None:
    done = run_ops(pipeline, "plan", "--env", "dev")
    assert done.returncode == 0, done.stderr
    assert "0 to add, 0 to change, 0 to destroy" in done.stdout
    assert "whole plan: build/plans/dev.md" in done.stdout
    assert (ROOT / "build" / "plans" / "dev.md").read_text().startswith("<!-- huntaze-plan:dev -->")


def test_destroy_without_a_terminal_changes_nothing(pipeline: Pipeline) -> None:
    done = run_ops(pipeline, "destroy", "--env", "dev")
    assert (done.returncode, done.stderr) == (
        2,
        "error: not a terminal: pass --yes to skip the confirmation\n",
    )
    assert done.stdout == ""
    assert len(pipeline.deployment.terraform.resources()) == pipeline.deployment.facts.resources


def test_the_plan_of_the_first_deploy_was_written_for_a_reviewer(pipeline: Pipeline) -> None:
    planned = pipeline.deployment.planned
    assert planned is not None
    markdown = planned.markdown_file.read_text()
    assert markdown.startswith("<!-- huntaze-plan:dev -->")
    assert "aws_lambda_function" in markdown
    assert len(markdown) < 65_536


def test_deploy_refuses_a_plan_that_is_not_the_approved_one(pipeline: Pipeline, tmp_path: Path) -> None:
    approved = tmp_path / "dev.md"
    approved.write_text("another plan")
    done = run_ops(pipeline, "deploy", "--env", "dev", "--yes", "--approved", str(approved))
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: the plan differs from the approved one in {approved}: review ")


def test_deploy_applies_the_approved_plan(pipeline: Pipeline, tmp_path: Path) -> None:
    assert run_ops(pipeline, "plan", "--env", "dev").returncode == 0
    approved = tmp_path / "dev.md"
    approved.write_text((ROOT / "build" / "plans" / "dev.md").read_text())
    done = run_ops(pipeline, "deploy", "--env", "dev", "--yes", "--approved", str(approved))
    assert (done.returncode, done.stderr) == (0, "")
    assert "nothing to do" in done.stdout


def test_plan_without_refresh_says_so(pipeline: Pipeline) -> None:
    done = run_ops(pipeline, "plan", "--env", "dev", "--no-refresh")
    assert done.returncode == 0, done.stderr
    markdown = (ROOT / "build" / "plans" / "dev.md").read_text()
    assert "nothing to change." in markdown
    assert "> Compared with the state only" in markdown


def test_dry_run_for_a_program_is_json_alone_and_applies_nothing(pipeline: Pipeline) -> None:
    done = run_ops(pipeline, "deploy", "--env", "dev", "--dry-run", "--json", AUDIT_BACKLOG_MESSAGES="2000")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    (finding,) = document.pop("findings")
    assert (finding["rule"], finding["level"]) == ("changed-otherwise", "review")
    assert finding["what"] == "it changes `threshold`"
    assert document == {
        "environment": "dev",
        "add": 0,
        "change": 1,
        "destroy": 0,
        "other": 0,
        "markdown": "build/plans/dev.md",
        "verdict": "review",
        "drift": [],
        "applied": False,
        "dry_run": True,
    }
    assert "0 to add, 1 to change, 0 to destroy" in done.stderr
    alarms = pipeline.deployment.services.aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
    thresholds = {alarm["Threshold"] for alarm in alarms}
    assert 1000 in thresholds
    assert 2000 not in thresholds


def test_reconcile_reads_the_reference_stripe_api_of_a_kept_run(pipeline: Pipeline) -> None:
    sent, lost = (fresh(sample("current", "invoice.paid"), f"evt_e2eKept{name}") for name in ("Sent", "Lost"))
    pipeline.drive(sent)
    created = int(time.time()) - 3600
    listed = [{**envelope["detail"], "created": created} for envelope in (sent, lost)]
    drive.list_at_stripe(pipeline.deployment.services, listed)
    done = run_ops(pipeline, "reconcile", "--type", "invoice.paid", "--json")
    assert done.returncode == 1, done.stderr
    document = json.loads(done.stdout)
    assert (document["compared"], document["missing"]) == (2, 1)
    assert document["types"][0]["missing"] == ["evt_e2eKeptLost"]


def test_a_run_measures_what_its_events_take(pipeline: Pipeline) -> None:
    for event_type in ("invoice.paid", "payment_intent.succeeded"):
        pipeline.drive(fresh(sample("current", event_type), f"evt_e2eMeasured{event_type.partition('.')[0]}"))
    services = pipeline.deployment.services
    found = usage.measure(
        services.aws, pipeline.deployment.outputs, [sample("current", "invoice.paid")], "e2e"
    )
    assert found is not None
    assert {"payments", "billing", "audit"} <= set(found.functions)
    billing = found.functions["billing"]
    assert 0 < billing.median_ms <= billing.p95_ms
    assert billing.calls["dynamodb:UpdateItem"] >= 2
    assert min(found.object_bytes, found.item_bytes, found.api_ms, found.functions["audit"].log_bytes) > 0
