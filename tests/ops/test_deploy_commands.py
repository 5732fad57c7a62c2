"""What plan, deploy, destroy and bootstrap print for programs, and what they leave alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ops.deploy import SAFE
from ops.plan_report import Verdict
from ops.terraform import PlanSummary
from tests.ops.command import run

APPLYING = ["deploy", "destroy", "bootstrap"]
OUTPUTS = {"bus": "a-bus", "queues": {"payments-dlq": "a-url"}, "code": {"functions": "0a1b2c3d"}}


@dataclass
class FakeTerraform:
    """Terraform as it answers after an apply; the other steps are replaced."""

    applied: list[str] = field(default_factory=list)

    def outputs(self) -> dict[str, Any]:
        return OUTPUTS


@dataclass
class FakePlanned:
    """A plan as the commands see it."""

    terraform: FakeTerraform
    summary: PlanSummary
    markdown_file: Path
    shown: dict[str, Any]
    verdict: Verdict = SAFE


@dataclass
class Account:
    """What the next plan finds, and what was applied."""

    folder: Path
    summary: PlanSummary = field(default_factory=lambda: PlanSummary(add=3, change=2, destroy=1))
    terraform: FakeTerraform = field(default_factory=FakeTerraform)
    shown: dict[str, Any] = field(default_factory=dict)

    def planned(self, name: str) -> FakePlanned:
        file = self.folder / "build" / "plans" / f"{name}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"## Terraform plan: `{name}`\n")
        return FakePlanned(self.terraform, self.summary, file, self.shown)


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Account:
    made = Account(tmp_path)

    @contextmanager
    def workspace(_environment: str | None = None) -> Iterator[None]:
        yield None

    def apply(planned: FakePlanned, _steps: object) -> None:
        made.terraform.applied.append(planned.markdown_file.stem)

    monkeypatch.setattr("ops.commands.deploy.ROOT", tmp_path)
    monkeypatch.setattr("ops.deploy.operator_workspace", workspace)
    monkeypatch.setattr("ops.deploy.plan", lambda _workspace, env, _steps, **_: made.planned(env))
    monkeypatch.setattr("ops.deploy.plan_bootstrap", lambda _workspace, _steps: made.planned("bootstrap"))
    monkeypatch.setattr("ops.deploy.apply", apply)
    monkeypatch.setattr("ops.preflight.check", lambda *_arguments, **_options: None)
    return made


def document(command: str, *, applied: bool, dry_run: bool) -> dict[str, Any]:
    name = "bootstrap" if command == "bootstrap" else "dev"
    return {
        "environment": name,
        "add": 3,
        "change": 2,
        "destroy": 1,
        "other": 0,
        "markdown": f"build/plans/{name}.md",
        "verdict": "safe",
        "findings": [],
        "drift": [],
        "applied": applied,
        "dry_run": dry_run,
    }


def test_plan_prints_json_alone_on_standard_output(
    account: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run(["plan", "--json"], monkeypatch, capsys)
    assert (done.code, json.loads(done.out)) == (0, document("plan", applied=False, dry_run=True))
    assert "whole plan: build/plans/dev.md" in done.err


def test_plan_that_does_not_read_aws_can_not_fail_on_drift(
    account: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run(["plan", "--no-refresh", "--fail-on", "drift"], monkeypatch, capsys)
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "error: invalid --fail-on drift with --no-refresh: a plan that does not read AWS finds no drift; "
        "leave out --no-refresh\n"
    )
    assert run(["plan", "--no-refresh", "--fail-on", "danger"], monkeypatch, capsys).code == 0


@pytest.mark.parametrize("command", APPLYING)
@pytest.mark.parametrize("yes", [[], ["--yes"]], ids=["asking", "not asking"])
def test_dry_run_shows_the_plan_and_applies_nothing(
    command: str,
    yes: list[str],
    account: Account,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    done = run([command, "--dry-run", *yes], monkeypatch, capsys)
    assert (done.code, done.err, account.terraform.applied) == (0, "", [])
    assert "whole plan: build/plans/" in done.out
    assert "dry run: nothing was changed" in done.out


@pytest.mark.parametrize("command", APPLYING)
def test_dry_run_for_a_program_prints_json_alone(
    command: str, account: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run([command, "--dry-run", "--json"], monkeypatch, capsys)
    assert (done.code, json.loads(done.out)) == (0, document(command, applied=False, dry_run=True))
    assert account.terraform.applied == []


@pytest.mark.parametrize("command", APPLYING)
def test_apply_for_a_program_prints_the_outputs_too(
    command: str, account: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run([command, "--yes", "--json"], monkeypatch, capsys)
    wanted = document(command, applied=True, dry_run=False) | {"outputs": OUTPUTS}
    assert (done.code, json.loads(done.out)) == (0, wanted)
    assert account.terraform.applied == [wanted["environment"]]


def test_apply_for_people_prints_the_outputs_by_line(
    account: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run(["deploy", "--yes"], monkeypatch, capsys)
    assert (done.code, done.err) == (0, "")
    assert done.out.endswith('bus = a-bus\nqueues = {"payments-dlq": "a-url"}\n')


def test_nothing_to_do_is_reported_without_a_question(
    account: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    account.summary = PlanSummary()
    done = run(["deploy", "--yes"], monkeypatch, capsys)
    assert (done.code, done.err, account.terraform.applied) == (0, "", [])
    assert "nothing to do" in done.out
    document = json.loads(run(["deploy", "--yes", "--json"], monkeypatch, capsys).out)
    assert (document["applied"], "outputs" in document, account.terraform.applied) == (False, False, [])


def test_changed_outputs_alone_are_applied(
    account: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    account.summary = PlanSummary(other=1)
    done = run(["deploy", "--yes"], monkeypatch, capsys)
    assert (done.code, account.terraform.applied) == (0, ["dev"])


@pytest.mark.parametrize("command", APPLYING)
def test_program_that_would_be_asked_is_refused_before_anything_is_planned(
    command: str, account: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run([command, "--json"], monkeypatch, capsys)
    assert (done.code, done.out) == (2, "")
    assert done.err == "error: not a terminal: pass --yes to skip the confirmation\n"
    assert not (account.folder / "build").exists()


RULE = {"address": "aws_cloudwatch_event_rule.a", "type": "aws_cloudwatch_event_rule"}
RULE_COMES = {"resource_changes": [{**RULE, "change": {"actions": ["create"], "after": {}}}]}


def test_deploy_that_changes_rules_names_the_window_to_reconcile(
    account: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    account.shown = RULE_COMES
    done = run(["deploy", "--yes"], monkeypatch, capsys)
    since = re.search(r"reconcile --env dev --since (\S+Z)`", done.out)
    assert since is not None
    assert abs(datetime.now(UTC) - datetime.fromisoformat(since[1])) < timedelta(minutes=5)
    assert "the time at which you created the destination in Stripe" in done.out
    done = run(["deploy", "--yes", "--json"], monkeypatch, capsys)
    assert datetime.fromisoformat(json.loads(done.out)["reconcile_since"]).tzinfo is UTC


@pytest.mark.parametrize("command", ["destroy", "bootstrap"])
def test_other_commands_name_no_window(
    account: Account, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    account.shown = RULE_COMES
    assert "reconcile" not in run([command, "--yes"], monkeypatch, capsys).out


@pytest.mark.parametrize("options", [["--yes"], ["--dry-run"]])
def test_no_window_is_named_where_no_rule_changes_or_nothing_is_applied(
    account: Account, options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    account.shown = {} if "--yes" in options else RULE_COMES
    assert "reconcile" not in run(["deploy", *options], monkeypatch, capsys).out
