"""The roles of docs/github.md in an embedded AWS, made from the code."""

from __future__ import annotations

import json
from typing import Any, Final

from infra.deployment_roles import POLICIES, Place, boundary, documents
from infra.resources.policy import document
from ops.local.clients import Aws, Credentials

_SESSION: Final = "local"


def place(aws: Aws, environment: str, state_bucket: str) -> Place:
    """Return where an environment is in an embedded AWS."""
    account = aws.client("sts").get_caller_identity()["Account"]
    return Place(account, aws.region, environment, state_bucket)


def make_boundary(aws: Aws, place: Place) -> str:
    """Create the permissions boundary of the stack's roles, or write it again; return its ARN."""
    _write(aws, place.boundary_arn, document(*boundary(place)))
    return place.boundary_arn


def assumed(aws: Aws, part: str, place: Place) -> Credentials:
    """Create a role or write its policies again, and return the credentials of a session of it.

    Parameters
    ----------
    part
        Which role: plan, refresh or deploy.
    """
    iam, name = aws.client("iam"), place.role_name(part)
    account = f"arn:{place.partition}:iam::{place.account_id}"
    try:
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(_trust(f"{account}:root")))
    except iam.exceptions.EntityAlreadyExistsException:
        for old in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=name, PolicyArn=old["PolicyArn"])
    for number, text in enumerate(documents(POLICIES[part](place)), start=1):
        arn = f"{account}:policy/{name}-{number}"
        _write(aws, arn, text)
        iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    return session(aws, f"{account}:role/{name}")


def _write(aws: Aws, policy_arn: str, text: str) -> None:
    """Create a managed policy, or replace its document."""
    iam = aws.client("iam")
    try:
        iam.create_policy(PolicyName=policy_arn.rpartition("/")[2], PolicyDocument=text)
    except iam.exceptions.EntityAlreadyExistsException:
        for version in iam.list_policy_versions(PolicyArn=policy_arn)["Versions"]:
            if not version["IsDefaultVersion"]:
                iam.delete_policy_version(PolicyArn=policy_arn, VersionId=version["VersionId"])
        iam.create_policy_version(PolicyArn=policy_arn, PolicyDocument=text, SetAsDefault=True)


def session(aws: Aws, role_arn: str) -> Credentials:
    """Return the credentials of a new session of a role."""
    given = aws.client("sts").assume_role(RoleArn=role_arn, RoleSessionName=_SESSION)["Credentials"]
    return Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])


def _trust(principal: str) -> dict[str, Any]:
    """Trust whoever runs the embedded AWS, in place of GitHub."""
    statement = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}
