"""Who gains and who loses what when a policy changes, by evaluating requests and not by comparing text.

Both documents name actions, resources, principals and conditions. Of these we make requests: each name as it
is, each wildcard as something that it alone matches, and each condition met, missed and absent. MiniStack's
evaluator, with our fix of it, answers each request under the document before and the one after; a difference
is a gain or a loss, however either document is written.

Source: IAM user guide, "Policy evaluation logic" and "IAM JSON policy elements reference".
"""

from __future__ import annotations

import ipaddress
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any, Final

Document = Mapping[str, Any]
Context = Mapping[str, str]
ANYONE: Final = "anyone"
# A principal, a value and an account that no document names.
STRANGER: Final = "arn:aws:iam::210987654321:role/stranger"
OTHER: Final = "x-other-x"
OTHER_ARN: Final = "arn:aws:other:eu-west-1:210987654321:x-other-x"
SECURE: Final = "aws:securetransport"
SOURCE_IP: Final = "aws:sourceip"
SOME_IP: Final = "203.0.113.7"
# Elements that name everything but something: a request of what they name says little about the rest.
INVERTED: Final = ("NotAction", "NotResource", "NotPrincipal")
# Values of one condition that are tried.
TRIED: Final = 8
SERVICE_PART: Final = 2


class UnreadableError(Exception):
    """A document has an element that we can't make requests of."""


@dataclass(frozen=True, order=True)
class Right:
    """What a principal may do: names as a document writes them, and the condition, "" if there is none."""

    principal: str
    action: str
    resource: str
    condition: str = ""


@dataclass(frozen=True)
class Comparison:
    """The rights that a change gives and takes."""

    gained: tuple[Right, ...]
    lost: tuple[Right, ...]


@dataclass(frozen=True)
class _Named:
    """A name in a document, and the request's value that stands for it."""

    label: str
    value: str


def compare(before: Document, after: Document, *, role: str = "") -> Comparison:
    """Compare what two policies allow.

    Parameters
    ----------
    role
        The name of the role that has the policy; empty for the policy of a resource, which names principals.

    Raises
    ------
    UnreadableError
        One has `NotAction`, `NotResource`, `NotPrincipal`, or a condition that can't be tried.
    """
    both = [*_statements(before), *_statements(after)]
    if any(element in each for each in both for element in INVERTED):
        raise UnreadableError
    ask = _identity if role else _resource
    old, new = ask(before), ask(after)
    principals = (
        [_Named(role, f"arn:aws:sts::210987654321:assumed-role/{role}/x")] if role else _principals(both)
    )
    contexts = _contexts(both)
    gained: set[Right] = set()
    lost: set[Right] = set()
    for principal, action, resource in product(principals, _names(both, "Action"), _names(both, "Resource")):
        if not _fit(action.label, resource.label):
            continue
        for condition, context in contexts:
            was, will_be = (
                answer(principal.value, action.value, resource.value, context) for answer in (old, new)
            )
            if was != will_be:
                right = Right(principal.label, action.label, resource.label, condition)
                (gained if will_be > was else lost).add(right)
    return Comparison(_essential(gained), _essential(lost))


def described(rights: Iterable[Right], quote: Callable[[Sequence[str]], str]) -> Iterator[tuple[str, str]]:
    """Yield each principal with a sentence of its rights; `quote` writes names."""
    by_place: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for right in sorted(rights):
        by_place[right.principal, right.resource, right.condition].append(right.action)
    by_actions: dict[tuple[str, tuple[str, ...], str], list[str]] = defaultdict(list)
    for (principal, resource, condition), actions in by_place.items():
        by_actions[principal, tuple(actions), condition].append(resource)
    for (principal, names, condition), resources in by_actions.items():
        where = f" on {quote(resources)}" if resources != [""] else ""
        yield principal, f"{quote(names)}{where}{f' if {quote([condition])}' if condition else ''}"


# How far a policy goes for a request: a refusal wins over what another policy allows.
_DENY, _SILENT, _ALLOW = -1, 0, 1
_Ask = Callable[[str, str, str, Context], int]


@cache
def _evaluator() -> Any:
    """MiniStack's evaluator with our fix, loaded only when a policy changes."""
    from ministack.core import iam_evaluator

    from ops.emulator.fixes import FIXES

    next(fix for fix in FIXES if fix.name == "policy-evaluation").apply()
    return iam_evaluator


def _identity(document: Document) -> _Ask:
    evaluator = _evaluator()
    parsed = [evaluator.parse_policy_document(dict(document))]

    def ask(principal: str, action: str, resource: str, context: Context) -> int:
        return _answer(evaluator.evaluate(_request(principal, action, resource, context), parsed))

    return ask


def _resource(document: Document) -> _Ask:
    evaluator = _evaluator()
    settled = {**document, "Statement": [_settled(each) for each in _statements(document)]}

    def ask(principal: str, action: str, resource: str, context: Context) -> int:
        service = "" if principal.startswith("arn:") else principal
        request = _request(principal, action, resource, context)
        return _answer(evaluator.evaluate_resource_policy(settled, request, service=service or None))

    return ask


