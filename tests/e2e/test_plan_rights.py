"""What a plan asks AWS for, by Terraform's own log: docs/github.md gives the plan roles rights for that."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from infra.names import stack_name
from ops.deploy import synthesise
from ops.local.deployment import ENVIRONMENT
from ops.terraform import Terraform
from ops.terraform.endpoint import OVERRIDE_FILE, PROVIDER
from tests.documents import policy_statements
from tests.e2e.pipeline import Pipeline

# The state: which workspaces there are, whether it is there, and itself. Then who asks.
STATE_ONLY = {"S3 ListObjectsV2", "S3 HeadObject", "S3 GetObject", "STS GetCallerIdentity"}


def denied() -> set[str]:
    """The calls that docs/github.md denies the role of a refresh, as Terraform's log names them.

    Objects of S3 are read, too, but no other than the state.
    """
    actions = policy_statements()["NoCustomerData"]["Action"]
    services = {"dynamodb": "DynamoDB", "logs": "CloudWatch Logs", "sqs": "SQS", "xray": "XRay"}
    return {f"{services[service]} {call}" for service, _, call in (each.partition(":") for each in actions)}


def as_at_aws(terraform: Terraform, folder: Path) -> Terraform:
    """The stack in a folder of its own, in which the provider checks its credentials as it does at AWS.

    Where it need not, it finds the account by a call that it does not make otherwise.
    """
    shutil.copytree(terraform.folder, folder, ignore=shutil.ignore_patterns(".terraform*"))
    provider = {"aws": {**PROVIDER, "skip_credentials_validation": False}}
    (folder / OVERRIDE_FILE).write_text(json.dumps({"provider": provider}))
    return replace(terraform, folder=folder)


def calls(terraform: Terraform, log: Path, *, refresh: bool) -> tuple[int, set[str]]:
    """The changes that a plan finds, and the operations that it and its init ask of AWS."""
    logged: Mapping[str, str] = {**terraform.environment, "TF_LOG": "JSON", "TF_LOG_PATH": str(log)}
    logging = replace(terraform, environment=logged)
    logging.init()
    changes = logging.plan(refresh=refresh).changes
    return changes, set(_sent(log))


def _sent(log: Path) -> Iterator[str]:
    for line in log.read_text(encoding="utf-8").splitlines():
        record = json.loads(line) if line.startswith("{") else {}
        if "HTTP Request Sent" in record.get("@message", ""):
            yield f"{record['rpc.service']} {record['rpc.method']}"


def test_a_plan_without_refresh_reads_the_state_and_who_asks_and_nothing_else(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    terraform = as_at_aws(pipeline.deployment.terraform, tmp_path / "stack")
    assert calls(terraform, tmp_path / "log", refresh=False) == (0, STATE_ONLY)


def test_a_plan_without_refresh_reads_no_more_for_what_it_will_create(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    deployment = pipeline.deployment
    environment = {**deployment.workspace.environment, "CREATE_KMS_KEY": "true"}
    workspace = replace(deployment.workspace, outdir=tmp_path / "cdktf.out", environment=environment)
    synthesise(workspace, [ENVIRONMENT])
    stack = workspace.outdir / "stacks" / stack_name(ENVIRONMENT)
    terraform = as_at_aws(replace(deployment.terraform, folder=stack), tmp_path / "stack")
    changes, asked = calls(terraform, tmp_path / "log", refresh=False)
    assert changes > 0
    assert asked == STATE_ONLY


def test_a_plan_with_refresh_takes_the_lock_and_reads_the_secret(pipeline: Pipeline, tmp_path: Path) -> None:
    terraform = as_at_aws(pipeline.deployment.terraform, tmp_path / "stack")
    _, asked = calls(terraform, tmp_path / "log", refresh=True)
    assert {"S3 PutObject", "S3 DeleteObject", "Secrets Manager GetSecretValue"} <= asked
    assert asked & denied() == set()
