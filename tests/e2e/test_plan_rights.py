"""What a plan asks AWS for, by Terraform's own log: it reads no more than the roles plan and refresh may."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from infra.deployment_roles import REFRESH
from infra.names import stack_name
from ops import secret_versions
from ops.deploy import synthesise
from ops.errors import OperatorError
from ops.local import roles
from ops.local.deployment import ENVIRONMENT
from ops.terraform import Terraform
from tests.documents import CUSTOMER_DATA
from tests.e2e.pipeline import Pipeline

STATE_BUCKET = "huntaze-stripe-terraform-state"
# The state: which workspaces there are, whether it is there, and itself. Then who asks.
STATE_ONLY = {"S3 ListObjectsV2", "S3 HeadObject", "S3 GetObject", "STS GetCallerIdentity"}


def customer_data() -> set[str]:
    """The calls that read customers' data, as Terraform's log names them, but for objects of S3."""
    services = {"dynamodb": "DynamoDB", "logs": "CloudWatch Logs", "sqs": "SQS", "xray": "XRay"}
    return {
        f"{services[service]} {call}" for service, _, call in (each.partition(":") for each in CUSTOMER_DATA)
    }


def logging(terraform: Terraform, log: Path) -> Terraform:
    """Terraform that logs, initialised."""
    logged: Mapping[str, str] = {**terraform.environment, "TF_LOG": "JSON", "TF_LOG_PATH": str(log)}
    found = replace(terraform, environment=logged)
    found.init()
    return found


def calls(terraform: Terraform, log: Path) -> tuple[int, set[str]]:
    """The changes that a plan without a refresh finds, and what it and its init ask of AWS."""
    changes = logging(terraform, log).plan(refresh=False).changes
    return changes, set(_sent(log))


def _sent(log: Path) -> Iterator[str]:
    for line in log.read_text(encoding="utf-8").splitlines():
        record = json.loads(line) if line.startswith("{") else {}
        if "HTTP Request Sent" in record.get("@message", ""):
            yield f"{record['rpc.service']} {record['rpc.method']}"


def test_a_plan_without_refresh_reads_the_state_and_who_asks_and_nothing_else(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    terraform = pipeline.deployment.terraform
    assert calls(terraform, tmp_path / "log") == (0, STATE_ONLY)


def test_a_plan_without_refresh_reads_no_more_for_what_it_will_create(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    deployment = pipeline.deployment
    environment = {**deployment.workspace.environment, "HEARTBEAT_MINUTES": "60"}
    workspace = replace(deployment.workspace, outdir=tmp_path / "cdktf.out", environment=environment)
    synthesise(workspace, [ENVIRONMENT])
    stack = workspace.outdir / "stacks" / stack_name(ENVIRONMENT)
    terraform = Terraform.at(stack, deployment.terraform.environment, tmp_path / "terraform")
    changes, asked = calls(terraform, tmp_path / "log")
    assert changes > 0
    assert asked == STATE_ONLY


def test_a_plan_with_refresh_takes_the_lock_and_reads_no_secret(pipeline: Pipeline, tmp_path: Path) -> None:
    log = tmp_path / "log"
    client = pipeline.deployment.services.aws.client("secretsmanager")
    summary, _ = secret_versions.plan(
        logging(pipeline.deployment.terraform, log),
        tmp_path / "plan",
        None,
        lambda secret_id: client.describe_secret(SecretId=secret_id)["VersionIdsToStages"],
    )
    asked = set(_sent(log))
    assert summary.changes == 0
    assert {"S3 PutObject", "S3 DeleteObject", "Secrets Manager DescribeSecret"} <= asked
    assert "Secrets Manager GetSecretValue" not in asked
    assert asked & customer_data() == set()


def test_the_role_refresh_is_refused_what_terraform_alone_would_read(pipeline: Pipeline) -> None:
    aws, deployed = pipeline.deployment.services.aws, pipeline.deployment.terraform
    place = roles.place(aws, ENVIRONMENT, STATE_BUCKET)
    credentials = roles.assumed(aws, REFRESH, place).environment()
    terraform = replace(deployed, environment={**deployed.environment, **credentials})
    with pytest.raises(OperatorError, match=r"GetSecretValue.* AccessDeniedException"):
        terraform.plan()
