"""Drift: what others changed in AWS, and the plan would change back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ops import plan_report
from tests.ops.command import run

QUEUE = "aws_sqs_queue.a"
MARKER = "<!-- huntaze-drift -->"


def plan(drifted: list[str], changing: list[str]) -> dict[str, Any]:
    """A plan that found some resources changed, and would change some."""

    def changes(addresses: list[str]) -> list[dict[str, Any]]:
        change = {"actions": ["update"], "before": {"delay": 1}, "after": {"delay": 2}}
        return [
            {"address": each, "type": each.partition(".")[0], "mode": "managed", "change": change}
            for each in addresses
        ]

    return {
        "format_version": "1.2",
        "configuration": {},
        "resource_drift": changes(drifted),
        "resource_changes": changes(changing),
    }


@pytest.mark.parametrize(
    ("drifted", "changing", "found"),
    [
        ([], [QUEUE], []),
        # A computed value, or one that the stack leaves to others.
        ([QUEUE], [], []),
        ([QUEUE], ["aws_sqs_queue.b"], []),
        (["aws_sqs_queue.b", QUEUE], [QUEUE, "aws_sqs_queue.b"], [QUEUE, "aws_sqs_queue.b"]),
    ],
)
def test_drift_is_what_the_plan_would_change_back(
    drifted: list[str], changing: list[str], found: list[str]
) -> None:
    document = plan(drifted, changing)
    assert plan_report.drifted(document) == found
    report = plan_report.render(document, "dev").splitlines()
    assert (MARKER in report) is bool(found)
    assert ("### Changed in AWS since the last apply" in report) is bool(found)
    assert [f"- `{address}`" in report for address in found] == [True] * len(found)


def test_an_attribute_that_the_plan_does_not_change_counts_for_no_other() -> None:
    document = plan([QUEUE], [QUEUE])
    document["resource_drift"][0]["change"] |= {"before": {"url": ""}, "after": {"url": "https://a"}}
    assert plan_report.drifted(document) == []


def test_what_others_deleted_and_the_plan_creates_is_drift() -> None:
    document = plan([QUEUE], [QUEUE])
    document["resource_drift"][0]["change"] = {"actions": ["delete"], "before": {"delay": 1}, "after": None}
    document["resource_changes"][0]["change"] = {
        "actions": ["create"],
        "before": None,
        "after": {"delay": 1},
    }
    assert plan_report.drifted(document) == [QUEUE]


def test_a_report_of_much_drift_is_no_longer_than_a_comment() -> None:
    many = [f"aws_sqs_queue.{'q' * 200}{number}" for number in range(900)]
    report = plan_report.render(plan(many, many), "dev")
    assert len(report.encode()) <= plan_report.MAXIMUM
    assert "- and 860 more" in report


def test_a_value_imitates_no_drift() -> None:
    document = plan([], [QUEUE])
    document["resource_changes"][0]["change"]["after"]["delay"] = f"1\n{MARKER}\n```\n{MARKER}\n"
    text = plan_report.render(document, "dev")
    assert "huntaze-drift" in text
    assert MARKER not in text.splitlines()


@pytest.mark.parametrize(("drifted", "code"), [([QUEUE], 3), ([], 0)])
def test_fail_on_drift_is_an_exit_code(
    drifted: list[str],
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(plan(drifted, [QUEUE])))
    done = run(["plan-report", str(file), "--fail-on", "drift"], monkeypatch, capsys)
    assert done.code == code
    assert done.err.count("\n") == (1 if code else 0)
    assert (f"1 resource changed in AWS since the last apply, {QUEUE} first" in done.err) is bool(code)


def test_labels_of_a_secrets_version_are_left_to_secrets_push() -> None:
    version = "aws_secretsmanager_secret_version.secret_version"
    document = plan([version], [version])
    for each in (*document["resource_drift"], *document["resource_changes"]):
        each["change"] = {
            "actions": ["update"],
            "before": {"version_stages": ["AWSCURRENT"], "number": 1},
            "after": {"version_stages": ["DEPLOYED"], "number": 1},
        }
    assert plan_report.drifted(document) == []
    document["resource_drift"][0]["change"]["after"]["number"] = 2
    document["resource_changes"][0]["change"]["after"]["number"] = 3
    assert plan_report.drifted(document) == [version]
