"""Run Terraform: find an engine and a provider mirror, run commands, report progress and failures."""

from ops.terraform.command import KeptError, PlanSummary, Terraform, TerraformError, operator_environment

__all__ = ["KeptError", "PlanSummary", "Terraform", "TerraformError", "operator_environment"]
