"""The roles that `bootstrap` creates are had by the one job that each is for."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from infra.deployment_roles import DEPLOY, PLAN, POLICIES, REFRESH, Place
from ops.local import roles
from ops.local.deployment import ENVIRONMENT
from tests.e2e.pipeline import Pipeline

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
