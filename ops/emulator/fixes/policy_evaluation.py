"""Decide conditions and principals of policies as IAM does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from ministack.core import iam_evaluator
from ministack.services import iam

from ops.emulator.patching import original, replace

_ARN_PARTS: Final = 6
_PRINCIPAL_KEYS: Final = frozenset(
    {"aws:principalaccount", "aws:principalarn", "aws:principalorgid", "aws:principaltype"}
)
# Callers that IAM does not know: AWS services, and web identities before they have a role.
_STRANGERS: Final = frozenset({"Service", "WebIdentityUser"})


def apply() -> None:
    """Replace the comparison of ARNs, of lists and of principals.

    Raises
    ------
    EmulatorError
        MiniStack has no such function.
    """
    original(iam_evaluator, "_CONDITION_OPS").update(
        arnequals=_arn_matches,
        arnlike=_arn_matches,
        arnnotequals=_arn_differs,
        arnnotlike=_arn_differs,
    )
    for name, replacement in (
        ("_evaluate_single_condition", _condition),
        ("_resolve_condition_key", _key),
        ("_principal_matches", _names),
    ):
        replace(iam_evaluator, name, partial(replacement, original(iam_evaluator, name)))


def _arn_matches(actual: str, expected: str) -> bool:
    """Compare the six parts of two ARNs one by one: a wildcard does not reach over a colon.

    "Amazon Resource Name (ARN) condition operators" (IAM): each of the six colon-delimited components of the
    ARN is checked separately. MiniStack compares the whole text.
    """
    parts, patterns = actual.split(":", _ARN_PARTS - 1), expected.split(":", _ARN_PARTS - 1)
    if len(parts) != _ARN_PARTS or len(patterns) != _ARN_PARTS:
        return False
    return all(map(iam_evaluator.fnmatch_iam_cs, parts, patterns))


def _arn_differs(actual: str, expected: str) -> bool:
    return not _arn_matches(actual, expected)


def _condition(evaluate: Callable[..., bool], operator: str, actual: Any, expected: list[str]) -> bool:
    """Decide a condition; many values satisfy no operator without `ForAllValues:` or `ForAnyValue:`.

    "Single-valued vs. multivalued context keys" (IAM). MiniStack compares with the list written as text.
    """
    if isinstance(actual, list) and ":" not in operator and operator.lower() != "null":
        return False
    return evaluate(operator, actual, expected)


def _key(resolve: Callable[..., Any], key: str, ctx: Any) -> Any:
    """Return the value of a context key, or None.

    "Properties of the principal" (AWS global condition context keys): the `aws:PrincipalArn` of a session is
    the ARN of its role, and a service has no such key. MiniStack gives the session's ARN, and `*` for a
    service. It also gives an empty list for tags that a request does not have.
    """
    name = key.lower()
    if name in _PRINCIPAL_KEYS and ctx.principal_type in _STRANGERS:
        return ctx.service_context.get(name)
    if name == "aws:principalarn" and ctx.principal_type == "AssumedRole":
        return _role_arn(ctx.principal_arn, ctx.principal_account)
    value = resolve(key, ctx)
    return None if value == [] else value


def _role_arn(session_arn: str, account: str) -> str:
    """Return the ARN of a session's role: of the stored role, which may have a path."""
    name = session_arn.partition(":assumed-role/")[2].partition("/")[0]
    stored = iam._roles.get_scoped(account, None, name) or {}
    arn: str = stored.get("Arn") or f"arn:aws:iam::{account}:role/{name}"
    return arn


def _names(matches: Callable[..., bool], principal: Any, caller_arn: str) -> bool:
    """Return whether a `Principal` names the caller.

    MiniStack takes the root user for each service that a policy names.
    """
    if isinstance(principal, dict):
        principal = {kind: named for kind, named in principal.items() if kind != "Service"}
    return matches(principal, caller_arn)
