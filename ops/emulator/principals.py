"""Questions about calls: of a role's session, of an AWS service, and of a service that assumes a role."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ministack.core import iam_evaluator, responses
from ministack.services import iam

from ops.emulator.permissions import DECISIONS, Call, Policy, Question, Rule, context_of

EVENTS: Final = "events.amazonaws.com"
LAMBDA: Final = "lambda.amazonaws.com"
SCHEDULER: Final = "scheduler.amazonaws.com"


def by_role(
    role_arn: str,
    session: str,
    action: str,
    resource: str,
    keys: Mapping[str, Any] | None = None,
    *,
    policy: Policy | None = None,
    rule: Rule = "either",
) -> bool:
    """Decide about a call that an AWS service makes with a role.

    Parameters
    ----------
    keys
        Condition keys of the call.
    policy, rule
        The policy of the resource, and whether it must allow too.
    """
    name = role_name(role_arn)
    caller = f"arn:aws:sts::{responses.get_account_id()}:assumed-role/{name}/{session}"
    call = Call(caller, action, resource, context_of({"aws:SecureTransport": "true"} | dict(keys or {})))
    return DECISIONS.about(Question(call, role_policies(name), policy, role_limits(name), rule))


def refused(
    role_arn: str, session: str, actions: Sequence[str], resource: str, *rest: Any, **options: Any
) -> list[str]:
    """Return the actions that `by_role` refuses; it asks all, so that one refusal does not hide the next."""
    return [
        action for action in actions if not by_role(role_arn, session, action, resource, *rest, **options)
    ]


def by_service(
    service: str,
    action: str,
    resource: str,
    policy: Policy,
    source_arn: str | None,
    keys: Mapping[str, Any] | None = None,
) -> bool:
    """Decide about a call of an AWS service, which only the policy of the called resource can allow.

    Parameters
    ----------
    source_arn
        The resource of the account for which the service calls; it sends its ARN and its account (IAM user
        guide, "The confused deputy problem"). None for the few calls that are sent without.
    """
    account = responses.get_account_id()
    source = {"aws:SourceArn": source_arn, "aws:SourceAccount": account} if source_arn else {}
    context = context_of({"aws:SecureTransport": "true"} | source | dict(keys or {}))
    return DECISIONS.about(Question(Call(service, action, resource, context), resource=policy))


def is_assumable(role_arn: str, service: str, source_arn: str) -> bool:
    """Whether the trust policy of an existing role lets a service assume it for a resource."""
    name = role_name(role_arn)
    role = iam._roles.get(name)
    if role is None:
        return False
    trust = Policy(f"trust policy of role {name}", _text(role.get("AssumeRolePolicyDocument")))
    return by_service(service, "sts:AssumeRole", role_arn, trust, source_arn)


def role_name(role_arn: str) -> str:
    """Return the name of a role from its ARN, which may have a path."""
    return role_arn.rsplit("/", 1)[-1]


def role_policies(name: str) -> tuple[Policy, ...]:
    """Return the inline and attached policies of a role; none if it doesn't exist."""
    role = iam._roles.get(name) or {}
    inline = [
        Policy(f"role {name}", _text(document)) for document in (role.get("InlinePolicies") or {}).values()
    ]
    return (*inline, *(_managed(arn) for arn in role.get("AttachedPolicies", [])))


def role_limits(name: str) -> tuple[Policy, ...]:
    """Return the permissions boundary of a role, if it has one."""
    boundary = (iam._roles.get(name) or {}).get("PermissionsBoundary")
    return (_managed(boundary),) if boundary else ()


def _managed(arn: str) -> Policy:
    document = iam_evaluator._resolve_managed_policy_document(arn, responses.get_account_id())
    return Policy(f"policy {arn.rsplit('/', 1)[-1]}", _text(document))


def _text(document: Any) -> str:
    return document if isinstance(document, str) else json.dumps(document or {})
