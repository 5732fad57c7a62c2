"""`huntaze-stripe plan-report`: Markdown, JSON and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.ops.command import run
from tests.plans import files

RULE = "aws_cloudwatch_event_rule.payments_rule"


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    return written(tmp_path, "unrouted-and-archive")


def written(folder: Path, name: str) -> Path:
    file = folder / f"{name}.json"
    file.write_text(json.dumps(files.load(name)))
    return file


def test_it_prints_markdown_and_succeeds(
    plan: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run(["plan-report", str(plan), "--env", "pr-7"], monkeypatch, capsys)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("<!-- huntaze-plan:pr-7 -->\n<!-- huntaze-verdict:danger -->\n")


def test_a_danger_that_nobody_accepts_is_exit_code_3(
    plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = run(["plan-report", str(plan), "--fail-on", "danger"], monkeypatch, capsys)
    assert refused.code == 3
    assert refused.err == (
        "refused: 2 dangers that nobody accepts; to accept one, write into the description of the pull "
        f"request: accept-danger: delivery-lost {RULE} REASON\n"
    )
    description = tmp_path / "description.md"
    one = f"accept-danger: delivery-lost {RULE} agreed\n"
    description.write_text(one)
    arguments = ["plan-report", str(plan), "--fail-on", "danger", "--accept", str(description)]
    assert run(arguments, monkeypatch, capsys).code == 3
    description.write_text(
        one + "accept-danger: retention-reduced aws_cloudcontrolapi_resource.events_archive yes\n"
    )
    accepted = run(arguments, monkeypatch, capsys)
    assert (accepted.code, accepted.err) == (0, "")
    assert "**Accepted**: `agreed`" in accepted.out


def test_review_fails_only_where_it_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, nothing = written(tmp_path, "code"), written(tmp_path, "nothing")
    assert run(["plan-report", str(code), "--fail-on", "danger"], monkeypatch, capsys).code == 0
    assert run(["plan-report", str(code), "--fail-on", "review"], monkeypatch, capsys).code == 3
    assert run(["plan-report", str(nothing), "--fail-on", "review"], monkeypatch, capsys).code == 0


def test_several_plans_for_a_program(
    plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = written(tmp_path, "nothing")
    done = run(["plan-report", str(plan), str(other), "--json"], monkeypatch, capsys)
    first, second = json.loads(done.out)
    assert (first["file"], first["verdict"]) == (str(plan), "danger")
    assert first["findings"][0]["rule"] == "delivery-lost"
    assert first["findings"][0]["resource"] == RULE
    assert (second["verdict"], second["findings"]) == ("safe", [])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "expected what"),
        ("[]", "expected what"),
        ('{"format_version": "1.0", "values": {}}', "expected what"),
    ],
)
def test_a_file_that_is_not_a_plan_is_refused(
    text: str,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "plan.json"
    file.write_text(text)
    done = run(["plan-report", str(file)], monkeypatch, capsys)
    assert done.code == 2
    assert done.err.startswith(f"error: invalid PLAN.json {file}: {reason}")


@pytest.mark.parametrize(
    "part",
    [
        '"resource_changes": [{}]',
        '"resource_changes": null',
        '"resource_changes": [null]',
        '"resource_changes": [{"address": "a.b", "change": {"actions": "update"}}]',
        '"resource_changes": [{"address": "a.b", "change": {"actions": ["update"], "after": 1}}]',
        '"resource_drift": [{"address": "a.b"}]',
        '"output_changes": {"a": null}',
        '"configuration": null',
        '"prior_state": {"values": null}',
    ],
)
def test_a_plan_with_a_part_of_another_form_is_refused_in_one_line(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "plan.json"
    file.write_text(f'{{"format_version": "1.2", "configuration": {{}}, {part}}}')
    done = run(["plan-report", str(file)], monkeypatch, capsys)
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        f"error: invalid PLAN.json {file}: expected what `terraform show -json PLAN` prints\n"
    )


def test_a_missing_file_and_a_wrong_link_are_refused(
    plan: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = run(["plan-report", "nowhere.json"], monkeypatch, capsys)
    assert (missing.code, missing.err) == (
        2,
        "error: invalid PLAN.json nowhere.json: No such file or directory\n",
    )
    accept = run(["plan-report", str(plan), "--accept", "nowhere.md"], monkeypatch, capsys)
    assert (accept.code, accept.err) == (2, "error: invalid --accept nowhere.md: No such file or directory\n")
    link = run(["plan-report", str(plan), "--link", "javascript:x"], monkeypatch, capsys)
    assert link.code == 2
    assert link.err.startswith("error: invalid --link 'javascript:x'")
