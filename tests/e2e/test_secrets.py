"""The values of the secret stand nowhere but in the secret."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import httpx
import pytest

from ops import environment as environments
from ops import secret_changes, secret_values
from ops.errors import OperatorError
from ops.local.deployment import Deployment
from tests.e2e.pipeline import Command, Pipeline, fresh, sample

BUS_LOG = "/aws/events/huntaze-stripe-dev"


@pytest.fixture
def secrets(pipeline: Pipeline) -> list[bytes]:
    """The planted values, and the password inside the database URL."""
    services = pipeline.deployment.services
    password = services.database_url.partition("://postgres:")[2].partition("@")[0]
    values = [
        services.secrets.huntaze_api_key,
        services.secrets.stripe_secret_key,
        services.database_url,
        password,
    ]
    assert all(len(value) > 16 for value in values)
    return [value.encode() for value in values]


def test_each_value_is_in_a_secret_of_its_own(pipeline: Pipeline) -> None:
    client = pipeline.deployment.services.aws.client("secretsmanager")
    services = pipeline.deployment.services
    for key, name, value in (
        ("HUNTAZE_API_KEY", "", services.secrets.huntaze_api_key),
        ("STRIPE_SECRET_KEY", "/stripe-secret-key", services.secrets.stripe_secret_key),
        ("DATABASE_URL", "/database-url", services.database_url),
    ):
        secret = f"huntaze/stripe-eventbridge/dev{name}"
        assert json.loads(client.get_secret_value(SecretId=secret)["SecretString"]) == {key: value}


def test_state_plan_and_synthesised_files_hold_none(pipeline: Pipeline, secrets: list[bytes]) -> None:
    searched = dict(written(pipeline))
    assert any(name.endswith("cdk.tf.json") for name in searched)
    assert any(name.endswith(".tfstate") for name in searched)
    assert {"the plan", "the plan as JSON", "the state in the bucket"} <= set(searched)
    assert [name for name, content in searched.items() if any(value in content for value in secrets)] == []


def written(pipeline: Pipeline) -> Iterator[tuple[str, bytes]]:
    """Read all that synth and Terraform wrote."""
    terraform = pipeline.deployment.terraform
    stacks = terraform.folder.parents[1]
    for path in stacks.rglob("*"):
        if path.is_file() and ".terraform/providers" not in str(path):
            yield str(path), _unzipped(path) if path.suffix == ".zip" else path.read_bytes()
    for path in stacks.parent.glob("*.tfstate*"):
        yield str(path), path.read_bytes()
    planned = pipeline.deployment.planned
    assert planned is not None
    plan = planned.file
    yield "the plan", _unzipped(plan)
    yield "the plan as Markdown", planned.markdown_file.read_bytes()
    yield "the plan as JSON", json.dumps(terraform.show(plan)).encode()
    s3 = pipeline.deployment.services.aws.client("s3")
    body = s3.get_object(Bucket="huntaze-stripe-terraform-state", Key="huntaze-stripe-dev/terraform.tfstate")
    yield "the state in the bucket", body["Body"].read()


def _unzipped(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return b"\n".join(archive.read(name) for name in archive.namelist())


@pytest.mark.usefixtures("working_api")
def test_logs_hold_neither_secrets_nor_personal_data(pipeline: Pipeline, secrets: list[bytes]) -> None:
    pipeline.fail(idempotency_key="evt_e2eLeak", status=422, body='{"error": "no"}')
    envelope = fresh(sample("current", "charge.failed"), "evt_e2eLeak")
    planted = {
        "email": "planted.person@example.com",
        "name": "Planted Person",
        "phone": "+15550100999",
        "line1": "1 Planted Street",
    }
    charge = envelope["detail"]["data"]["object"]
    charge["billing_details"] = {**planted, "address": {"line1": planted["line1"]}}
    charge["payment_method_details"]["card"]["last4"] = "7531"
    (row,) = pipeline.drive(envelope)
    assert row.outcome == "parked"
    text = b"\n".join(logs(pipeline))
    assert b"evt_e2eLeak" in text
    for value in [*secrets, *(value.encode() for value in planted.values()), b'"7531"']:
        assert value not in text


def logs(pipeline: Pipeline) -> Iterator[bytes]:
    """Read every line of every log group but the bus log, which is there to hold whole events."""
    client = pipeline.deployment.services.aws.client("logs")
    groups = client.describe_log_groups()["logGroups"]
    assert [group for group in groups if group["logGroupName"] == BUS_LOG]
    for group in groups:
        if group["logGroupName"] == BUS_LOG:
            continue
        for page in client.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"]):
            yield from (event["message"].encode() for event in page["events"])


def test_the_servers_own_logs_hold_none(pipeline: Pipeline, secrets: list[bytes]) -> None:
    paths = sorted(Path(pipeline.deployment.services.folder).rglob("*.log"))
    assert paths
    assert [path for path in paths if any(value in path.read_bytes() for value in secrets)] == []


@pytest.fixture
def rotated(pipeline: Pipeline) -> Iterator[str]:
    """A key that the API accepts in place of the deployed one, until the test ends."""
    services = pipeline.deployment.services
    old, new = services.secrets.huntaze_api_key, "hk_" + token_hex(16)
    _revoke(pipeline, old, new)
    yield new
    _revoke(pipeline, new, old)


def _revoke(pipeline: Pipeline, old: str, new: str) -> None:
    url = f"{pipeline.deployment.services.api_url}/_control/key"
    headers = {"Authorization": f"Bearer {old}"}
    httpx.put(url, json={"key": new}, headers=headers, trust_env=False).raise_for_status()


def test_pushed_key_is_used_without_a_deploy_and_survives_the_next(
    pipeline: Pipeline, command: Command, rotated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fresh(sample("current", "invoice.paid"), "evt_e2ePushed")
    monkeypatch.setenv("HUNTAZE_API_KEY", rotated)
    old = pipeline.deployment.services.secrets.huntaze_api_key
    monkeypatch.setenv("TF_VAR_HUNTAZE_API_KEY", old)
    refused = command("secrets", "push", "HUNTAZE_API_KEY", "--yes")
    assert refused.code == 1
    assert "nothing was written" in refused.err
    monkeypatch.delenv("TF_VAR_HUNTAZE_API_KEY")
    pushed = command("secrets", "push", "HUNTAZE_API_KEY", "--yes", "--json")
    assert (pushed.code, json.loads(pushed.out)[0]["state"]) == (0, "accepted")
    (row,) = pipeline.drive(before)
    assert row.outcome == "applied"
    checked = command("secrets", "check", "--json")
    assert (checked.code, [each["state"] for each in json.loads(checked.out)]) == (0, ["accepted"] * 3)
    # Terraform still exports the old key, and has nothing to do.
    assert pipeline.deployment.terraform.plan().changes == 0
    assert_deploy_would_be_refused(pipeline, monkeypatch, rotated)
    for said in (refused, pushed, checked):
        assert [value for value in (old, rotated) if value in said.out + said.err] == []


def assert_deploy_would_be_refused(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """A deploy that writes the secrets again is refused with the old key, and not with the pushed one."""
    deployment = pipeline.deployment
    for name, value in pipeline.operators.variables(["deploy"]).items():
        monkeypatch.setenv(name, value)
    environment = environments.connect("dev")
    old = deployment.terraform.environment
    plan = rewriting(deployment)
    assert set(plan) == {"HUNTAZE_API_KEY", "STRIPE_SECRET_KEY", "DATABASE_URL"}
    with pytest.raises(OperatorError, match="secrets push --env dev HUNTAZE_API_KEY"):
        secret_values.refuse_old_values(environment, plan, old)
    secret_values.refuse_old_values(environment, plan, {**old, "TF_VAR_HUNTAZE_API_KEY": key})


def rewriting(deployment: Deployment) -> dict[str, str | None]:
    """What a real plan with a higher secret_version writes."""
    terraform = deployment.terraform
    stack = terraform.folder / "cdk.tf.json"
    shipped = stack.read_text()
    document = json.loads(shipped)
    for version in document["resource"]["aws_secretsmanager_secret_version"].values():
        version["secret_string_wo_version"] += 1
    stack.write_text(json.dumps(document))
    try:
        plan = terraform.folder / "rewriting.tfplan"
        terraform.plan(plan, refresh=False)
        return secret_changes.rewritten(terraform.show(plan), "dev")
    finally:
        plan.unlink(missing_ok=True)
        stack.write_text(shipped)


def test_deployed_key_comes_back(
    pipeline: Pipeline, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From standard input; after a second push Secrets Manager may drop the version that Terraform wrote."""
    old = pipeline.deployment.services.secrets.huntaze_api_key
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{old}\n"))
    assert command("secrets", "push", "HUNTAZE_API_KEY", "--stdin", "--yes").code == 0
    assert pipeline.deployment.terraform.plan().changes == 0
    client = pipeline.deployment.services.aws.client("secretsmanager")
    versions = client.describe_secret(SecretId="huntaze/stripe-eventbridge/dev")["VersionIdsToStages"]
    (kept,) = [version for version, labels in versions.items() if secret_values.DEPLOYED in labels]
    assert kept.startswith(secret_values.TERRAFORM)
    (row,) = pipeline.drive(fresh(sample("current", "invoice.paid"), "evt_e2eBack"))
    assert row.outcome == "applied"
