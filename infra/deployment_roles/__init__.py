"""The roles of people and workflows that deploy an environment: plan, refresh and deploy.

Each part is derived from running Terraform on every variant of the stack under it: `tests/e2e` proves that
none refuses anything, and that each action of each statement is needed.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from infra.deployment_roles.boundary import boundary
from infra.deployment_roles.place import Place
from infra.deployment_roles.reads import reads
from infra.deployment_roles.writes import writes
from infra.policy import Statement, document

__all__ = [
    "AUDIENCE",
    "DEPLOY",
    "GITHUB",
    "NOT_SHOWN",
    "PLAN",
    "POLICIES",
    "REFRESH",
    "SUBJECTS",
    "Place",
    "boundary",
    "deploy",
    "documents",
    "plan",
    "refresh",
    "subject",
    "trust",
]

PLAN: Final = "plan"
REFRESH: Final = "refresh"
DEPLOY: Final = "deploy"
# GitHub's identity provider (GitHub, "Configuring OpenID Connect in Amazon Web Services").
GITHUB: Final = "token.actions.githubusercontent.com"
AUDIENCE: Final = "sts.amazonaws.com"
# Characters of one managed policy (IAM, "IAM and AWS STS quotas"); a role can have ten.
_LONGEST_POLICY: Final = 6144
_ANY_ACCOUNT: Final = "0" * 12
_LONGEST_PARTITION: Final = "aws-us-gov"


def plan(place: Place) -> list[Statement]:
    """For pull requests, whose code nobody has reviewed yet: it reads the state, which holds no secret."""
    return [
        Statement("FindState", ["s3:ListBucket"], [place.bucket(place.state_bucket)]),
        Statement("ReadState", ["s3:GetObject"], [place.state]),
    ]


def refresh(place: Place) -> list[Statement]:
    """For the plan that is approved: it reads the configuration, but no customer data and no secret value."""
    lock = Statement(
        "LockState", ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"], [f"{place.state}.tflock"]
    )
    return [*plan(place), lock, *reads(place)]


def deploy(place: Place) -> list[Statement]:
    """To apply after the approval: it changes what the stack consists of, and nothing else."""
    return [*refresh(place), Statement("WriteState", ["s3:PutObject"], [place.state]), *writes(place)]


POLICIES: Final[Mapping[str, Callable[[Place], list[Statement]]]] = MappingProxyType(
    {PLAN: plan, REFRESH: refresh, DEPLOY: deploy}
)
# Whom each role trusts: the end of the subject in GitHub's token (GitHub, "OpenID Connect reference").
SUBJECTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        PLAN: "pull_request",
        REFRESH: "ref:refs/heads/main",
        DEPLOY: "environment:{environment}",
    }
)
# What the embedded AWS is never asked for, and why AWS is.
NOT_SHOWN: Final[Mapping[str, str]] = MappingProxyType({})


def documents(part: str, place: Place) -> list[str]:
    """Write what a role may do as policies that each fit into IAM's quota, in as few as the order allows.

    They are split in the same places in each account and partition, which a synthesised stack does not know.
    """
    longest = POLICIES[part](replace(place, account_id=_ANY_ACCOUNT, partition=_LONGEST_PARTITION))
    pages: list[list[Statement]] = [[]]
    size: list[Statement] = []
    for statement, measured in zip(POLICIES[part](place), longest, strict=True):
        if len(document(*size, measured)) > _LONGEST_POLICY:
            pages.append([])
            size = []
        pages[-1].append(statement)
        size.append(measured)
    return [document(*page) for page in pages]


def trust(role: str, place: Place, repository: str) -> Statement:
    """Return the trust of a role: jobs of one GitHub repository, by the subject of their token.

    Parameters
    ----------
    repository
        As GitHub names it: OWNER/REPO.
    """
    provider = f"arn:{place.partition}:iam::{place.account_id}:oidc-provider/{GITHUB}"
    return Statement(
        f"Trust{role.title()}",
        ["sts:AssumeRoleWithWebIdentity"],
        [],
        {"Federated": provider},
        {"StringEquals": {f"{GITHUB}:aud": AUDIENCE, f"{GITHUB}:sub": subject(role, place, repository)}},
    )


def subject(role: str, place: Place, repository: str) -> str:
    """Return whom a role trusts, as the token of the job says it."""
    return f"repo:{repository}:{SUBJECTS[role].format(environment=place.environment)}"
