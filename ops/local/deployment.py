"""Deploy `dev` to an embedded AWS in the steps of a real deploy: synth, bootstrap, init, plan, apply.

Or continue with a deploy that an earlier run saved: init, plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Final

from functions.shared import names
from functions.stripe_api.client import STRIPE_API_URL
from infra.deployment_roles import DEPLOY
from infra.names import BOOTSTRAP, stack_name
from infra.settings import Settings, StateSettings
from infra.settings_source import declarations
from ops import DEFAULT_ENVIRONMENT, bundles
from ops.deploy import SavedPlan, Workspace, apply, plan_stack, synthesise
from ops.errors import OperatorError
from ops.local import roles
from ops.local.clients import Credentials
from ops.local.outputs import Outputs
from ops.local.report import TerraformFacts
from ops.local.saved import Record
from ops.local.services import Services
from ops.progress import Steps
from ops.terraform import Terraform

ENVIRONMENT: Final = DEFAULT_ENVIRONMENT
# As of a repository whose workflows deploy: with their roles and the boundary.
BY_GITHUB: Final[Mapping[str, str]] = MappingProxyType(
    {"DEPLOYING_REPOSITORY": roles.REPOSITORY, "GITHUB_ENVIRONMENTS": ENVIRONMENT}
)
EVENT_SOURCE: Final = "aws.partner/stripe.com/ed_test_61LocalRun0000000000000000"
NO_SETTINGS: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True)
class Deployment:
    """A deployed environment: its servers, outputs, Terraform figures and settings.

    Parameters
    ----------
    terraform
        Terraform in the environment's stack, with the deploy role.
    planned
        The plan that was applied; None for a restored deploy.
    """

    services: Services
    workspace: Workspace
    terraform: Terraform
    outputs: Outputs
    facts: TerraformFacts
    settings: Mapping[str, str]
    planned: SavedPlan | None = None

    def record(self, key: str) -> Record:
        """Return what a later run needs to continue with this deploy; `key` is its fingerprint."""
        return Record(
            key=key,
            ports=self.services.ports(),
            secrets=asdict(self.services.secrets),
            settings=dict(self.settings),
            resources=self.facts.resources,
            engine=self.facts.engine,
            version=self.facts.version,
            outputs=self.terraform.outputs(),
        )


def deploy(services: Services, steps: Steps, settings: Mapping[str, str] = NO_SETTINGS) -> Deployment:
    """Deploy to the embedded AWS, the state bucket first, with the deploy role, and plan once more.

    Parameters
    ----------
    settings
        Environment variables of settings that override those of `dev`.

    Raises
    ------
    OperatorError
        A step fails; the message is the tool's own.
    """
    target = bundles.host_target()
    with steps.step("build the bundles") as step:
        built = bundles.build(target, lambda note: step.advance_to(0, None, note))
        sizes = (f"{name} {bundle.path.stat().st_size / 1e6:.1f} MB" for name, bundle in built.items())
        step.note = ", ".join(sizes)
    place = roles.place(services.aws, ENVIRONMENT, StateSettings().state_bucket)
    settings = {**BY_GITHUB, **settings}
    workspace = local_workspace(services, target, settings)
    with steps.step("synth"):
        synthesise(workspace, [ENVIRONMENT])
    apply(plan_stack(workspace, BOOTSTRAP, "bootstrap", steps), steps)
    deployer = as_role(workspace, roles.assumed(services.aws, DEPLOY, place))
    planned = plan_stack(deployer, stack_name(ENVIRONMENT), ENVIRONMENT, steps)
    resources = apply(planned, steps)
    outputs = Outputs.read(ENVIRONMENT, services.aws.region, planned.terraform.outputs())
    with steps.step("second plan") as step:
        second = planned.terraform.plan(progress=step.advance_to)
        step.note = f"{second.changes} changes"
    engine = planned.terraform.engine
    facts = TerraformFacts(engine.version, engine.name, len(resources), second.changes)
    return Deployment(services, workspace, planned.terraform, outputs, facts, settings, planned)


def restored(services: Services, steps: Steps, record: Record) -> Deployment:
    """Return a saved deploy whose files are in the run's folder, after a plan that has nothing to do.

    Raises
    ------
    OperatorError
        The plan has changes, another Terraform deployed it, or a step fails.
    """
    workspace = local_workspace(services, bundles.host_target(), record.settings)
    place = roles.place(services.aws, ENVIRONMENT, StateSettings().state_bucket)
    deployer = as_role(workspace, roles.assumed(services.aws, DEPLOY, place))
    folder = workspace.outdir / "stacks" / stack_name(ENVIRONMENT)
    terraform = Terraform.at(folder, deployer.environment, workspace.scratch, workspace.check)
    if not terraform.is_initialised:
        # Without a mirror, the provider was in the folder of the run that saved the deploy.
        with steps.step(f"init {ENVIRONMENT}"):
            terraform.init()
    engine = terraform.engine
    if (engine.name, engine.version) != (record.engine, record.version):
        raise OperatorError(f"{record.engine} {record.version} made it")
    with steps.step(f"plan {ENVIRONMENT}") as step:
        changes = terraform.plan(progress=step.advance_to).changes
        step.note = f"{changes} changes"
    if changes:
        raise OperatorError(f"its plan has {changes} changes")
    facts = TerraformFacts(engine.version, engine.name, record.resources, changes, warm=True)
    outputs = Outputs.read(ENVIRONMENT, services.aws.region, record.outputs)
    return Deployment(services, workspace, terraform, outputs, facts, record.settings)


def local_workspace(
    services: Services, target: bundles.Target, settings: Mapping[str, str] = NO_SETTINGS
) -> Workspace:
    """Return the run's workspace: below its folder, with the local settings and random secrets."""
    local = {
        "STRIPE_EVENT_SOURCE_NAME": EVENT_SOURCE,
        "HUNTAZE_API_URL": services.api_url,
        "LAMBDA_ARCHITECTURE": target.architecture,
        "LAMBDA_RUNTIME": target.runtime,
        "BUNDLE_SYSTEM": target.system,
        "AWS_REGION": services.aws.region,
        "STATE_REGION": services.aws.region,
        # The function would ask the real Stripe.
        "RECONCILE": "off",
    }
    secrets = {
        names.HUNTAZE_API_KEY: services.secrets.huntaze_api_key,
        names.STRIPE_SECRET_KEY: services.secrets.stripe_secret_key,
        names.DATABASE_URL: services.database_url,
    }
    overrides = {declared.variable for declared in declarations(Settings)}
    kept = {name: value for name, value in services.environment().items() if name not in overrides}
    variables = {f"TF_VAR_{name}": value for name, value in secrets.items()}
    return Workspace(
        outdir=services.folder / "cdktf.out",
        plans=services.folder / "plans",
        scratch=services.folder / "terraform",
        environment=kept | local | dict(settings) | variables,
        check=lambda: services.watch.check("while Terraform ran"),
    )


