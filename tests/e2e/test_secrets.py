"""The values of the secret stand nowhere but in the secret."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.pipeline import Pipeline, fresh, sample

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
    plan = pipeline.deployment.planned.file
    yield "the plan", _unzipped(plan)
    yield "the plan as Markdown", pipeline.deployment.planned.markdown_file.read_bytes()
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
