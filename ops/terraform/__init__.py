"""Run Terraform: find an engine and a provider mirror, run commands, report progress and failures."""

from ops.terraform.command import PlanSummary, Terraform, TerraformError, operator_environment

__all__ = ["PlanSummary", "Terraform", "TerraformError", "operator_environment"]
