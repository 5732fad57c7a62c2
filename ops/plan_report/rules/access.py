"""Rules about rights: who gains and who loses what, by the evaluation of both policies."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from ops.plan_report import policies
from ops.plan_report.attributes import ABSENT, UNKNOWN, Word
from ops.plan_report.changes import ChangeKind
from ops.plan_report.findings import Hit
from ops.plan_report.owners import is_new_with_owner
from ops.plan_report.plan import Plan, Resource, decoded
from ops.plan_report.policies import Comparison, Right
from ops.plan_report.policy_requests import ANYONE, UnreadableError
from ops.plan_report.text import code, listed

ROLE_POLICY: Final = "aws_iam_role_policy"
ROLE: Final = "aws_iam_role"
PERMISSION: Final = "aws_lambda_permission"
ATTACHMENT: Final = "aws_iam_role_policy_attachment"
# The argument with the policy.
POLICIES: Final[Mapping[str, str]] = {
    ROLE: "assume_role_policy",
    ROLE_POLICY: "policy",
    "aws_cloudwatch_event_bus_policy": "policy",
    "aws_cloudwatch_log_resource_policy": "policy_document",
    "aws_kms_key": "policy",
    "aws_s3_bucket_policy": "policy",
    "aws_secretsmanager_secret_policy": "policy",
    "aws_sns_topic": "policy",
    "aws_sns_topic_policy": "policy",
    "aws_sqs_queue_policy": "policy",
}
EMPTY: Final[Mapping[str, Any]] = {"Statement": []}
ACCOUNT: Final = re.compile(r"arn:aws[a-z-]*:[a-z0-9-]*:[a-z0-9-]*:(\d{12}):")
# Actions that open or delete something, or pass it to others.
GRAVE: Final = re.compile(
    r":(Delete(?!Message|Item|LogStream)|Purge|Schedule|Disable|CreateGrant|PassRole|AssumeRole|(Put|Set|Add|Attach)\w*"
    r"(Policy|Permission)|Update\w*Policy)"
)
ABUSE: Final = (
    "events, customers' data or the stack itself can be read, forged or deleted by more than need it"
)


@dataclass(frozen=True)
class Changed:
    """A policy that changes, and the rights that this gives and takes; None if they can't be evaluated."""

    resource: Resource
    rights: Comparison | None
    is_unknown: bool = False


def access_widened(plan: Plan) -> Iterator[Hit]:
    """A right is gained outside the account, or with a wildcard, or to open or delete something."""
    yield from _gained(plan, grave=True)
    for attached in plan.changing(ATTACHMENT):
        if attached.change is not ChangeKind.DESTROY:
            arn = attached.will_be("policy_arn")
            what = "a policy" if isinstance(arn, Word) else code(str(arn))
            yield Hit(
                attached.address,
                f"a role gets {what}, which the plan does not show",
                ABUSE,
                "grant the actions in the role's own policy",
            )


def access_gained(plan: Plan) -> Iterator[Hit]:
    """A role or service of the account gains a right on something that exists."""
    yield from _gained(plan, grave=False)


def access_refused(plan: Plan) -> Iterator[Hit]:
    """An AWS service loses the right to deliver."""
    yield from _lost(plan, of_service=True)


def access_lost(plan: Plan) -> Iterator[Hit]:
    """A role loses a right."""
    yield from _lost(plan, of_service=False)


def access_unknown(plan: Plan) -> Iterator[Hit]:
    """A policy whose change can't be evaluated."""
    for changed in _changed(plan):
        if changed.rights is None:
            unknown = "it names what only the apply knows"
            why = unknown if changed.is_unknown else "it has an element that can't be tried"
            yield Hit(changed.resource.address, f"the policy changes, and {why}", do="compare it in the code")


def unchanged_rights(plan: Plan) -> frozenset[str]:
    """Return the addresses of policies that were written in another way and give the same rights."""
    return frozenset(each.resource.address for each in _changed(plan) if each.rights is not None)


def _gained(plan: Plan, *, grave: bool) -> Iterator[Hit]:
    account = _account(plan)
    for changed in _changed(plan):
        rights = changed.rights.gained if changed.rights else ()
        moved = {_place(right) for right in _of_gone(plan, changed)}
        rights = tuple(right for right in rights if _place(right) not in moved)
        is_new = is_new_with_owner(plan, changed.resource)
        chosen = [right for right in rights if _is_grave(right, account, is_new=is_new) is grave]
        if is_new and not grave:
            continue
        for principal, sentence in policies.described(chosen, listed):
            who = "anyone" if principal == ANYONE else code(principal)
            yield Hit(
                changed.resource.address,
                f"{who} may newly use {sentence}",
                ABUSE if grave else "",
                "allow only what the function or service needs" if grave else "",
            )


