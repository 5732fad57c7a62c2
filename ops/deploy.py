"""Plan, apply and destroy a stack: the steps that a deploy and the local run share."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from functions.shared import names
from infra import settings as infra_settings
from infra.errors import InfraError
from infra.names import BOOTSTRAP, stack_name
from ops import ROOT, addresses, as_role, plan_report, protection, secret_versions
from ops.console import plural
from ops.errors import OperatorError
from ops.plan_report import Acceptance, Level, Verdict
from ops.progress import Steps
from ops.secret_changes import rewrites_secret
from ops.secret_versions import VersionIds
from ops.terraform import KeptError, PlanSummary, Terraform, operator_environment
from ops.terraform.supervision import Check

USAGE_EXIT_CODE: Final = 2
# Of the file with what a comment leaves out.
WHOLE: Final = ".whole.md"
BUS_RESOURCE: Final = "aws_cloudwatch_event_bus"


@dataclass(frozen=True)
class Workspace:
    """The folders of a deploy, and the environment that it runs in.

    Parameters
    ----------
    outdir
        For the synthesised stacks.
    plans
        For saved plans and their Markdown.
    scratch
        For Terraform's CLI configuration and, without a mirror, the provider.
    check
        Called repeatedly while Terraform runs; the OperatorError that it raises stops Terraform.
    """

    outdir: Path
    plans: Path
    scratch: Path
    environment: Mapping[str, str]
    check: Check | None = None


@contextmanager
def operator_workspace(environment: str | None = None) -> Iterator[Workspace]:
    """Yield the checkout's workspace, with the process's environment and the role of AS_ROLE.

    Only one command at a time has it, so that the confirmed plan is the one that was shown.

    Parameters
    ----------
    environment
        The one that the command is for, if it is for one.

    Raises
    ------
    OperatorError
        Another command has it, an exported address is invalid, or AS_ROLE can't be assumed.
    """
    addresses.check(os.environ)
    as_role.take(environment)
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    with (build / "workspace.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OperatorError(
                "another plan or deploy is running in this checkout: try again when it has ended"
            ) from error
        yield Workspace(
            ROOT / "cdktf.out", build / "plans", build / "terraform", operator_environment(os.environ)
        )


@dataclass(frozen=True)
class Review:
    """For the Markdown of a plan: the dangers that are accepted, and where the whole report will be."""

    accepted: Sequence[Acceptance] = ()
    link: str = ""


NO_REVIEW: Final = Review()
SAFE: Final = Verdict(Level.SAFE, ())


@dataclass(frozen=True)
class SavedPlan:
    """A saved plan: its counts, its Markdown, and the Terraform that can apply it.

    Parameters
    ----------
    rewrites_secret
        Whether it writes secret values again.
    makes_bus
        Whether it creates an event bus, other than a replacement for the same event source.
    shown
        The plan in Terraform's JSON form.
    verdict
        What its rules say.
    """

    terraform: Terraform
    file: Path
    summary: PlanSummary
    markdown_file: Path
    rewrites_secret: bool = False
    makes_bus: bool = False
    shown: dict[str, Any] = field(default_factory=dict, repr=False)
    verdict: Verdict = SAFE


def plan(
    workspace: Workspace,
    environment: str,
    steps: Steps,
    *,
    destroy: bool = False,
    refresh: bool = True,
    applied: bool = False,
    review: Review = NO_REVIEW,
) -> SavedPlan:
    """Synthesise and plan an environment; save the plan, and its Markdown beside it.

    Parameters
    ----------
    refresh
        Whether to read AWS; without it only the state is read, and the Markdown says so.
    applied
        Whether the plan will be applied: an environment with live events must name its account then. No
        value of a secret is read for another plan, unless it destroys.

    Raises
    ------
    OperatorError
        The environment is unknown or incomplete, a step failed, or the plan would lose events.
    """
    _check_known(environment)
    with steps.step("synth"):
        synthesise(workspace, [environment])
    settings = infra_settings.load(environment, environ=workspace.environment)
    if applied and settings.livemode and not settings.aws_account_id:
        raise OperatorError(
            f"aws_account_id is empty: set it to the 12 digits of the account for live events in "
            f"environments/{environment}.toml",
            usage=True,
        )
    only_read = refresh and not applied and not destroy
    planned = plan_stack(
        workspace,
        stack_name(environment),
        environment,
        steps,
        destroy=destroy,
        refresh=refresh,
        version_ids=secret_versions.ids_in_aws(environment) if only_read else None,
        review=review,
    )
    if destroy:
        protection.refuse_half_a_destroy(planned.shown, environment)
    else:
        protection.refuse_losses(planned.shown, environment, protected=settings.deletion_protection)
    return planned


def stack_of(workspace: Workspace, environment: str, steps: Steps) -> Terraform:
    """Synthesise an environment, and return Terraform in its stack, connected to the state.

    Raises
    ------
    OperatorError
        The environment is unknown or incomplete, or a step failed.
    """
    _check_known(environment)
    with steps.step("synth"):
        synthesise(workspace, [environment])
    return _initialised(workspace, stack_name(environment), environment, steps)


def plan_bootstrap(workspace: Workspace, steps: Steps) -> SavedPlan:
    """Synthesise and plan the stack of the state bucket."""
    with steps.step("synth"):
        synthesise(workspace, [])
    return plan_stack(workspace, BOOTSTRAP, "bootstrap", steps)


def plan_stack(
    workspace: Workspace,
    stack: str,
    name: str,
    steps: Steps,
    *,
    destroy: bool = False,
    refresh: bool = True,
    version_ids: VersionIds | None = None,
    review: Review = NO_REVIEW,
) -> SavedPlan:
    """Plan a synthesised stack.

    Parameters
    ----------
    version_ids
        Lists the versions of a secret: then no value of a secret is read, and the plan can't be applied.
    """
    terraform = _initialised(workspace, stack, name, steps)
    workspace.plans.mkdir(parents=True, exist_ok=True)
    file = workspace.plans / f"{name}.tfplan"
    with steps.step(f"plan {name}") as step:
        try:
            if version_ids is not None:
                summary, shown = secret_versions.plan(terraform, file, step.advance_to, version_ids)
            else:
                summary = terraform.plan(file, step.advance_to, destroy=destroy, refresh=refresh)
                shown = terraform.show(file)
        except KeptError as error:
            raise protection.kept(error.addresses, stack, name) from error
        step.note = f"{summary.add} to add, {summary.change} to change, {summary.destroy} to destroy"
        step.note += f", {summary.other} outputs and addresses" if summary.other else ""
    markdown_file = file.with_suffix(".md")
    _write_report(shown, markdown_file, refreshed=refresh, review=review)
    verdict = plan_report.assess(shown, review.accepted)
    return SavedPlan(
        terraform, file, summary, markdown_file, rewrites_secret(shown), makes_bus(shown), shown, verdict
    )


def _write_report(shown: dict[str, Any], file: Path, *, refreshed: bool, review: Review) -> None:
    """Write the report, and, if a comment has no room for all of it, the whole one beside it."""
    whole_file = file.with_suffix(WHOLE)
    report, whole = (
        plan_report.render(
            shown, file.stem, refreshed=refreshed, accepted=review.accepted, link=review.link, whole=whole
        )
        for whole in (False, True)
    )
    file.write_text(report)
    whole_file.unlink(missing_ok=True)
    if whole != report:
        whole_file.write_text(whole)


def _check_known(environment: str) -> None:
    try:
        infra_settings.check_environment(environment)
    except InfraError as error:
        raise OperatorError(str(error), usage=True) from error


def _initialised(workspace: Workspace, stack: str, name: str, steps: Steps) -> Terraform:
    folder = workspace.outdir / "stacks" / stack
    terraform = Terraform.at(folder, workspace.environment, workspace.scratch, workspace.check)
    with steps.step(f"init {name}") as step:
        terraform.init()
        step.note = (
            f"{terraform.engine.name} {terraform.engine.version}, provider from {terraform.provider_origin}"
        )
    return terraform


def makes_bus(plan: Mapping[str, Any]) -> bool:
    """Return whether a plan, in Terraform's JSON form, creates a bus for another event source."""
    return any(
        change["type"] == BUS_RESOURCE
        and "create" in change["change"]["actions"]
        and (change["change"]["before"] or {}).get("name") != change["change"]["after"].get("name")
        for change in plan.get("resource_changes", [])
    )


