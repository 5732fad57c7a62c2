"""The table of rules in docs/plan-report.md."""

from __future__ import annotations

from ops.plan_report.findings import Level
from ops.plan_report.rules import RULES
from ops.plan_report.rules.others import changed_otherwise
from ops.plan_report.verdict import OTHERWISE


def text() -> str:
    """Return the rules in Markdown: name, level, and what each finds."""
    rows = [(rule.name, rule.level.word, _first_line(rule.find)) for rule in RULES]
    rows.append((OTHERWISE, Level.REVIEW.word, _first_line(changed_otherwise)))
    return "\n".join(
        [
            "| Rule | Level | Finds |",
            "|---|---|---|",
            *(f"| `{name}` | {level} | {what} |" for name, level, what in rows),
        ]
    )


def _first_line(function: object) -> str:
    return (function.__doc__ or "").strip().splitlines()[0].rstrip(".")
