"""The verdict of a plan: the worst that a rule finds, less what the pull request accepts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from ops.plan_report.findings import Finding, Level
from ops.plan_report.plan import Plan
from ops.plan_report.rules import RULES
from ops.plan_report.rules.others import changed_otherwise

OTHERWISE: Final = "changed-otherwise"
ACCEPTANCE: Final = re.compile(
    r"^[ \t]*accept-danger:[ \t]*(\S+)[ \t]+(\S+)[ \t]+(\S.*?)[ \t]*$", re.MULTILINE
)


@dataclass(frozen=True)
class Acceptance:
    """A line `accept-danger: RULE RESOURCE REASON` of a pull request's description."""

    rule: str
    address: str
    reason: str


@dataclass(frozen=True)
class Verdict:
    """What the rules find in a plan, the worst first, and acceptances of what is not there.

    Parameters
    ----------
    level
        The worst finding's, also of an accepted one.
    """

    level: Level
    findings: tuple[Finding, ...]
    unused: tuple[Acceptance, ...] = ()

    @property
    def dangers(self) -> tuple[Finding, ...]:
        """The dangers, accepted ones included."""
        return tuple(each for each in self.findings if each.level is Level.DANGER)

    @property
    def open_dangers(self) -> tuple[Finding, ...]:
        """The dangers that nobody accepts."""
        return tuple(each for each in self.dangers if not each.accepted)


def acceptances(description: str) -> tuple[Acceptance, ...]:
    """Return the acceptances in a pull request's description.

    A line without a reason accepts nothing.
    """
    return tuple(Acceptance(*found) for found in ACCEPTANCE.findall(description.replace("\r", "")))


def assess(document: dict[str, Any], accepted: Sequence[Acceptance] = ()) -> Verdict:
    """Assess what `terraform show -json PLAN` prints."""
    reasons = {(each.rule, each.address): each.reason for each in accepted}
    found = [
        replace(each, accepted=reasons.get((each.rule, each.hit.address), ""))
        for each in _findings(Plan(document))
    ]
    found.sort(key=lambda each: -each.level)
    dangers = {(each.rule, each.hit.address) for each in found if each.level is Level.DANGER}
    found = [each if each.level is Level.DANGER else replace(each, accepted="") for each in found]
    level = max((each.level for each in found), default=Level.SAFE)
    if document.get("errored") or document.get("deferred_changes"):
        level = max(level, Level.REVIEW)
    unused = tuple(each for each in accepted if (each.rule, each.address) not in dangers)
    return Verdict(level, tuple(found), unused)


def _findings(plan: Plan) -> Iterator[Finding]:
    known = set()
    for rule in RULES:
        for hit in rule.find(plan):
            known.add(hit.address)
            yield Finding(rule.name, rule.level, hit)
    for hit in changed_otherwise(plan, known):
        yield Finding(OTHERWISE, Level.REVIEW, hit)
