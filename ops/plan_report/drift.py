"""What somebody else changed in AWS since the last apply, and the plan would change back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ops.plan_report.changes import kind_of
from ops.plan_report.text import code

# A hidden line of a report, for a program.
MARKER: Final = "<!-- huntaze-drift -->"


def drifted(plan: dict[str, Any]) -> list[str]:
    """Return the addresses of resources that AWS has otherwise than the last apply left them.

    What the plan does not change is left out: Terraform lists computed values there, too, and values that the
    stack leaves to others.
    """
    changes = plan.get("resource_changes", ())
    changing = {each["address"] for each in changes if kind_of(each) and "deposed" not in each}
    found = {item["address"] for item in plan.get("resource_drift", ())}
    return sorted(found & changing)


def section(plan: dict[str, Any], shown: int) -> Sequence[str]:
    """Return the part of the report on it, with so many addresses; empty if there is none."""
    addresses = drifted(plan)
    if not addresses:
        return []
    lines = [f"- {code(address)}" for address in addresses[:shown]]
    more = len(addresses) - shown
    lines += [f"- and {more} more"] if more > 0 else []
    return ["### Changed in AWS since the last apply", "", *lines, ""]