def as_role(workspace: Workspace, credentials: Credentials) -> Workspace:
    """Return a workspace in which Terraform has the credentials of a role."""
    return replace(workspace, environment={**workspace.environment, **credentials.environment()})


def shell_exports(deployment: Deployment) -> dict[str, str]:
    """Return the variables through which `aws`, `terraform` and the ops commands reach the deployment."""
    wanted = (
        "AWS_",
        "TF_",
        "STRIPE_",
        "HUNTAZE_API_URL",
        "LAMBDA_",
        "BUNDLE_",
        "RECONCILE",
        "STATE_",
        "CHECKPOINT_DISABLE",
    )
    environment = {**deployment.workspace.environment, **deployment.terraform.environment}
    exports = {name: value for name, value in sorted(environment.items()) if name.startswith(wanted)}
    services = deployment.services
    # Whoever sources them may do everything; AS_ROLE limits a command.
    exports.pop("AWS_SESSION_TOKEN", None)
    exports |= services.aws.credentials.environment()
    exports |= {**deployment.settings, names.DATABASE_URL: services.database_url}
    if services.stripe_url:
        key = services.secrets.stripe_secret_key
        exports |= {STRIPE_API_URL: services.stripe_url, names.STRIPE_SECRET_KEY: key}
    return exports
