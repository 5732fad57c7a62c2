"""The plan report, on plans that Terraform really made."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ops import plan_report
from ops.terraform import Terraform

SECRET = 'hunter2 "quoted" <&>'
NEW_SECRET = "correct horse battery"
VARIABLES: dict[str, Any] = {
    "size": {"default": "small"},
    "copies": {"default": 2},
    "secret": {"type": "string", "sensitive": True},
}


def data(**arguments: Any) -> dict[str, Any]:
    return {"resource": {"terraform_data": arguments}}


class Stack:
    """A stack of `terraform_data`, which Terraform has inside: no provider is downloaded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inputs = {"secret": SECRET}

    def write(self, document: dict[str, Any]) -> None:
        (self.folder / "cdk.tf.json").write_text(json.dumps({"variable": VARIABLES} | document))

    @property
    def terraform(self) -> Terraform:
        inputs = {f"TF_VAR_{name}": value for name, value in self.inputs.items()}
        return Terraform.at(self.folder, {**os.environ, **inputs}, self.folder)

    def apply(self, document: dict[str, Any]) -> None:
        self.write(document)
        self.terraform.init()
        self.terraform.apply()

    def plan(self, document: dict[str, Any], *, destroy: bool = False) -> dict[str, Any]:
        self.write(document)
        terraform = self.terraform
        terraform.init()
        file = self.folder / "plan"
        terraform.plan(file, destroy=destroy)
        return terraform.show(file)


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(tmp_path)


def test_a_create_lists_what_is_set(stack: Stack) -> None:
    plan = stack.plan(data(a={"input": {"size": "${var.size}", "list": [1]}, "triggers_replace": {"t": 1}}))
    report = plan_report.render(plan, "dev")
    assert report.splitlines()[0] == "<!-- huntaze-plan:dev -->"
    assert "**1 to create.**" in report
    assert '- `terraform_data.a`\n  - `input.list`: `[1]`\n  - `input.size`: `"small"`\n' in report
    assert '  - `triggers_replace`: `{"t": 1}`\n' in report
    assert plan_report.summary_line(plan) == "1 to create."


def test_an_unchanged_stack_says_so(stack: Stack) -> None:
    document = data(a={"input": "x"})
    stack.apply(document)
    plan = stack.plan(document)
    assert plan_report.summary_line(plan) == "nothing to change."
    assert "###" not in plan_report.render(plan, "dev")


def test_losses_come_first_and_a_replacement_names_what_forces_it(stack: Stack) -> None:
    before = data(
        gone={"count": "${var.copies}", "input": "bye"},
        kept={"input": {"size": "${var.size}", "same": 1}},
        remade={"triggers_replace": ["${var.size}"]},
    )
    before["output"] = {"size": {"value": "${var.size}"}}
    stack.apply(before)
    stack.inputs |= {"size": "large", "copies": "1"}
    before["resource"]["terraform_data"]["fresh"] = {"input": "new"}
    plan = stack.plan(before)
    report = plan_report.render(plan, "prod")
    assert (
        plan_report.summary_line(plan)
        == "1 to destroy, 1 to replace, 1 to update, 1 to create, 1 output to change."
    )
    headings = [line for line in report.splitlines() if line.startswith("### ")]
    assert headings == [
        "### To review",
        "### Destroyed",
        "### Replaced",
        "### Updated",
        "### Created",
        "### Outputs",
    ]
    assert "- **destroy** `terraform_data.gone[1]`: count became smaller\n" in report
    assert (
        "- **replace** `terraform_data.remade`: forced by `triggers_replace`\n"
        '  - `triggers_replace`: `["small"]` → `["large"]` **forces replacement**\n'
    ) in report
    assert '- `terraform_data.kept`\n  - `input.size`: `"small"` → `"large"`\n' in report
    assert "input.same" not in report
    assert '- `size`\n  - `"small"` → `"large"`\n' in report


def test_a_destroy_lists_every_resource(stack: Stack) -> None:
    document = data(a={"input": "x"}, b={"input": "y"})
    stack.apply(document)
    report = plan_report.render(stack.plan(document, destroy=True), "dev")
    assert "**2 to destroy.**" in report
    assert "**destroy** `terraform_data.a`" in report
    assert "**destroy** `terraform_data.b`" in report


