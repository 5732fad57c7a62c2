"""Requests that two policies may answer differently: made of the names and conditions in both.

Source: IAM user guide, "IAM JSON policy elements reference".
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice, permutations, product
from typing import Any, Final

from ops.policy_evaluation import Context, Document, listed

ANYONE: Final = "anyone"
# A principal and values that no document names.
STRANGER: Final = "arn:aws:iam::210987654321:role/stranger"
OTHER: Final = "x-other-x"
OTHER_ARN: Final = "arn:aws:other:eu-west-1:210987654321:x-other-x"
SERVICE_PART: Final = 2
# Values of one condition, and combinations of values of all keys, that are tried.
TRIED: Final = 8
COMBINED: Final = 512
# Operators that the value itself meets.
EQUAL: Final = ("stringequals", "stringequalsignorecase", "bool", "binaryequals")
# A key that a request does not have.
ABSENT_KEY: Final = None


class UnreadableError(Exception):
    """A document has an element that we can't make requests of."""


@dataclass(frozen=True)
class Named:
    """A name in a document, and the request's value that stands for it."""

    label: str
    value: str


@dataclass(frozen=True)
class Conditioned:
    """A context to try, and its name: the condition that it meets, or its keys; "" of a plain request."""

    label: str
    context: Context
    is_written: bool = True


def names(statements: Sequence[Document], element: str) -> list[Named]:
    """Return the names in an element of the statements, and what two wildcards match together."""
    found = dict.fromkeys(str(name) for each in statements for name in listed(each.get(element, [])))
    named = [Named(name, _sample(name)) for name in found] or [Named("", "*")]
    for one, other in permutations((name for name in found if "*" in name), 2):
        # What two wildcards match together, such as `Send*` and `*Message`.
        both = one.partition("*")[0] + OTHER + other.rpartition("*")[2]
        if fnmatchcase(both, one) and fnmatchcase(both, other):
            named.append(Named(one, both))
    return named


def _sample(pattern: str) -> str:
    """Return a name that a pattern matches, and no narrower pattern does."""
    if pattern == "*":
        return OTHER_ARN
    return pattern.replace("*", OTHER).replace("?", "x")


def principals(statements: Sequence[Document]) -> list[Named]:
    """Return anyone, and the principals that the statements name."""
    found = {ANYONE: STRANGER}
    for statement in statements:
        principal = statement.get("Principal", {})
        named = principal if isinstance(principal, dict) else {"AWS": principal}
        for kind in ("AWS", "Federated", "Service"):
            for name in map(str, listed(named.get(kind, []))):
                if name.isdecimal():
                    found[name] = f"arn:aws:iam::{name}:root"
                elif name != "*":
                    found[name] = name.replace("*", OTHER)
    return [Named(label, value) for label, value in found.items()]


def fit(action: str, resource: str) -> bool:
    """Return whether a resource can be of the action's service."""
    parts = resource.split(":")
    service = action.partition(":")[0]
    if len(parts) <= SERVICE_PART or "*" in (service, parts[SERVICE_PART]) or resource.startswith("${"):
        return True
    return service == parts[SERVICE_PART] or service == "sts"


def contexts(statements: Sequence[Document]) -> list[Conditioned]:
    """Return the contexts to try: a plain request, each condition met, then values of all keys combined.

    Raises
    ------
    UnreadableError
        A condition has an operator that we don't try.
    """
    found: dict[str, Conditioned] = {"{}": Conditioned("", {})}
    keys: dict[str, dict[str | None, None]] = {}
    for statement in statements:
        condition = statement.get("Condition") or {}
        met: list[list[tuple[str, str | None]]] = []
        for operator, named in condition.items():
            for key, values in named.items():
                texts = [_text(each) for each in listed(values)[:TRIED]]
                meeting = list(_meeting(operator, texts))
                met.append([(key.lower(), each) for each in meeting])
                tried = (ABSENT_KEY, *meeting, *map(_sample_of, texts), *map(_other, texts[:1]))
                keys.setdefault(key.lower(), {}).update(dict.fromkeys(tried))
        for chosen in product(*met) if met else ():
            _put(found, _label(condition), chosen)
    combined = product(*([(key, each) for each in values] for key, values in keys.items()))
    for chosen in islice(combined, COMBINED):
        _put(found, "", chosen)
    return list(found.values())


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _sample_of(pattern: str) -> str:
    return pattern.replace("*", OTHER).replace("?", "x")


def _label(condition: Mapping[str, Mapping[str, Any]]) -> str:
    return " and ".join(
        f"{operator} {key} {', '.join(map(_text, listed(values)))}"
        for operator, keys in sorted(condition.items())
        for key, values in sorted(keys.items())
    )


def _put(found: dict[str, Conditioned], label: str, chosen: Iterable[tuple[str, str | None]]) -> None:
    context = {key: value for key, value in chosen if value is not ABSENT_KEY}
    named = label or " and ".join(f"{key} {value}" for key, value in sorted(context.items()))
    found.setdefault(json.dumps(context, sort_keys=True), Conditioned(named, context, bool(label)))


def _meeting(operator: str, texts: Sequence[str]) -> Iterator[str | None]:
    """Yield values of a key that meet a condition; None is a key that the request does not have.

    Raises
    ------
    UnreadableError
        The operator is not one that we try.
    """
    name = (operator.lower().partition(":")[2] or operator.lower()).removesuffix("ifexists")
    if name == "null":
        yield ABSENT_KEY if texts[0].lower() == "true" else OTHER
    elif "not" in name:
        yield _other(texts[0])
    elif name == "ipaddress":
        yield from (str(ipaddress.ip_network(text, strict=False)[0]) for text in texts)
    elif name in ("stringlike", "arnlike", "arnequals"):
        yield from map(_sample_of, texts)
    elif name in ("stringequals", "stringequalsignorecase", "bool", "binaryequals") or (
        name.startswith(("numeric", "date")) and name.endswith("equals")
    ):
        yield from texts
    else:
        raise UnreadableError


def _other(text: str) -> str:
    """Return a value that is not the one of a condition."""
    if text in ("true", "false"):
        return "false" if text == "true" else "true"
    return OTHER_ARN if text.startswith("arn:") else OTHER
