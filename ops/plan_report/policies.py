"""Who gains and who loses what when a policy changes, by evaluating requests and not by comparing text.

Both documents name actions, resources, principals and conditions. Of these we make requests: each name as it
is, each wildcard as something that it alone matches, and each condition met, missed and absent.
`ops.policy_evaluation` answers each request under the document before and the one after; a difference is a
gain or a loss, however either document is written.

Source: IAM user guide, "Policy evaluation logic" and "IAM JSON policy elements reference".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from ops.plan_report.policy_requests import (
    ANYONE,
    Conditioned,
    Named,
    UnreadableError,
    contexts,
    fit,
    names,
    principals,
)
from ops.policy_evaluation import Document, of_identity, of_resource, statements_of

# Elements that name everything but something: a request of what they name says little about the rest.
INVERTED: Final = ("NotAction", "NotResource", "NotPrincipal")


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
    both = [*statements_of(before), *statements_of(after)]
    if any(element in each for each in both for element in INVERTED):
        raise UnreadableError
    ask = of_identity if role else of_resource
    old, new = ask(before), ask(after)
    callers = [Named(role, f"arn:aws:sts::210987654321:assumed-role/{role}/x")] if role else principals(both)
    tried = contexts(both)
    gained: set[Right] = set()
    lost: set[Right] = set()
    for principal, action, resource in product(callers, names(both, "Action"), names(both, "Resource")):
        if not fit(action.label, resource.label):
            continue
        more: list[Conditioned] = []
        less: list[Conditioned] = []
        for each in tried:
            request = principal.value, action.value, resource.value, each.context
            was, will_be = old(*request), new(*request)
            if was != will_be:
                (more if will_be > was else less).append(each)
        for conditions, rights in ((more, gained), (less, lost)):
            for each in _essential_conditions(conditions):
                rights.add(Right(principal.label, action.label, resource.label, each.label))
    return Comparison(_essential(gained), _essential(lost))


def _essential_conditions(conditions: Sequence[Conditioned]) -> Sequence[Conditioned]:
    """Return the conditions of a document among those that make a difference, or else the first of all."""
    return [each for each in conditions if each.is_written] or conditions[:1]


def described(rights: Iterable[Right], quote: Callable[[Sequence[str]], str]) -> Iterator[tuple[str, str]]:
    """Yield each principal with a sentence of its rights; `quote` writes names."""
    by_place: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for right in sorted(rights):
        by_place[right.principal, right.resource, right.condition].append(right.action)
    by_actions: dict[tuple[str, tuple[str, ...], str], list[str]] = defaultdict(list)
    for (principal, resource, condition), actions in by_place.items():
        by_actions[principal, tuple(actions), condition].append(resource)
    for (principal, actions_named, condition), resources in by_actions.items():
        where = f" on {quote(resources)}" if resources != [""] else ""
        yield principal, f"{quote(actions_named)}{where}{f' if {quote([condition])}' if condition else ''}"


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
