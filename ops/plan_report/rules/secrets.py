"""A rule about the values of secrets, of which a plan shows none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ops.plan_report.attributes import UNKNOWN
from ops.plan_report.changes import ChangeKind
from ops.plan_report.findings import Hit
from ops.plan_report.plan import Plan, Resource
from ops.plan_report.text import code, value
from ops.secret_changes import NUMBER, OWNER, RESOURCE, VALUES_RESOURCE

EXPORTED: Final = "what is exported at the apply replaces the stored value"
CHECK: Final = "export the present value; a deploy refuses another one where somebody pushed a value since"


def secret_written(plan: Plan) -> Iterator[Hit]:
    """A deploy writes the value of an existing secret again, or no deploy writes it any more."""
    lost = {each.id for each in plan.of_type(RESOURCE) if each.is_lost}
    for version in plan.changing(VALUES_RESOURCE):
        if version.change is ChangeKind.DESTROY:
            if version.was(OWNER) not in lost:
                yield Hit(version.address, "no deploy writes its value any more", "the stored value stays")
        # The value of a new secret is part of something new.
        elif version.change is not ChangeKind.CREATE or version.will_be(OWNER) is not UNKNOWN:
            yield Hit(version.address, f"the deploy writes its value {_how(version)}", EXPORTED, CHECK)


def _how(version: Resource) -> str:
    if version.will_be(OWNER) is UNKNOWN:
        return "into another secret"
    if version.change is ChangeKind.CREATE:
        return "again: Terraform finds no version that it wrote"
    before, after = version.sides(NUMBER)
    return f"again: {code('secret_version')} {value(before)} → {value(after)}" if before != after else "again"
