"""What no other rule knows: a change is for a reader unless it is known to be harmless."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any, Final

from ops.plan_report.attributes import ABSENT, UNKNOWN
from ops.plan_report.changes import COMPUTED, ChangeKind
from ops.plan_report.deliveries import BUS, RULE, TARGET
from ops.plan_report.findings import Hit
from ops.plan_report.plan import Plan, Resource, numbers
from ops.plan_report.rules.access import PERMISSION, POLICIES, unchanged_rights
from ops.plan_report.rules.data import FUNCTION, LOGS
from ops.plan_report.rules.effort import COMPOSITE
from ops.plan_report.text import listed

# Words for people, links and pictures.
HARMLESS: Final = frozenset({"tags", "tags_all", "description", "alarm_description", "Tags", "Description"})
# Compared by event type, and by the names of alarms.
COMPARED: Final = frozenset({(RULE, "event_pattern"), (COMPOSITE, "alarm_rule")})
HARMLESS_TYPES: Final = frozenset({"aws_cloudwatch_dashboard", "aws_cloudwatch_query_definition"})
# Raising these endangers nothing.
MORE: Final = frozenset({(LOGS, "retention_in_days"), (FUNCTION, "memory_size"), (FUNCTION, "timeout")})
WORDS: Final = {
    ChangeKind.DESTROY: "is destroyed",
    ChangeKind.REPLACE: "is replaced",
    ChangeKind.FORGET: "stays, and Terraform no longer manages it",
    ChangeKind.IMPORT: "is imported",
}
# Types that give rights; those whose policy is evaluated are another rule's.
GRANTING: Final = re.compile(r"aws_iam_\w+|AWS::IAM::\w+|\S+([pP]olicy|[pP]ermission|_grant|function_url)")
SAFE_KINDS: Final = (None, ChangeKind.CREATE, ChangeKind.MOVE)


def changed_otherwise(plan: Plan, known: Collection[str]) -> Iterator[Hit]:
    """A change that no other rule knows, and that may do harm.

    Parameters
    ----------
    known
        Addresses that a rule has a word about.
    """
    known = {*known, *unchanged_rights(plan)}
    bus_is_lost = any(bus.is_lost for bus in plan.of_type(BUS))
    for resource in plan.resources:
        if resource.change is ChangeKind.CREATE and resource.address not in known and _grants(resource):
            yield Hit(resource.address, "it is created, and may give rights that this report does not read")
            continue
        if resource.change in SAFE_KINDS or resource.address in known or resource.type in HARMLESS_TYPES:
            continue
        # They are replaced with their bus, and what they deliver is compared by event type.
        if bus_is_lost and resource.change is ChangeKind.REPLACE and resource.type in (RULE, TARGET):
            continue
        if resource.change is not ChangeKind.UPDATE:
            yield Hit(resource.address, f"it {WORDS.get(resource.change, 'changes in another way')}")
            continue
        names = [name for name in _changing(resource) if not _is_harmless(resource, name)]
        if names:
            yield Hit(resource.address, f"it changes {listed(names)}")


def _grants(resource: Resource) -> bool:
    is_read = resource.type in (*POLICIES, PERMISSION)
    return not is_read and GRANTING.fullmatch(resource.type) is not None


def _changing(resource: Resource) -> list[str]:
    if not isinstance(resource.before, dict) or not isinstance(resource.after, dict):
        return ["desired_state"]
    return sorted(
        name
        for name in {*resource.before, *resource.after}
        if _settled(resource.was(name)) != _settled(resource.will_be(name))
    )


def _settled(value: Any) -> Any:
    """Return a value without what is not set, which the provider reads as nothing or as zero, as it comes."""
    if isinstance(value, dict):
        settled = {key: _settled(item) for key, item in value.items()}
        return {key: item for key, item in settled.items() if item not in (ABSENT, "", 0, [], {})}
    return [_settled(item) for item in value] if isinstance(value, list) else value


def _is_harmless(resource: Resource, name: str) -> bool:
    if name in HARMLESS or (name in COMPUTED and resource.will_be(name) is UNKNOWN):
        return True
    if (resource.type, name) in COMPARED:
        return True
    sides = numbers(resource.sides(name))
    return (resource.type, name) in MORE and sides is not None and sides[1] > sides[0]
