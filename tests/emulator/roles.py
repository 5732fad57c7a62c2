"""Roles of the tests."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from infra.policy import Statement
from ops.local.clients import Aws, Credentials

ACCOUNT = "000000000000"
ADMINISTRATOR = f"arn:aws:iam::{ACCOUNT}:role/administrator"
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
OPERATOR = "operator-"
SERVICES = ["lambda.amazonaws.com", "scheduler.amazonaws.com"]


def policy(*statements: dict[str, Any]) -> str:
    """Write a policy document."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def trust(**principal: Any) -> str:
    """Write a trust policy."""
    return policy({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"})


def role(aws: Aws, name: str, *statements: dict[str, Any], trusted: str | None = None) -> str:
    """Create a role with these rights, which functions, schedules and the run may assume; return its ARN."""
    iam = aws.client("iam")
    trusted = trusted or trust(Service=SERVICES, AWS=f"arn:aws:iam::{ACCOUNT}:root")
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusted)["Role"]["Arn"]
    if statements:
        iam.put_role_policy(RoleName=name, PolicyName="it", PolicyDocument=policy(*statements))
    return arn


def operator(aws: Aws, name: str, statements: Iterable[Statement]) -> str:
    """Create the role operator-NAME with these statements alone, and return its ARN."""
    return role(aws, f"{OPERATOR}{name}", *(each.render() for each in statements))


def administrator(aws: Aws) -> None:
    """Create the role of functions that may do everything, unless an earlier process left it in the state."""
    if "administrator" not in (each["RoleName"] for each in aws.client("iam").list_roles()["Roles"]):
        role(aws, "administrator", EVERYTHING)


def session(aws: Aws, role_arn: str) -> Aws:
    """Return the embedded AWS for a client that has assumed a role."""
    given = aws.client("sts").assume_role(RoleArn=role_arn, RoleSessionName="tests")["Credentials"]
    keys = Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    return Aws(aws.url, aws.region, keys)
