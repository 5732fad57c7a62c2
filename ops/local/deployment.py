"""Deploy an environment to an embedded AWS as an engineer would: synth, bootstrap, init, plan, apply.

The synthesised files are those of a real deploy. What only the embedded AWS needs (path-style S3 addresses,
no check of the dummy credentials) is a Terraform override file beside them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from functions.pipeline import names
from infra.settings import Settings
from infra.settings_source import declarations
from ops import bundles
from ops.errors import OperatorError
from ops.local.folder import ROOT
from ops.local.outputs import Outputs
from ops.local.report import TerraformFacts
from ops.local.services import Services
from ops.steps import Steps
from ops.terraform import PlanSummary, Terraform

ENVIRONMENT = "dev"
EVENT_SOURCE = "aws.partner/stripe.com/ed_test_61LocalRun0000000000000000"
STACK = f"huntaze-stripe-{ENVIRONMENT}"
BOOTSTRAP = "huntaze-stripe-bootstrap"
PROVIDER_OVERRIDE = {
    "s3_use_path_style": True,
    "skip_credentials_validation": True,
    "skip_metadata_api_check": True,
    "skip_region_validation": True,
}
BACKEND_CONFIG = {
    "use_path_style": "true",
    "skip_credentials_validation": "true",
    "skip_metadata_api_check": "true",
    "skip_region_validation": "true",
    "skip_requesting_account_id": "true",
}


@dataclass(frozen=True)
class Deployment:
    """A deployed environment: its Terraform, its outputs, and what Terraform said of it."""

    services: Services
    terraform: Terraform
    outputs: Outputs
    facts: TerraformFacts

    def plan(self) -> PlanSummary:
        """Plan again."""
        return self.terraform.plan()


def deploy(services: Services, steps: Steps) -> Deployment:
    """Deploy `dev` to the services' embedded AWS, the state bucket first.

    Raises
    ------
    OperatorError
        When a step fails; the message is what the step's tool said.
    """
    target = bundles.host_target()
    with steps.step("build the bundles") as step:
        built = bundles.build(target, lambda note: step.advance_to(0, None, note))
        step.note = ", ".join(
            f"{name} {bundle.path.stat().st_size / 1e6:.1f} MB" for name, bundle in built.items()
        )
    with steps.step("synth"):
        outdir = synthesise(services, target)
    with steps.step("bootstrap: state bucket") as step:
        bootstrap = _terraform(services, outdir, BOOTSTRAP)
        bootstrap.init()
        bootstrap.apply(progress=step.advance_to)
        step.note = (
            f"{bootstrap.engine.name} {bootstrap.engine.version}, provider from {bootstrap.provider_origin}"
        )
    terraform = _terraform(services, outdir, STACK)
    with steps.step("terraform init"):
        terraform.init(BACKEND_CONFIG)
    plan_file = services.folder / "plan"
    with steps.step("terraform plan") as step:
        planned = terraform.plan(plan_file, step.advance_to)
        step.note = f"{planned.add} to add, {planned.change} to change, {planned.destroy} to destroy"
    with steps.step("terraform apply") as step:
        terraform.apply(plan_file, step.advance_to, planned=planned)
        outputs = Outputs.read(ENVIRONMENT, services.aws.region, terraform.outputs())
        resources = len(terraform.resources())
        step.note = f"{resources} resources"
    with steps.step("second plan") as step:
        second = terraform.plan(progress=step.advance_to)
        step.note = f"{second.changes} changes"
    facts = TerraformFacts(terraform.engine.version, terraform.engine.name, resources, second.changes)
    return Deployment(services, terraform, outputs, facts)


def synthesise(services: Services, target: bundles.Target) -> Path:
    """Run `main.py dev` with the settings of the local run; return the folder that it wrote."""
    outdir = services.folder / "cdktf.out"
    ours = {
        "STRIPE_EVENT_SOURCE_NAME": EVENT_SOURCE,
        "HUNTAZE_API_URL": services.api_url,
        "LAMBDA_ARCHITECTURE": target.architecture,
        "LAMBDA_RUNTIME": target.runtime,
        "AWS_REGION": services.aws.region,
        "STATE_REGION": services.aws.region,
    }
    variables = {declared.variable for declared in declarations(Settings)}
    kept = {name: value for name, value in services.environment().items() if name not in variables}
    done = subprocess.run(
        [sys.executable, "main.py", ENVIRONMENT, "--outdir", str(outdir)],
        cwd=ROOT,
        env=kept | ours,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise OperatorError(f"synth failed: {(done.stderr or done.stdout).strip()}")
    return outdir


def _terraform(services: Services, outdir: Path, stack: str) -> Terraform:
    folder = outdir / "stacks" / stack
    override: dict[str, Any] = {"provider": {"aws": PROVIDER_OVERRIDE}}
    (folder / "embedded_override.tf.json").write_text(json.dumps(override, indent=2))
    secrets = {
        names.HUNTAZE_API_KEY: services.secrets.huntaze_api_key,
        names.STRIPE_SECRET_KEY: services.secrets.stripe_secret_key,
        names.DATABASE_URL: services.database_url,
    }
    environment = services.environment() | {f"TF_VAR_{name}": value for name, value in secrets.items()}
    return Terraform.at(folder, environment, services.folder / "terraform")


def shell_exports(deployment: Deployment) -> dict[str, str]:
    """Return the variables with which `aws`, `terraform` and the ops commands reach the deployment."""
    wanted = ("AWS_", "TF_", "CHECKPOINT_DISABLE")
    environment = deployment.terraform.environment
    return {name: value for name, value in sorted(environment.items()) if name.startswith(wanted)}