def _lost(plan: Plan, *, of_service: bool) -> Iterator[Hit]:
    for changed in _changed(plan):
        if changed.rights is None or changed.resource.change is ChangeKind.CREATE:
            continue
        gone = _of_gone(plan, changed)
        rights = [right for right in changed.rights.lost if right not in gone]
        chosen = [right for right in rights if right.principal.endswith(".amazonaws.com") is of_service]
        for principal, sentence in policies.described(chosen, listed):
            who = "anyone" if principal == ANYONE else code(principal)
            yield Hit(
                changed.resource.address,
                f"{who} may no longer use {sentence}",
                "its deliveries are refused: events go to a dead-letter queue, or are lost"
                if of_service
                else "",
                "keep the statement, or remove what delivers" if of_service else "",
            )


def _of_gone(plan: Plan, changed: Changed) -> tuple[Right, ...]:
    """Return the rights that are lost with their rule or log group, which the plan deletes or replaces."""
    gone = [each.was("arn") for each in plan.resources if each.is_lost and isinstance(each.was("arn"), str)]
    lost = changed.rights.lost if changed.rights else ()
    return tuple(right for right in lost if any(arn in right.condition + right.resource for arn in gone))


def _place(right: Right) -> tuple[str, str, str]:
    return right.principal, right.action, right.resource


@lru_cache(maxsize=8)
def _changed(plan: Plan) -> tuple[Changed, ...]:
    found = []
    for resource in plan.changing(*POLICIES, PERMISSION):
        if resource.change is ChangeKind.FORGET:
            continue
        removed = resource.change is ChangeKind.DESTROY
        if plan.goes_with_owner(resource) or (removed and resource.type in (ROLE, "aws_kms_key")):
            continue
        before, after = (_document(resource, side) for side in (resource.before, resource.after))
        if before == after:
            continue
        found.append(Changed(resource, _compared(resource, before, after), after is UNKNOWN))
    return tuple(found)


def _compared(resource: Resource, before: Any, after: Any) -> Comparison | None:
    role = ""
    if resource.type == ROLE_POLICY:
        names = [each for each in resource.sides("role") if isinstance(each, str)]
        role = names[0] if names else resource.address
    if not isinstance(before, dict) or not isinstance(after, dict):
        return None
    try:
        return policies.compare(before, after, role=role)
    except (UnreadableError, ValueError, AttributeError, TypeError):
        # A document that is not a policy.
        return None


def _document(resource: Resource, side: Any) -> Any:
    """Return the policy of a side; an empty one where there is none, a `Word` where it is unknown."""
    if side is ABSENT:
        return EMPTY
    if resource.type == PERMISSION:
        return _permission(side)
    text = side.get(POLICIES[resource.type], ABSENT) if isinstance(side, dict) else side
    return EMPTY if text in (ABSENT, "") else decoded(text)


def _permission(side: Mapping[str, Any]) -> Any:
    """Return the statement that Lambda adds to the policy of a function."""
    given = {
        name: side.get(name, ABSENT)
        for name in ("principal", "action", "function_name", "source_arn", "source_account")
    }
    if any(each is UNKNOWN for each in given.values()):
        return UNKNOWN
    principal = str(given["principal"])
    named: Any = {"Service": principal} if principal.endswith(".amazonaws.com") else {"AWS": principal}
    condition = {}
    if isinstance(given["source_arn"], str):
        condition["ArnLike"] = {"aws:SourceArn": given["source_arn"]}
    if isinstance(given["source_account"], str):
        condition["StringEquals"] = {"aws:SourceAccount": given["source_account"]}
    return {
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": "*" if principal == "*" else named,
                "Action": given["action"],
                "Resource": given["function_name"],
                **({"Condition": condition} if condition else {}),
            }
        ]
    }


def _is_grave(right: Right, account: str, *, is_new: bool) -> bool:
    owner = ACCOUNT.match(right.principal + ":")
    is_outside = right.principal == ANYONE or (bool(owner) and owner is not None and owner[1] != account)
    is_outside |= right.principal.isdecimal() and right.principal != account
    if is_new:
        return is_outside or (right.action == "*" and right.resource in ("*", ""))
    is_wide = "*" in right.action or right.resource == "*"
    return is_outside or is_wide or bool(GRAVE.search(right.action))


@lru_cache(maxsize=8)
def _account(plan: Plan) -> str:
    """Return the account of the stack, by the ARNs of its resources; "" if none has one."""
    found = (
        ACCOUNT.match(arn) for each in plan.resources for arn in each.sides("arn") if isinstance(arn, str)
    )
    counts = Counter(match[1] for match in found if match)
    return counts.most_common(1)[0][0] if counts else ""