def require_approved(planned: SavedPlan, approved: Path) -> None:
    """Refuse a plan whose Markdown is not the approved one.

    Raises
    ------
    OperatorError
        It differs, or the approved one can't be read.
    """
    try:
        wanted = approved.read_text()
    except OSError as error:
        raise OperatorError(f"invalid --approved {approved}: {error.strerror}", usage=True) from error
    if wanted != planned.markdown_file.read_text():
        raise OperatorError(
            f"the plan differs from the approved one in {approved}: review {planned.markdown_file}, and "
            "approve it again"
        )


def apply(planned: SavedPlan, steps: Steps) -> list[str]:
    """Apply exactly what was planned; return the addresses of all resources in the state.

    Raises
    ------
    OperatorError
        It failed, or would empty a secret value by accident.
    """
    absent = [name for name in names.SECRET_KEYS if f"TF_VAR_{name}" not in planned.terraform.environment]
    if planned.rewrites_secret and absent:
        raise OperatorError(
            f"the plan writes the secrets again, and {', '.join(absent)} would be empty: export its value, "
            f"or TF_VAR_{absent[0]}= to empty it on purpose"
        )
    with steps.step(f"apply {planned.file.stem}") as step:
        step.advance_to(0, planned.summary.resources)
        planned.terraform.apply(planned.file, step.advance_to, planned=planned.summary)
        resources = planned.terraform.resources()
        step.note = f"{plural(planned.summary.resources, 'resource')} changed"
    return resources


def synthesise(workspace: Workspace, environments: Sequence[str]) -> None:
    """Run `main.py`, which writes the bootstrap stack besides the environments."""
    done = subprocess.run(
        [sys.executable, "main.py", *environments, "--outdir", str(workspace.outdir)],
        cwd=ROOT,
        env=dict(workspace.environment),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip() or "no output"
        raise OperatorError(said.removeprefix("main.py: "), usage=done.returncode == USAGE_EXIT_CODE)
