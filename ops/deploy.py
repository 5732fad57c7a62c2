"""Plan, apply and destroy an environment in a real AWS account: `make plan`, `deploy`, `destroy`."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.names import BOOTSTRAP, ENVIRONMENTS, stack_name
from ops import plan_report
from ops.errors import OperatorError
from ops.steps import Steps
from ops.terraform import PlanSummary, Terraform, operator_environment

ROOT = Path(__file__).resolve().parent.parent
OUTDIR = ROOT / "cdktf.out"
PLANS = ROOT / "build" / "plans"
SCRATCH = ROOT / "build" / "terraform"


@dataclass(frozen=True)
class Planned:
    """A saved plan: its counts, its Markdown, and the Terraform that can apply it."""

    terraform: Terraform
    file: Path
    summary: PlanSummary
    markdown: str
    markdown_file: Path


def plan(environment: str, steps: Steps, *, destroy: bool = False) -> Planned:
    """Synthesise and plan an environment; save the plan, and its Markdown beside it.

    Raises
    ------
    OperatorError
        When the environment is unknown or incomplete, or a step fails.
    """
    if environment not in ENVIRONMENTS:
        raise OperatorError(
            f"no environment {environment!r}: take one of {', '.join(ENVIRONMENTS)}", usage=True
        )
    with steps.step("synth"):
        _synthesise([environment])
    return _planned(stack_name(environment), environment, steps, destroy=destroy)


def plan_bootstrap(steps: Steps) -> Planned:
    """Synthesise and plan the stack of the state bucket."""
    with steps.step("synth"):
        _synthesise([])
    return _planned(BOOTSTRAP, "bootstrap", steps, destroy=False)


def apply(planned: Planned, steps: Steps) -> None:
    """Apply exactly what was planned."""
    with steps.step("terraform apply") as step:
        planned.terraform.apply(planned.file, step.advance_to, planned=planned.summary)
        step.note = f"{len(planned.terraform.resources())} resources"


def outputs(planned: Planned) -> dict[str, Any]:
    """Return the stack's outputs."""
    return planned.terraform.outputs()


def _planned(stack: str, name: str, steps: Steps, *, destroy: bool) -> Planned:
    terraform = Terraform.at(OUTDIR / "stacks" / stack, operator_environment(os.environ), SCRATCH)
    with steps.step("terraform init") as step:
        terraform.init()
        step.note = (
            f"{terraform.engine.name} {terraform.engine.version}, provider from {terraform.provider_origin}"
        )
    PLANS.mkdir(parents=True, exist_ok=True)
    file = PLANS / f"{name}.tfplan"
    with steps.step("terraform plan") as step:
        summary = terraform.plan(file, step.advance_to, destroy=destroy)
        step.note = f"{summary.add} to add, {summary.change} to change, {summary.destroy} to destroy"
    markdown = plan_report.render(terraform.show(file), name)
    markdown_file = PLANS / f"{name}.md"
    markdown_file.write_text(markdown)
    return Planned(terraform, file, summary, markdown, markdown_file)


def _synthesise(environments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "main.py", *environments, "--outdir", str(OUTDIR)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise OperatorError((done.stderr or done.stdout).strip().removeprefix("main.py: "), usage=True)
