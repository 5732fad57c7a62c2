"""What somebody else changed in AWS since the last apply, and the plan would change back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ops.plan_report.changes import kind_of
from ops.plan_report.text import code
from ops.secret_changes import VALUES_RESOURCE

# A hidden line of a report, for a program.
MARKER: Final = "<!-- huntaze-drift -->"
# What the stack leaves to others although a plan computes it again: `secrets push` moves the labels.
LEFT: Final = frozenset({(VALUES_RESOURCE, "version_stages")})


def drifted(plan: dict[str, Any]) -> list[str]:
    """Return the addresses of resources that AWS has otherwise than the last apply left them.

    Attributes that the plan does not change are left out: Terraform lists computed values, too, and values
    that the stack leaves to others.
    """
    changing = {
        each["address"]: _attributes(each["change"])
        for each in plan.get("resource_changes", ())
        if kind_of(each) and "deposed" not in each
    }
    return sorted(
        {
            each["address"]
            for each in plan.get("resource_drift", ())
            if _drifted(each) & changing.get(each["address"], frozenset())
        }
    )


def _drifted(resource: Mapping[str, Any]) -> frozenset[str]:
    changed = _attributes(resource["change"])
    return frozenset(name for name in changed if (resource["type"], name) not in LEFT)


def _attributes(change: Mapping[str, Any]) -> frozenset[str]:
    """Return the attributes whose value a change changes; all where one side has no resource."""
    sides = (change.get("before"), change.get("after"))
    before, after = (side if isinstance(side, dict) else {} for side in sides)
    return frozenset(name for name in {*before, *after} if before.get(name) != after.get(name))


def section(plan: dict[str, Any], shown: int) -> Sequence[str]:
    """Return the part of the report on it, with so many addresses; empty if there is none."""
    addresses = drifted(plan)
    if not addresses:
        return []
    lines = [f"- {code(address)}" for address in addresses[:shown]]
    more = len(addresses) - shown
    lines += [f"- and {more} more"] if more > 0 else []
    return ["### Changed in AWS since the last apply", "", *lines, ""]
