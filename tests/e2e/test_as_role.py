"""AS_ROLE runs a command as a role, and says in one line why it can't."""

from __future__ import annotations

import pytest

from infra.deployment_roles import PLAN
from infra.policy import Statement, document
from ops.local import roles
from ops.local.deployment import ENVIRONMENT
from tests.e2e.pipeline import Pipeline, run_ops

pytestmark = pytest.mark.usefixtures("checkout")


@pytest.mark.parametrize(("part", "options"), [("plan", ["--no-refresh"]), ("refresh", [])])
def test_a_plan_runs_as_the_role_for_it(pipeline: Pipeline, part: str, options: list[str]) -> None:
    done = run_ops(pipeline, "plan", *options, AS_ROLE=part)
    assert done.returncode == 0, done.stderr
    assert "0 to add, 0 to change, 0 to destroy" in done.stdout


def test_a_plan_with_refresh_is_too_much_for_the_role_plan(pipeline: Pipeline) -> None:
    done = run_ops(pipeline, "plan", AS_ROLE="plan")
    assert done.returncode == 1
    assert "is not authorized to perform: s3:PutObject" in done.stderr
    assert done.stderr.count("\n") == 1


def test_no_role_of_a_deployment_reads_a_dead_letter_queue(pipeline: Pipeline) -> None:
    done = run_ops(pipeline, "dlq", "list", AS_ROLE="refresh")
    assert done.returncode == 1
    assert "AWS denied" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_existing_role_is_named_by_its_arn(pipeline: Pipeline) -> None:
    aws = pipeline.deployment.services.aws
    place = roles.place(aws, ENVIRONMENT, "any")
    account = f"arn:aws:iam::{place.account_id}"
    trust = Statement("TrustAccount", ["sts:AssumeRole"], [], {"AWS": f"{account}:root"})
    iam = aws.client("iam")
    arn = iam.create_role(RoleName="colleague", AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
    policy = f"{account}:policy/{place.role_name(PLAN)}-1"
    iam.attach_role_policy(RoleName="colleague", PolicyArn=policy)
    assert run_ops(pipeline, "plan", "--no-refresh", AS_ROLE=arn).returncode == 0
    done = run_ops(pipeline, "plan", AS_ROLE=f"{arn}-missing")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"AWS denied the role {arn}-missing (AccessDenied)" in done.stderr


@pytest.mark.parametrize(
    "wrong", ["administrator", "arn:aws:iam::1:role/x", "arn:aws:iam::123456789012:user/x"]
)
def test_another_name_is_refused(pipeline: Pipeline, wrong: str) -> None:
    done = run_ops(pipeline, "plan", AS_ROLE=wrong)
    assert (done.returncode, done.stderr) == (
        2,
        f"error: invalid AS_ROLE {wrong!r}: expected the ARN of a role, or in a local run one of plan, "
        "refresh, deploy, for a command with --env\n",
    )
