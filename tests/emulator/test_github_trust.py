"""The trust of the roles for GitHub accepts the one job that each is for."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from infra.deployment_roles import DEPLOY, PLAN, POLICIES, REFRESH, Place, documents, trust
from infra.resources.policy import document
from ops.local.clients import Aws
from tests.emulator.process import Emulator
from tests.emulator.roles import ACCOUNT

REPOSITORY = "huntaze/stripe"
ISSUER = "https://token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"
SUBJECTS = {
    PLAN: f"repo:{REPOSITORY}:pull_request",
    REFRESH: f"repo:{REPOSITORY}:ref:refs/heads/main",
    DEPLOY: f"repo:{REPOSITORY}:environment:dev",
}
# Tokens of other jobs, of which none may have a role.
STRANGERS = (
    f"repo:{REPOSITORY}:environment:prod",
    f"repo:{REPOSITORY}:ref:refs/heads/other",
    f"repo:{REPOSITORY}:ref:refs/tags/main",
    "repo:huntaze/other:pull_request",
    "repo:other/stripe:environment:dev",
    "*",
)


@pytest.fixture(scope="module")
def place(emulator: Emulator) -> Place:
    """An environment whose roles exist, with the trust of the documentation."""
    aws = emulator.aws
    where = Place(ACCOUNT, aws.region, "dev", "state")
    iam = aws.client("iam")
    iam.create_open_id_connect_provider(Url=ISSUER, ClientIDList=[AUDIENCE])
    for part, policy in POLICIES.items():
        name = where.role_name(part)
        trusted = document(trust(part, where, REPOSITORY))
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusted)
        for number, text in enumerate(documents(policy(where))):
            made = iam.create_policy(PolicyName=f"{name}-{number}", PolicyDocument=text)["Policy"]
            iam.attach_role_policy(RoleName=name, PolicyArn=made["Arn"])
    return where


def token(**claims: str) -> str:
    """A token as GitHub writes it, but for the signature."""

    def encoded(part: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")

    return f"{encoded({'alg': 'RS256', 'typ': 'JWT'})}.{encoded(claims)}.c2lnbmF0dXJl"


def assume(aws: Aws, place: Place, part: str, **claims: str) -> httpx.Response:
    """Exchange a token for a session; signed with the run's key, because nobody else is served."""
    scope = f"{aws.credentials.access_key_id}/20260401/{aws.region}/sts/aws4_request"
    return httpx.post(
        aws.url,
        data={
            "Action": "AssumeRoleWithWebIdentity",
            "Version": "2011-06-15",
            "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/{place.role_name(part)}",
            "RoleSessionName": "job",
            "WebIdentityToken": token(**{"iss": ISSUER, "aud": AUDIENCE, **claims}),
        },
        headers={"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"},
        trust_env=False,
    )


def is_refused(answer: httpx.Response) -> bool:
    return answer.status_code == 403 and "<Code>AccessDenied</Code>" in answer.text


@pytest.mark.parametrize("part", POLICIES)
def test_the_job_that_a_role_is_for_has_it(emulator: Emulator, place: Place, part: str) -> None:
    answer = assume(emulator.aws, place, part, sub=SUBJECTS[part])
    assert answer.status_code == 200
    assert f":assumed-role/{place.role_name(part)}/job</Arn>" in answer.text


@pytest.mark.parametrize("part", POLICIES)
def test_no_other_job_has_it(emulator: Emulator, place: Place, part: str) -> None:
    for subject in (*STRANGERS, *(each for other, each in SUBJECTS.items() if other != part)):
        assert is_refused(assume(emulator.aws, place, part, sub=subject)), subject


@pytest.mark.parametrize("part", POLICIES)
@pytest.mark.parametrize(
    "claims",
    [{"aud": "https://github.com/huntaze"}, {"iss": "https://token.actions.example"}, {"iss": ISSUER + "/x"}],
)
def test_another_audience_or_issuer_does_not_have_it(
    emulator: Emulator, place: Place, part: str, claims: dict[str, str]
) -> None:
    assert is_refused(assume(emulator.aws, place, part, sub=SUBJECTS[part], **claims))


@pytest.mark.parametrize("part", POLICIES)
def test_a_role_of_the_account_does_not_have_it(emulator: Emulator, place: Place, part: str) -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:role/{place.role_name(part)}"
    with pytest.raises(ClientError, match="AccessDenied"):
        emulator.aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="somebody")
