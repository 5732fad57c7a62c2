"""The findings as sentences: the verdict, one line for each danger, and what is to review."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from ops.plan_report.findings import Finding, Hit, Level
from ops.plan_report.text import code, listed, size
from ops.plan_report.verdict import Acceptance, Verdict

# Resources in the line of one finding.
ADDRESSES_SHOWN: Final = 6
# Lines of what is to review.
REVIEWS_SHOWN: Final = 40
SAFE: Final = "nothing here loses events or money"


def verdict_line(verdict: Verdict) -> str:
    """Return the verdict in one line."""
    accepted = len(verdict.dangers) - len(verdict.open_dangers)
    dangers = len(verdict.dangers)
    to_review = len(verdict.findings) - dangers
    parts = [f"{dangers} {'danger' if dangers == 1 else 'dangers'}"] if dangers else []
    parts[-1:] = [f"{parts[-1]} ({accepted} accepted)"] if accepted else parts[-1:]
    parts += [f"{to_review} to review"] if to_review else []
    return f"Verdict: **{verdict.level.word}**: {', '.join(parts) or _without(verdict)}."


def dangers(verdict: Verdict, room: int) -> list[str]:
    """Return the section of the dangers: none is ever left out, and many are written shorter.

    Parameters
    ----------
    room
        The bytes that the section may take.
    """
    found = verdict.dangers
    if not found and not verdict.unused:
        return []
    head = ["### Dangers", ""] if found else []
    unused = [_unused(each) for each in verdict.unused[:ADDRESSES_SHOWN]]
    for lines in (list(map(_line, _grouped(found))), list(_by_rule(found, room))):
        if size(lines) <= room:
            break
    return [*head, *lines, *([""] if found else []), *unused, *([""] if unused else [])]


def reviews(verdict: Verdict, room: int) -> list[str]:
    """Return the section of what a person should read, the rest as a count."""
    lines = [
        _line(each) for each in _grouped([each for each in verdict.findings if each.level is Level.REVIEW])
    ]
    if not lines:
        return []
    shown = lines[:REVIEWS_SHOWN]
    while shown and size(shown) > room:
        shown.pop()
    more = len(lines) - len(shown)
    return ["### To review", "", *shown, *([f"- *{more} more to review*"] if more else []), ""]


def plain_lines(verdict: Verdict) -> list[str]:
    """Return verdict and findings as lines for a terminal."""
    lines = [verdict_line(verdict).replace("*", "")]
    return lines + [
        f"  {each.level.word:<7} {_line(each).removeprefix('- ')}".replace("**", "")
        for each in _grouped(verdict.findings)
    ]


def _without(verdict: Verdict) -> str:
    return SAFE if verdict.level is Level.SAFE else "the plan is incomplete"


def _grouped(findings: Sequence[Finding]) -> list[Finding]:
    """Return findings that differ in their resource alone as one, with all addresses."""
    groups: dict[Finding, list[str]] = defaultdict(list)
    for each in findings:
        groups[replace(each, hit=replace(each.hit, address=""))].append(each.hit.address)
    return [
        replace(
            key,
            hit=Hit(
                # A danger names every resource.
                listed(addresses, len(addresses) if key.level is Level.DANGER else ADDRESSES_SHOWN),
                key.hit.what,
                key.hit.why,
                key.hit.do,
            ),
        )
        for key, addresses in groups.items()
    ]


def _line(finding: Finding) -> str:
    """Return a line; the address of the finding is Markdown already."""
    hit = finding.hit
    strong = "**" if finding.level is Level.DANGER else ""
    line = f"- {code(finding.rule)} {hit.address}: {strong}{hit.what}{strong}"
    line += f"; {hit.why}." if hit.why else "."
    line += f" Do: {hit.do}." if hit.do else ""
    return line + (f" **Accepted**: {code(finding.accepted)}." if finding.accepted else "")


def _by_rule(findings: Sequence[Finding], room: int) -> Iterator[str]:
    """Yield one line for each rule, with as many addresses as there is room for."""
    by_rule: dict[str, list[str]] = defaultdict(list)
    for each in findings:
        by_rule[each.rule].append(each.hit.address)
    share = room // len(by_rule) if by_rule else room
    for rule, addresses in by_rule.items():
        shown = len(addresses)
        while size([listed(addresses, shown)]) > share // 2 and shown > 1:
            shown //= 2
        yield f"- {code(rule)} ({len(addresses)}): {listed(addresses, shown)}."


def _unused(acceptance: Acceptance) -> str:
    return f"- *accepts nothing*: {code(f'accept-danger: {acceptance.rule} {acceptance.address}')}"
