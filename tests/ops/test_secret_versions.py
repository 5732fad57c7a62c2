"""A plan reads no value of a secret, and says all the same what a deploy does to it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from functions.shared import names
from ops import plan_report, secret_versions
from ops.errors import OperatorError
from ops.secret_changes import of_versions
from ops.secret_versions.changes import completed
from ops.secret_versions.stack import Version, left_out
from tests.ops.dead_letters import World
from tests.plans import files

VERSIONS = "aws_secretsmanager_secret_version"
SECRETS = "aws_secretsmanager_secret"
# The name of each version by that of its secret.
OF_SECRET = {
    "secret": "secret_version",
    "secret_stripe": "secret_stripe_version",
    "secret_database": "secret_database_version",
}


def stack(folder: Path, **arguments: Any) -> str:
    """Write a stack with one secret and its version; return its text."""
    version = {
        "//": {},
        "secret_id": f"${{{SECRETS}.secret.id}}",
        "secret_string_wo": "${var.KEY}",
        "secret_string_wo_version": 7,
        **arguments,
    }
    resources = {SECRETS: {"secret": {"name": "key"}}, VERSIONS: {"secret_version": version}}
    text = json.dumps({"resource": resources}, indent=2)
    (folder / "cdk.tf.json").write_text(text)
    return text


def document(folder: Path) -> Any:
    return json.loads((folder / "cdk.tf.json").read_text())


def test_a_stack_forgets_its_versions_while_it_is_planned(tmp_path: Path) -> None:
    text = stack(tmp_path)
    state = {
        "resources": [
            {"type": VERSIONS, "name": "secret_version"},
            {"type": VERSIONS, "name": "secret_former"},
            {"type": SECRETS, "name": "secret"},
        ]
    }
    with left_out(tmp_path, state) as versions:
        assert versions == (Version(f"{VERSIONS}.secret_version", f"{SECRETS}.secret", 7),)
        assert set(document(tmp_path)["resource"]) == {SECRETS}
        assert document(tmp_path)["removed"] == [
            {"from": f"{VERSIONS}.{name}", "lifecycle": {"destroy": False}}
            for name in ("secret_former", "secret_version")
        ]
    assert (tmp_path / "cdk.tf.json").read_text() == text


def test_a_plan_that_fails_leaves_the_stack_as_it_was(tmp_path: Path) -> None:
    text = stack(tmp_path)
    with pytest.raises(KeyboardInterrupt), left_out(tmp_path, {}):
        raise KeyboardInterrupt
    assert (tmp_path / "cdk.tf.json").read_text() == text


@pytest.mark.parametrize(
    "arguments", [{"version_stages": ["AWSCURRENT"]}, {"secret_id": "arn:aws:secretsmanager:…"}]
)
def test_a_version_in_another_form_is_refused(tmp_path: Path, arguments: dict[str, Any]) -> None:
    text = stack(tmp_path, **arguments)
    with pytest.raises(OperatorError, match=rf"^invalid {VERSIONS}\.secret_version in cdk\.tf\.json: "):
        left_out(tmp_path, {}).__enter__()
    assert (tmp_path / "cdk.tf.json").read_text() == text


def configured(plan: dict[str, Any]) -> list[Version]:
    """The versions that the stack of a plan of Terraform has."""
    after = {each["address"]: each["change"]["after"] for each in of_versions(plan)}
    return [
        Version(address, f"{SECRETS}.{secret}", after[address]["secret_string_wo_version"])
        for secret, name in OF_SECRET.items()
        if after.get(address := f"{VERSIONS}.{name}")
    ]


def forgetting(plan: dict[str, Any]) -> dict[str, Any]:
    """The plan of the same stack, with a `removed` block for each version of the state."""
    shown = copy.deepcopy(plan)
    for each in (each for each in shown["resource_changes"] if each["type"] == VERSIONS):
        before = {name: each["change"][name] for name in ("before", "before_sensitive")}
        each["change"] = {**before, "actions": ["forget"], "after": None, "after_unknown": {}}
        each["action_reason"] = "delete_because_no_resource_config"
    return shown


def ids(plan: dict[str, Any]) -> set[str]:
    return {each["change"]["before"]["version_id"] for each in of_versions(plan)}


@pytest.mark.parametrize("name", ["nothing", "secrets", "retentions", "key-on"])
def test_the_completed_plan_is_terraforms_own(name: str) -> None:
    plan = files.load(name)
    found = completed(forgetting(plan), configured(plan), lambda _: ids(plan))
    assert found["resource_changes"] == plan["resource_changes"]
    assert plan_report.render(found, "dev") == plan_report.render(plan, "dev")


def test_a_version_that_aws_no_longer_has_is_drift_and_is_written_again() -> None:
    plan = files.load("nothing")
    found = completed(forgetting(plan), configured(plan), lambda _: ())
    addresses = sorted(f"{VERSIONS}.{name}" for name in OF_SECRET.values())
    assert plan_report.drifted(found) == addresses
    findings = [each for each in plan_report.assess(found).findings if each.rule == "secret-written"]
    assert [(each.hit.address, each.hit.what) for each in findings] == [
        (address, "the deploy writes its value again: Terraform finds no version that it wrote")
        for address in addresses
    ]


def test_a_version_whose_secret_is_gone_is_not_asked_for() -> None:
    plan = files.load("nothing")
    plan["resource_changes"] = [
        each for each in plan["resource_changes"] if each["address"] != f"{SECRETS}.secret_database"
    ]
    known = [each for each in configured(plan) if not each.secret.endswith("_database")]
    asked: list[str] = []

    def listed(secret_id: str) -> set[str]:
        asked.append(secret_id)
        return ids(plan)

    found = completed(forgetting(plan), known, listed)
    assert [each["address"] for each in found["resource_drift"]] == [f"{VERSIONS}.secret_database_version"]
    assert {each["address"] for each in of_versions(found)} == {each.address for each in known}
    assert not any("database" in each for each in asked)


def test_all_versions_of_a_secret_are_listed(world: World, person: pytest.MonkeyPatch) -> None:
    """Also those of a second page."""
    client = world.aws.client("secretsmanager")
    name = names.SECRET_NAMES[names.HUNTAZE_API_KEY].format(environment="dev")
    made = client.create_secret(Name=name, SecretString="{}")
    written = {made["VersionId"]}
    for number in range(100):
        # The embedded AWS drops a version without a label at once.
        version = client.put_secret_value(SecretId=name, SecretString="{}", VersionStages=[f"LABEL{number}"])
        written.add(version["VersionId"])
    try:
        assert secret_versions.ids_in_aws("dev")(made["ARN"]) == written
    finally:
        client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    with pytest.raises(OperatorError, match=f"^the secret {made['ARN']} does not exist "):
        secret_versions.ids_in_aws("dev")(made["ARN"])
