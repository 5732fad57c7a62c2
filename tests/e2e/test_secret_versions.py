"""What `plan` says about the secrets without reading them is what Terraform says that reads them."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ops import plan_report, secret_versions
from ops.local.deployment import EVENT_SOURCE
from ops.terraform import Terraform
from tests.e2e.pipeline import Pipeline

pytestmark = pytest.mark.timeout(600)

VERSIONS = "aws_secretsmanager_secret_version"
SECRETS = "aws_secretsmanager_secret"
ABSENT = "terraform-20261128090000000000000001"
Edit = Callable[[dict[str, Any]], None]


@pytest.fixture
def terraform(pipeline: Pipeline, tmp_path: Path) -> Terraform:
    """The deployed stack with a copy of its state in a file, so that a test may change both."""
    deployed = pipeline.deployment.terraform
    folder = tmp_path / "stack"
    shutil.copytree(deployed.folder, folder, ignore=shutil.ignore_patterns(".terraform"))
    stack = json.loads((folder / "cdk.tf.json").read_text())
    stack["terraform"]["backend"] = {"local": {"path": str(tmp_path / "terraform.tfstate")}}
    (folder / "cdk.tf.json").write_text(json.dumps(stack))
    (tmp_path / "terraform.tfstate").write_text(json.dumps(deployed.pull_state()))
    copied = Terraform.at(folder, deployed.environment, tmp_path / "terraform")
    copied.init()
    return copied


def edited(file: Path, edit: Edit) -> None:
    document = json.loads(file.read_text())
    edit(document)
    file.write_text(json.dumps(document))


def of_stack(stack: dict[str, Any]) -> None:
    """Write a value again, end a version, replace a secret, and add one."""
    versions, secrets = stack["resource"][VERSIONS], stack["resource"][SECRETS]
    versions["secret_version"]["secret_string_wo_version"] += 1
    del versions["secret_database_version"]
    secrets["more"] = {**copy.deepcopy(secrets["secret"]), "name": "huntaze/more"}
    secret_id = f"${{{SECRETS}.more.id}}"
    versions["more_version"] = {**versions["secret_version"], "secret_id": secret_id}
    secrets["secret_stripe"] |= {"name": "huntaze/renamed", "lifecycle": {}}


def instances(state: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    return (
        instance
        for each in state["resources"]
        if (each["type"], each["name"]) == (VERSIONS, name)
        for instance in each["instances"]
    )


def of_state(state: dict[str, Any]) -> None:
    """A creation failed half-way, another version is gone, and a third one was never written."""
    for instance in instances(state, "secret_version"):
        instance["status"] = "tainted"
    for instance in instances(state, "secret_stripe_version"):
        found = instance["attributes"]
        instance["attributes"] = {
            **found,
            "id": f"{found['secret_id']}|{ABSENT}",
            "version_id": ABSENT,
        }
    state["resources"] = [
        each
        for each in state["resources"]
        if (each["type"], each["name"]) != (VERSIONS, "secret_database_version")
    ]


def changes(plan: dict[str, Any]) -> dict[str, Any]:
    """The changes by address, without the labels of versions, which a refresh reads and no plan changes."""
    found = {each["address"]: copy.deepcopy(each) for each in plan["resource_changes"]}
    for each in found.values():
        if each["type"] == VERSIONS:
            for side in ("before", "after"):
                (each["change"][side] or {}).pop("version_stages", None)
            for mask in ("before_sensitive", "after_sensitive"):
                if isinstance(each["change"][mask], dict):
                    each["change"][mask].pop("version_stages", None)
    return found


@pytest.mark.parametrize(
    ("file", "edit", "findings"),
    [
        (
            "stack/cdk.tf.json",
            of_stack,
            {
                "secret_version": "the deploy writes its value again: `secret_version` `1` → `2`",
                "secret_stripe_version": "the deploy writes its value into another secret",
                "secret_database_version": "no deploy writes its value any more",
            },
        ),
        (
            "terraform.tfstate",
            of_state,
            {
                "secret_version": "the deploy writes its value again",
                "secret_stripe_version": "the deploy writes its value again: Terraform finds no version "
                "that it wrote",
                "secret_database_version": "the deploy writes its value again: Terraform finds no version "
                "that it wrote",
            },
        ),
    ],
)
def test_a_plan_that_reads_no_secret_is_terraforms_own(
    pipeline: Pipeline,
    terraform: Terraform,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    edit: Edit,
    findings: dict[str, str],
) -> None:
    aws = pipeline.deployment.services.aws
    reached = {"AWS_ENDPOINT_URL": aws.url, "STRIPE_EVENT_SOURCE_NAME": EVENT_SOURCE}
    for name, value in {**aws.credentials.environment(), **reached}.items():
        monkeypatch.setenv(name, value)
    edited(tmp_path / file, edit)
    saved = tmp_path / "all.tfplan"
    counts = terraform.plan(saved)
    whole = terraform.show(saved)
    ids = secret_versions.ids_in_aws("dev")
    summary, shown = secret_versions.plan(terraform, saved, None, ids)
    assert not saved.exists()
    assert summary == counts
    assert changes(shown) == changes(whole)
    assert plan_report.drifted(shown) == plan_report.drifted(whole)
    report = plan_report.render(shown, "dev")
    assert report == plan_report.render(whole, "dev")
    found = plan_report.assess(shown).findings
    assert {each.hit.address: each.hit.what for each in found if each.rule == "secret-written"} == {
        f"{VERSIONS}.{name}": what for name, what in findings.items()
    }
