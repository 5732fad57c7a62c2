"""A Terraform plan as a pull request comment and as lines for a terminal: pure functions of the plan."""

from ops.plan_report.report import MAXIMUM, STATE_ONLY, marker, outline, render, summary_line

__all__ = ["MAXIMUM", "STATE_ONLY", "marker", "outline", "render", "summary_line"]
