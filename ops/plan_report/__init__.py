"""A Terraform plan as a pull request comment: `render` and `summary_line`, pure functions of the plan."""

from ops.plan_report.report import MAXIMUM, STATE_ONLY, marker, render, summary_line

__all__ = ["MAXIMUM", "STATE_ONLY", "marker", "render", "summary_line"]