def _settled(statement: Document) -> dict[str, Any]:
    """Return a statement as the evaluator takes it: a trust policy names no resource, and some federation."""
    principal = statement.get("Principal", {})
    if isinstance(principal, dict) and "Federated" in principal:
        named = [*_list(principal.get("AWS", [])), *_list(principal["Federated"])]
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
    return {"Allow": _ALLOW, "Deny": _DENY}.get(result.decision, _SILENT)


def _statements(document: Document) -> list[Document]:
    return [each for each in _list(document.get("Statement", [])) if isinstance(each, dict)]


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]


def _names(statements: Sequence[Document], element: str) -> list[_Named]:
    found = dict.fromkeys(str(name) for each in statements for name in _list(each.get(element, [])))
    return [_Named(name, _sample(name)) for name in found] or [_Named("", "*")]


def _sample(pattern: str) -> str:
    """Return a name that a pattern matches, and no narrower pattern does."""
    if pattern == "*":
        return OTHER_ARN
    return pattern.replace("*", OTHER).replace("?", "x")


def _principals(statements: Sequence[Document]) -> list[_Named]:
    found = {ANYONE: STRANGER}
    for statement in statements:
        principal = statement.get("Principal", {})
        named = principal if isinstance(principal, dict) else {"AWS": principal}
        for kind in ("AWS", "Federated", "Service"):
            for name in map(str, _list(named.get(kind, []))):
                if name.isdecimal():
                    found[name] = f"arn:aws:iam::{name}:root"
                elif name != "*":
                    found[name] = name.replace("*", OTHER)
    return [_Named(label, value) for label, value in found.items()]


def _fit(action: str, resource: str) -> bool:
    """Return whether a resource can be of the action's service."""
    parts = resource.split(":")
    service = action.partition(":")[0]
    if len(parts) <= SERVICE_PART or "*" in (service, parts[SERVICE_PART]) or resource.startswith("${"):
        return True
    return service == parts[SERVICE_PART] or service == "sts"


def _contexts(statements: Sequence[Document]) -> list[tuple[str, Context]]:
    """Return the contexts to try, each with the condition that it meets, the plain one first."""
    found: dict[str, tuple[str, Context]] = {"{}": ("", {})}
    for statement in statements:
        condition = statement.get("Condition") or {}
        label = _label(condition)
        met: list[list[tuple[str, str | None]]] = []
        for operator, keys in condition.items():
            for key, values in keys.items():
                met.append([(key.lower(), value) for value in _meeting(operator, _list(values)[:TRIED])])
        for chosen in product(*met) if met else ():
            _put(found, label, chosen)
        if met:
            first = [choices[0] for choices in met]
            for missed in range(len(first)):
                others = [each for number, each in enumerate(first) if number != missed]
                _put(found, "", others)
                _put(found, "", [*others, (first[missed][0], _other(first[missed][1]))])
    return list(found.values())


def _label(condition: Mapping[str, Mapping[str, Any]]) -> str:
    return " and ".join(
        f"{operator} {key} {', '.join(map(str, _list(values)))}"
        for operator, keys in sorted(condition.items())
        for key, values in sorted(keys.items())
    )


def _put(found: dict[str, tuple[str, Context]], label: str, chosen: Iterable[tuple[str, str | None]]) -> None:
    context = {key: value for key, value in chosen if value is not None}
    found.setdefault(json.dumps(context, sort_keys=True), (label, context))


def _meeting(operator: str, values: Sequence[Any]) -> list[str | None]:
    """Return values of a key that meet a condition; None is a key that the request does not have.

    Raises
    ------
    UnreadableError
        The operator is not one that we try.
    """
    name = operator.lower().partition(":")[2] or operator.lower()
    name = name.removesuffix("ifexists")
    texts = [str(each).lower() if isinstance(each, bool) else str(each) for each in values]
    if name == "null":
        return [None if texts[0].lower() == "true" else OTHER]
    if "not" in name:
        return [_other(texts[0])]
    if name in ("stringequals", "stringequalsignorecase", "bool", "binaryequals"):
        return list(texts)
    if name in ("stringlike", "arnlike", "arnequals"):
        return [text.replace("*", OTHER).replace("?", "x") for text in texts]
    if name == "ipaddress":
        return [str(ipaddress.ip_network(text, strict=False)[0]) for text in texts]
    if name.startswith(("numeric", "date")) and name.endswith("equals"):
        return list(texts)
    raise UnreadableError


def _other(value: str | None) -> str:
    if value in ("true", "false"):
        return "false" if value == "true" else "true"
    return OTHER_ARN if value and value.startswith("arn:") else OTHER


def _essential(rights: set[Right]) -> tuple[Right, ...]:
    """Leave out a right that another one covers: of anyone, or without a condition."""
    return tuple(
        sorted(
            right
            for right in rights
            if not any(
                Right(principal, right.action, right.resource, condition) in rights
                for principal, condition in ((right.principal, ""), (ANYONE, right.condition), (ANYONE, ""))
                if (principal, condition) != (right.principal, right.condition)
            )
        )
    )
