"""Whether a policy allows a request: MiniStack's evaluator, with our fix of it.

Source: IAM user guide, "Policy evaluation logic" and "IAM JSON policy elements reference".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from ops.errors import OperatorError

Document = Mapping[str, Any]
Context = Mapping[str, str]
# How far a policy goes for a request: a refusal wins over what another policy allows.
DENY, SILENT, ALLOW = -1, 0, 1
# Principal, action, resource and context of a request; the answer is one of the three.
Ask = Callable[[str, str, str, Context], int]
SECURE: Final = "aws:securetransport"
SOURCE_IP: Final = "aws:sourceip"
SOME_IP: Final = "203.0.113.7"


def statements_of(document: Document) -> list[Document]:
    """Return the statements of a policy."""
    return [each for each in listed(document.get("Statement", [])) if isinstance(each, dict)]


def listed(value: Any) -> list[Any]:
    """Return the elements of a list, or one value as such."""
    return list(value) if isinstance(value, list) else [value]


def of_identity(document: Document) -> Ask:
    """Return what answers requests by the policy of a role or user."""
    evaluator = _evaluator()
    parsed = [evaluator.parse_policy_document(dict(document))]

    def ask(principal: str, action: str, resource: str, context: Context) -> int:
        return _answer(evaluator.evaluate(_request(principal, action, resource, context), parsed))

    return ask


def of_resource(document: Document) -> Ask:
    """Return what answers requests by the policy of a resource; a principal is an ARN or a service."""
    evaluator = _evaluator()
    settled = {**document, "Statement": [_settled(each) for each in statements_of(document)]}

    def ask(principal: str, action: str, resource: str, context: Context) -> int:
        service = "" if principal.startswith("arn:") else principal
        request = _request(principal, action, resource, context)
        return _answer(evaluator.evaluate_resource_policy(settled, request, service=service or None))

    return ask


@cache
def _evaluator() -> Any:
    """Load the evaluator, only when a policy is asked."""
    try:
        from ministack.core import iam_evaluator

        from ops.emulator.fixes import FIXES
    except ImportError:
        raise OperatorError("the policy evaluator is not installed: run `make setup`") from None

    next(fix for fix in FIXES if fix.name == "policy-evaluation").apply()
    return iam_evaluator


def _settled(statement: Document) -> dict[str, Any]:
    """Return a statement as the evaluator takes it: a trust policy names no resource, and some federation."""
    principal = statement.get("Principal", {})
    if isinstance(principal, dict) and "Federated" in principal:
        named = [*listed(principal.get("AWS", [])), *listed(principal["Federated"])]
        principal = {**principal, "AWS": named}
    return {"Resource": "*", **statement, "Principal": principal}


def _request(principal: str, action: str, resource: str, context: Context) -> Any:
    is_service = not principal.startswith("arn:")
    keys = {key: item for key, item in context.items() if key not in (SECURE, SOURCE_IP)}
    return _evaluator().EvalContext(
        principal_arn="*" if is_service else principal,
        principal_type="Service" if is_service else "AssumedRole",
        principal_account="" if is_service else principal.split(":")[4],
        action=action,
        resource_arn=resource,
        region="eu-west-1",
        source_ip=context.get(SOURCE_IP, SOME_IP),
        secure_transport=context.get(SECURE, "true") == "true",
        service_context={"aws:tagkeys": None, **keys},
    )


def _answer(result: Any) -> int:
    return {"Allow": ALLOW, "Deny": DENY}.get(result.decision, SILENT)
