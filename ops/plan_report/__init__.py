"""A Terraform plan as a pull request comment and as lines for a terminal: pure functions of the plan."""

from ops.plan_report.document import is_plan
from ops.plan_report.drift import drifted
from ops.plan_report.findings import Level
from ops.plan_report.report import MAXIMUM, STATE_ONLY, marker, outline, render, summary_line
from ops.plan_report.sentences import plain_lines
from ops.plan_report.verdict import Acceptance, Verdict, acceptances, assess

__all__ = [
    "MAXIMUM",
    "STATE_ONLY",
    "Acceptance",
    "Level",
    "Verdict",
    "acceptances",
    "assess",
    "drifted",
    "is_plan",
    "marker",
    "outline",
    "plain_lines",
    "render",
    "summary_line",
]