def test_a_removed_a_moved_and_a_forgotten_resource_are_reported(stack: Stack) -> None:
    stack.apply(data(a={"input": "x"}, b={"input": "y"}, c={"input": "z"}))
    document = data(new={"input": "x"})
    document["moved"] = [{"from": "terraform_data.a", "to": "terraform_data.new"}]
    document["removed"] = [{"from": "terraform_data.c", "lifecycle": {"destroy": False}}]
    plan = stack.plan(document)
    report = plan_report.render(plan, "dev")
    assert plan_report.summary_line(plan) == "1 to destroy, 1 to forget, 1 to move."
    assert "`terraform_data.b`: no longer in the configuration" in report
    assert "### Forgotten\n\n- `terraform_data.c`" in report
    assert "- `terraform_data.new`: moved from `terraform_data.a`" in report


def test_a_change_in_a_policy_shows_the_statement(stack: Stack) -> None:
    policy = '${jsonencode({Version = "2012-10-17", Statement = [{Action = ["a:b"], Sid = var.size}]})}'
    stack.apply(data(a={"input": policy}))
    stack.inputs["size"] = "large"
    report = plan_report.render(stack.plan(data(a={"input": policy})), "dev")
    assert '  - `input.Statement[0].Sid`: `"small"` → `"large"`\n' in report
    assert "input.Version" not in report


def sensitive_stack() -> dict[str, Any]:
    document = data(
        plain={"input": "${var.secret}"},
        nested={"input": {"public": "${var.size}", "key": "${var.secret}", "list": [{"k": "${var.secret}"}]}},
        encoded={"input": '${jsonencode({"password" = var.secret})}'},
        twice={"input": "${jsonencode(jsonencode([var.secret]))}"},
        trigger={"triggers_replace": {"k": "${var.secret}"}},
        user={"input": "${terraform_data.plain.output}"},
        gone={"count": "${var.copies}", "input": "${var.secret}"},
    )
    document["output"] = {
        "hidden": {"value": "${var.secret}", "sensitive": True},
        "computed": {"value": "${terraform_data.nested.output}", "sensitive": True},
    }
    return document


def assert_hidden(report: str) -> None:
    for secret in (SECRET, NEW_SECRET, "hunter2", "battery"):
        assert secret not in report


def test_sensitive_values_never_show(stack: Stack) -> None:
    created = stack.plan(sensitive_stack())
    assert "hunter2" in json.dumps(created)
    assert_hidden(plan_report.render(created, "dev"))
    stack.apply(sensitive_stack())
    stack.inputs |= {"secret": NEW_SECRET, "size": "large", "copies": "1"}
    report = plan_report.render(stack.plan(sensitive_stack()), "dev")
    assert_hidden(report)
    assert "  - `input.key`: *(sensitive)* → *(sensitive)*\n" in report
    assert '  - `input.public`: `"small"` → `"large"`\n' in report
    assert_hidden(plan_report.render(stack.plan(sensitive_stack(), destroy=True), "dev"))


def test_a_value_declared_sensitive_only_now_is_hidden_on_both_sides(stack: Stack) -> None:
    stack.apply(data(a={"input": SECRET}))
    stack.inputs["secret"] = NEW_SECRET
    report = plan_report.render(stack.plan(data(a={"input": "${var.secret}"})), "dev")
    assert_hidden(report)
    assert "  - `input`: *(sensitive)* → *(sensitive)*\n" in report


def test_a_failed_plan_does_not_pass_for_a_complete_one() -> None:
    plan = {"errored": True, "resource_changes": []}
    assert plan_report.summary_line(plan) == "The plan failed; so far: nothing to change."
    assert "it may be incomplete" in plan_report.render(plan, "dev")


def test_an_action_of_a_later_terraform_is_not_dropped() -> None:
    change = {"actions": ["transmute"], "before": {"a": 1}, "after": {"a": 2}}
    report = plan_report.render({"resource_changes": [{"address": "x.y", "change": change}]}, "dev")
    assert "**1 to change otherwise.**" in report
    assert "- `x.y`: transmute\n  - `a`: `1` → `2`\n" in report
