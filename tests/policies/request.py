"""A request as both evaluators see it: who asks for what, with which context, under which policies."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from tests.policies.shipped import REGION

Decision = Literal["Allow", "Deny", "ImplicitDeny"]
PrincipalKind = Literal["Root", "User", "AssumedRole", "WebIdentityUser", "Service"]
Statements = list[dict[str, Any]]
# Keys with any number of values; each other key has one ("Single-valued vs. multivalued context keys", IAM).
MULTIVALUED: Final = frozenset(
    {
        "aws:calledvia",
        "aws:tagkeys",
        "dynamodb:attributes",
        "dynamodb:leadingkeys",
        "kms:encryptioncontextkeys",
    }
)
SOURCE_IP: Final = "203.0.113.7"


@dataclass(frozen=True)
class Principal:
    """Who asks: the root user, an IAM user, a role's session, a web identity's provider, or an AWS service.

    The kinds are MiniStack's names for them.
    """

    kind: PrincipalKind
    account: str
    name: str

    @property
    def arn(self) -> str:
        """What a policy's `Principal` names: an ARN, or the service."""
        return {
            "Root": f"arn:aws:iam::{self.account}:root",
            "User": f"arn:aws:iam::{self.account}:user/{self.name}",
            "AssumedRole": f"arn:aws:sts::{self.account}:assumed-role/{self.name}/session",
            "WebIdentityUser": f"arn:aws:iam::{self.account}:oidc-provider/{self.name}",
            "Service": self.name,
        }[self.kind]

    @property
    def issuer(self) -> str:
        """The IAM user or role, without the session."""
        return f"arn:aws:iam::{self.account}:role/{self.name}" if self.kind == "AssumedRole" else self.arn

    @property
    def keys(self) -> dict[str, str]:
        """The principal's context keys ("Properties of the principal", AWS global condition context keys).

        A session's `aws:PrincipalArn` is the ARN of its role. A service or a web identity has no such key.
        """
        if self.kind in ("WebIdentityUser", "Service"):
            return {}
        return {
            "aws:PrincipalArn": self.issuer,
            "aws:PrincipalAccount": self.account,
            "aws:PrincipalType": "Account" if self.kind == "Root" else self.kind,
        }


@dataclass(frozen=True)
class Request:
    """One request, and the policies that decide it; a policy that is None does not exist."""

    principal: Principal
    action: str
    resource: str
    # The account that owns the resource.
    owner: str
    context: dict[str, str | list[str]] = field(default_factory=dict)
    secure: bool = True
    identity: tuple[Statements, ...] = ()
    attached: Statements | None = None
    boundary: Statements | None = None
    session: Statements | None = None

    @property
    def trust(self) -> bool:
        """Whether the policy of the resource is a role's trust policy."""
        return self.action.lower().startswith("sts:assumerole")

    def statements(self) -> Statements:
        """The statements of all policies."""
        policies = (*self.identity, self.attached, self.boundary, self.session)
        return [statement for policy in policies for statement in policy or ()]

    def full_context(self) -> dict[str, str | list[str]]:
        """The keys of the request, of the principal, and those that AWS adds to each request."""
        return {
            **self.principal.keys,
            "aws:SecureTransport": str(self.secure).lower(),
            "aws:SourceIp": SOURCE_IP,
            "aws:RequestedRegion": REGION,
            **self.context,
        }


def document(statements: Statements) -> dict[str, Any]:
    """A policy of statements."""
    return {"Version": "2012-10-17", "Statement": statements}
