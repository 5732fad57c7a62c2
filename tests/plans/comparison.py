"""The ten plans side by side: this report, and what a comment with Terraform's own text shows.

tfcmt's comment has the title, a warning if something is destroyed, the line `Plan: …`, the addresses by what
happens to them, and the text folded (tfcmt 4, default template of `plan`). That of dflook/terraform-plan has
the title, the line `Plan: …` as the summary of the folded text, and, from 10 lines on, nothing more unfolded
(dflook/terraform-github-actions 2, `github_pr_comment`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from ops import plan_report
from ops.plan_report.text import code
from tests.plans import files
from tests.plans.variants import DANGEROUS, SAFE

NO_CHANGES: Final = "No changes."
FOLDED: Final = re.compile(r"^ *<details>(?:(?!^ *<details>).)*?^ *</details>$", re.DOTALL | re.MULTILINE)
HEAD: Final = (
    "| Plan | This report | Lines | tfcmt shows | dflook shows | Folded lines |\n|---|---|---|---|---|---|"
)


def table() -> str:
    """Return the comparison in Markdown."""
    return "\n".join([HEAD, *map(_row, [each.name for each in (*SAFE, *DANGEROUS)])])


def _row(name: str) -> str:
    plan, text = files.load(name), files.load_text(name)
    verdict = plan_report.assess(plan)
    rules = ", ".join(dict.fromkeys(code(each.rule) for each in verdict.dangers))
    ours = verdict.level.word + (f": {rules}" if rules else "")
    unfolded = len(_unfolded(plan_report.render(plan, "dev")))
    lines = _lines(text)
    summary = _summary(lines)
    return f"| {code(name)} | {ours} | {unfolded} | {_tfcmt(lines)} | {summary} | {len(lines)} |"


def _unfolded(report: str) -> list[str]:
    """Return the lines of a report that are visible before something is unfolded."""
    # From the inside out: a dashboard unfolds within a section that unfolds.
    while (shown := FOLDED.sub("", report)) != report:
        report = shown
    return [line for line in report.splitlines() if line.strip() and not line.startswith("<!--")]


def _tfcmt(lines: list[str]) -> str:
    happens = list(_addresses(lines))
    destroys = any(word in ("destroyed", "replaced") for word in happens)
    warning = "deletion warning, " if destroys else ""
    return f"{warning}{_summary(lines)}" + (f", {len(happens)} addresses" if happens else "")


def _addresses(lines: list[str]) -> Iterator[str]:
    """Yield what happens to each resource, by the heading of its part of the text."""
    for line in lines:
        found = re.fullmatch(r" +# \S+ (?:will be|must be) (.*)", line)
        if found:
            yield found[1].split()[0]


def _summary(lines: list[str]) -> str:
    plan = next((line for line in lines if line.startswith("Plan:")), NO_CHANGES)
    outputs = any(line.startswith("Changes to Outputs") for line in lines)
    return code(plan) + (" and outputs" if outputs else "")


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]
