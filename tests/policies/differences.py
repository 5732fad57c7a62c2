"""What the two evaluators decide differently: corrected by our fix, or the oracle's own limit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from tests.policies.catalogue import CALLING, PROVIDERS, ROOTS
from tests.policies.request import Decision, Principal, Request, Statements
from tests.policies.shipped import ACCOUNT, REGION

QUEUE: Final = f"arn:aws:sqs:{REGION}:{ACCOUNT}:events"
ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/payments"
TABLE: Final = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/records"
SESSION: Final = Principal("AssumedRole", ACCOUNT, "payments")
EVENTS: Final = CALLING[0]


@dataclass(frozen=True)
class Corrected:
    """A request that MiniStack decides wrongly, and what AWS decides."""

    request: Request
    expected: Decision


@dataclass(frozen=True)
class Limit:
    """Requests that the oracle decides otherwise than AWS, or of which AWS documents no decision."""

    reason: str
    holds: Callable[[Request], bool]
    # A request that shows it.
    example: Request


def _sent(condition: dict[str, dict[str, str | list[str]]], *, deny: bool = False, **context: str) -> Request:
    """EventBridge sends to a queue whose policy has a condition."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": EVENTS.name},
        "Action": "sqs:SendMessage",
        "Resource": QUEUE,
    }
    refused = [{**statement, "Effect": "Deny", "Condition": condition}]
    attached: Statements = [statement, *refused] if deny else [{**statement, "Condition": condition}]
    given: dict[str, str | list[str]] = {key.replace("_", ":"): value for key, value in context.items()}
    return Request(EVENTS, "sqs:SendMessage", QUEUE, ACCOUNT, given, attached=attached)


def _written(condition: dict[str, dict[str, str | list[str]]], **context: list[str]) -> Request:
    """A role's session writes to a table, under a policy with a condition."""
    statement = {"Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": TABLE, "Condition": condition}
    given: dict[str, str | list[str]] = {key.replace("_", ":"): value for key, value in context.items()}
    return Request(SESSION, "dynamodb:PutItem", TABLE, ACCOUNT, given, identity=([statement],))


def _received(named: object) -> Request:
    """A role's session receives from a queue whose policy names a principal."""
    statement = {"Effect": "Allow", "Principal": named, "Action": "sqs:ReceiveMessage", "Resource": QUEUE}
    return Request(SESSION, "sqs:ReceiveMessage", QUEUE, ACCOUNT, attached=[statement])


def _assumed(principal: Principal, statement: dict[str, object]) -> Request:
    action = "sts:AssumeRoleWithWebIdentity" if principal.kind == "WebIdentityUser" else "sts:AssumeRole"
    return Request(
        principal, action, ROLE, ACCOUNT, attached=[{"Effect": "Allow", "Action": action, **statement}]
    )


CORRECTED: Final = {
    "a wildcard of ArnLike stays within its part of the ARN": Corrected(
        _sent(
            {"ArnLike": {"aws:SourceArn": f"arn:aws:events:*:{ACCOUNT}:rule/payments"}},
            aws_SourceArn=f"arn:aws:events:{REGION}:210987654321:archive:{ACCOUNT}:rule/payments",
        ),
        "ImplicitDeny",
    ),
    "ArnNotLike holds for an ARN that a wildcard would reach over a colon": Corrected(
        _sent(
            {"ArnNotLike": {"aws:SourceArn": f"arn:aws:events:*:{ACCOUNT}:rule/payments"}},
            aws_SourceArn=f"arn:aws:events:{REGION}:210987654321:archive:{ACCOUNT}:rule/payments",
        ),
        "Allow",
    ),
    "ArnEquals compares each part of the ARN": Corrected(
        _sent(
            {"ArnEquals": {"aws:SourceArn": "arn:*:rule/payments"}},
            aws_SourceArn="arn:aws:events:::rule/payments",
        ),
        "ImplicitDeny",
    ),
    "a key with many values satisfies no operator for one value": Corrected(
        _written({"StringLike": {"dynamodb:LeadingKeys": "*"}}, dynamodb_LeadingKeys=["one", "other"]),
        "ImplicitDeny",
    ),
    "nor its negation": Corrected(
        _written({"StringNotEquals": {"dynamodb:LeadingKeys": "third"}}, dynamodb_LeadingKeys=["one"]),
        "ImplicitDeny",
    ),
    "a service has no aws:PrincipalAccount": Corrected(
        _sent({"Null": {"aws:PrincipalAccount": "false"}}), "ImplicitDeny"
    ),
    "a service has no aws:PrincipalArn": Corrected(
        _sent({"StringLike": {"aws:PrincipalArn": "*"}}, deny=True), "Allow"
    ),
    "a service call without tags has no aws:TagKeys": Corrected(
        _sent({"StringEqualsIfExists": {"aws:TagKeys": "team"}}), "Allow"
    ),
    "aws:PrincipalArn of a session is the ARN of its role": Corrected(
        _written({"ArnEquals": {"aws:PrincipalArn": ROLE}}), "Allow"
    ),
    "a web identity has no aws:PrincipalAccount": Corrected(
        _assumed(
            PROVIDERS[0],
            {
                "Principal": {"Federated": PROVIDERS[0].arn},
                "Condition": {"Null": {"aws:PrincipalAccount": "true"}},
            },
        ),
        "Allow",
    ),
    "the root user is not a service": Corrected(
        _assumed(ROOTS[0], {"Principal": {"Service": "lambda.amazonaws.com"}}), "ImplicitDeny"
    ),
}


def _names_aws(request: Request) -> bool:
    """Whether a statement names IAM principals: in `AWS`, or as `*`."""
    return any(
        principal == "*" or (isinstance(principal, dict) and "AWS" in principal)
        for principal in (statement.get("Principal") for statement in request.attached or ())
    )


def _names_everyone(request: Request) -> bool:
    return any(statement.get("Principal") in ("*", {"AWS": "*"}) for statement in request.attached or ())


LIMITS: Final = {
    "web identity": Limit(
        "the oracle takes the provider of a web identity for a principal of the account; AWS does not",
        lambda request: request.principal.kind == "WebIdentityUser" and _names_aws(request),
        _assumed(PROVIDERS[0], {"Principal": {"AWS": ACCOUNT}}),
    ),
    "everyone within a boundary": Limit(
        "the oracle lets `Principal: *` pass a boundary that does not allow; AWS says this only of the ARN "
        'of a user or a session ("Permissions boundaries for IAM entities")',
        lambda request: request.boundary is not None and _names_everyone(request),
        replace(_received("*"), boundary=[{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]),
    ),
    "session named by the resource": Limit(
        "the oracle applies a session policy also where the resource names the session itself; AWS does not "
        '("Session policies")',
        lambda request: request.session is not None and f"'{request.principal.arn}'" in str(request.attached),
        replace(
            _received({"AWS": SESSION.arn}),
            session=[{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
        ),
    ),
}


# Not generated: policy variables, which MiniStack does not replace; NotPrincipal, which it never matches;
# `ForAnyValue:…IfExists`, for which AWS documents no result; a wildcard that reaches over a colon of
# `Resource`, which AWS allows and the oracle refuses; conditions on the time. No shipped policy has the first
# three or the last: `test_shipped_policies_use_only_what_is_compared`.
