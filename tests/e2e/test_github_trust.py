"""The roles that `bootstrap` creates are had by the one job that each is for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from rich.console import Console

from infra.deployment_roles import AUDIENCE, DEPLOY, PLAN, POLICIES, REFRESH, Place
from infra.names import BOOTSTRAP
from ops.deploy import plan_stack, synthesise
from ops.errors import OperatorError
from ops.local import roles
from ops.local.clients import Aws
from ops.local.deployment import ENVIRONMENT
from ops.progress import Steps
from tests.e2e.pipeline import Pipeline

QUIET = Steps(Console(quiet=True))
ISSUER = "https://token.actions.githubusercontent.com"
SUBJECTS = {
    PLAN: f"repo:{roles.REPOSITORY}:pull_request",
    REFRESH: f"repo:{roles.REPOSITORY}:ref:refs/heads/main",
    DEPLOY: f"repo:{roles.REPOSITORY}:environment:{ENVIRONMENT}",
}
# Tokens of other jobs, of which none may have a role.
STRANGERS = (
    f"repo:{roles.REPOSITORY}:environment:prod",
    f"repo:{roles.REPOSITORY}:ref:refs/heads/other",
    f"repo:{roles.REPOSITORY}:ref:refs/tags/main",
    "repo:huntaze/other:pull_request",
    f"repo:other/local:environment:{ENVIRONMENT}",
    "*",
)


@pytest.fixture
def place(pipeline: Pipeline) -> Place:
    return roles.place(pipeline.deployment.services.aws, ENVIRONMENT, "any")


def session(pipeline: Pipeline, place: Place, part: str, **claims: str) -> str:
    """Exchange a token, and return who has the session."""
    aws = pipeline.deployment.services.aws
    keys = roles.exchanged(aws, place.role_arn(part), roles.token(**claims))
    caller: str = type(aws)(aws.url, aws.region, keys).client("sts").get_caller_identity()["Arn"]
    return caller


@pytest.mark.parametrize("part", POLICIES)
def test_the_job_that_a_role_is_for_has_it(pipeline: Pipeline, place: Place, part: str) -> None:
    caller = session(pipeline, place, part, sub=SUBJECTS[part])
    assert f":assumed-role/{place.role_name(part)}/" in caller


@pytest.mark.parametrize("part", POLICIES)
def test_no_other_job_has_it(pipeline: Pipeline, place: Place, part: str) -> None:
    for subject in (*STRANGERS, *(each for other, each in SUBJECTS.items() if other != part)):
        with pytest.raises(ClientError, match="AccessDenied"):
            session(pipeline, place, part, sub=subject)


@pytest.mark.parametrize("part", POLICIES)
@pytest.mark.parametrize(
    "claims",
    [{"aud": "https://github.com/huntaze"}, {"iss": "https://token.actions.example"}, {"iss": ISSUER + "/x"}],
)
def test_another_audience_or_issuer_does_not_have_it(
    pipeline: Pipeline, place: Place, part: str, claims: dict[str, str]
) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        session(pipeline, place, part, sub=SUBJECTS[part], **claims)


@pytest.mark.parametrize("part", POLICIES)
def test_a_role_of_the_account_does_not_have_it(pipeline: Pipeline, place: Place, part: str) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        roles.session(pipeline.deployment.services.aws, place.role_arn(part))


def test_a_second_bootstrap_changes_nothing(pipeline: Pipeline) -> None:
    planned = plan_stack(pipeline.deployment.workspace, BOOTSTRAP, "bootstrap", QUIET)
    assert planned.summary.changes == 0


@contextmanager
def audience(aws: Aws, name: str) -> Iterator[None]:
    """Let the account's provider have another audience: it cannot be changed here, so it is made again."""
    iam = aws.client("iam")

    def made_for(audience: str) -> None:
        (provider,) = iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
        iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=provider["Arn"])
        iam.create_open_id_connect_provider(Url=ISSUER, ClientIDList=[audience])

    made_for(name)
    try:
        yield
    finally:
        made_for(AUDIENCE)


def test_a_provider_that_the_account_has_is_used_if_it_has_the_audience(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    workspace = pipeline.deployment.workspace
    existing = replace(
        workspace,
        # With a state of its own.
        outdir=tmp_path / "cdktf.out",
        plans=tmp_path / "plans",
        environment={**workspace.environment, "GITHUB_OIDC_PROVIDER": "existing"},
    )
    synthesise(existing, [ENVIRONMENT])
    planned = plan_stack(existing, BOOTSTRAP, "bootstrap", QUIET)
    made = {change["type"] for change in planned.shown["resource_changes"]}
    assert {"aws_iam_role", "aws_s3_bucket"} < made
    assert "aws_iam_openid_connect_provider" not in made
    with (
        audience(pipeline.deployment.services.aws, "https://github.com/huntaze"),
        pytest.raises(OperatorError, match=f"lacks the audience {AUDIENCE}: add it there"),
    ):
        plan_stack(existing, BOOTSTRAP, "bootstrap", QUIET)
