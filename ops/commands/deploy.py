"""`huntaze-stripe plan`, `deploy`, `destroy` and `bootstrap`: what changes an AWS account, and what would."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markdown import Markdown

from ops import ROOT, times
from ops.console import confirm, open_console, print_json, print_line, require_terminal
from ops.progress import Steps

if TYPE_CHECKING:
    from ops.deploy import Planned

BOOTSTRAP = "bootstrap"

Environment = Annotated[str, typer.Option("--env", help="dev, staging or prod.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask; for a pipeline that was approved elsewhere.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan, and change nothing.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs; needs --yes or --dry-run.")]


def plan(
    env: Environment = "dev",
    refresh: Annotated[
        bool,
        typer.Option(
            "--refresh/--no-refresh",
            help="Ask AWS what there is, or compare with the Terraform state only, without taking its lock.",
        ),
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Print the Terraform plan of an environment and write it as Markdown to build/plans.

    Exit codes: 0 planned, whether or not there is something to change; 1 failed; 2 called wrongly; 130
    interrupted (143 by SIGTERM).
    """
    from ops import deploy as deploys
    from ops import preflight

    console = open_console(as_json=as_json)
    with deploys.operator_workspace() as workspace:
        planned = deploys.plan(workspace, env, Steps(console), refresh=refresh)
        console.print(Markdown(planned.markdown_file.read_text(), hyperlinks=False))
        if refresh:
            preflight.check(env, planned, console, applying=False)
    if as_json:
        print_json(_document(planned, env, applied=False, dry_run=True))
    else:
        print_line("")
        print_line(f"written to {_markdown_path(planned)}")


def bootstrap(yes: Yes = False, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Create the bucket for the Terraform state, once per AWS account.

    Exit codes: 0 done, or nothing to do; 1 failed or refused; 2 called wrongly; 130 interrupted (143 by
    SIGTERM).
    """
    from ops import deploy as deploys

    work = _Work(BOOTSTRAP, "Create the state bucket?", yes=yes, dry_run=dry_run, as_json=as_json)
    with deploys.operator_workspace() as workspace:
        work.finish(deploys.plan_bootstrap(workspace, work.steps))


def deploy(
    env: Environment = "dev",
    yes: Yes = False,
    approved: Annotated[
        Path | None, typer.Option(help="Markdown of an approved plan; refuse to apply any other.")
    ] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Plan an environment, show the plan, ask, and apply exactly that plan.

    Exit codes: 0 done, or nothing to do; 1 failed or refused; 2 called wrongly; 130 interrupted (143 by
    SIGTERM).
    """
    from ops import deploy as deploys
    from ops import preflight, protection

    work = _Work(env, f"Apply this to {env}?", yes=yes, dry_run=dry_run, as_json=as_json)
    with deploys.operator_workspace() as workspace:
        planned = deploys.plan(workspace, env, work.steps, applied=not dry_run)
        if approved is not None:
            deploys.require_approved(planned, approved)
        preflight.check(env, planned, work.steps.console, applying=not dry_run)
        work.finish(planned, left_behind=protection.reroutes(planned.shown))


def destroy(
    env: Environment = "dev", yes: Yes = False, dry_run: DryRun = False, as_json: Json = False
) -> None:
    """Plan the destruction of an environment, show it, ask, and destroy.

    Exit codes: 0 done, or nothing to do; 1 failed or refused; 2 called wrongly; 130 interrupted (143 by
    SIGTERM).
    """
    from ops import deploy as deploys

    work = _Work(env, f"Destroy {env}?", yes=yes, dry_run=dry_run, as_json=as_json)
    with deploys.operator_workspace() as workspace:
        work.finish(deploys.plan(workspace, env, work.steps, destroy=True, applied=not dry_run))


def adopt(env: Environment = "dev", yes: Yes = False, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Take queues that an earlier release made into the Terraform state, with the messages in them.

    Once, before the first deploy of a release that makes queues through Cloud Control. It changes nothing
    but the state; the deploy after it changes the queues in place. Exit codes: 0 done, or nothing to do; 1
    failed or refused; 2 called wrongly; 130 interrupted (143 by SIGTERM).
    """
    from ops import adoption
    from ops import deploy as deploys

    if not (yes or dry_run):
        require_terminal(as_json=as_json)
    steps = Steps(open_console(as_json=as_json))
    with deploys.operator_workspace() as workspace:
        terraform = deploys.stack_of(workspace, env, steps)
        found = adoption.find(terraform, env)
        for name in found.names:
            print_line(name, as_json=as_json)
        adopts = bool(found.names) and not dry_run
        if adopts:
            confirm(f"Take {len(found.names)} queues into the state of {env}?", yes=yes, as_json=as_json)
            terraform.push_state(found.state)
    if as_json:
        print_json({"environment": env, "queues": found.names, "adopted": adopts, "dry_run": dry_run})
    elif not found.names:
        print_line("nothing to do: every queue is in the state, or not made yet")
    else:
        print_line(f"done: deploy --env {env} changes them" if adopts else "dry run: nothing was changed")


class _Work:
    """A change that is planned, shown, asked about and applied.

    Raises
    ------
    OperatorError
        It would have to ask, and prints for a program.
    """

    def __init__(self, environment: str, question: str, *, yes: bool, dry_run: bool, as_json: bool) -> None:
        if as_json and not (yes or dry_run):
            require_terminal(as_json=True)
        self.steps = Steps(open_console(as_json=as_json))
        self._environment = environment
        self._question = question
        self._yes = yes
        self._dry_run = dry_run
        self._as_json = as_json

    def finish(self, planned: Planned, *, left_behind: bool = False) -> None:
        """Show the plan, apply it where that is wanted, and tell what was done.

        Parameters
        ----------
        left_behind
            Whether events that come during the apply may match no rule: then the window is told in which
            to look for them.

        Raises
        ------
        OperatorError
            The answer is no, nobody can be asked, or the apply failed.
        """
        console = self.steps.console
        console.print(Markdown(planned.markdown_file.read_text(), hyperlinks=False))
        outputs: dict[str, Any] | None = None
        begun = datetime.now(UTC)
        if self._dry_run:
            console.print("dry run: nothing was changed", highlight=False)
        elif planned.summary.changes == 0:
            console.print("nothing to do", highlight=False)
        else:
            outputs = self._applied(planned)
        if self._as_json:
            applied = outputs is not None
            document = _document(planned, self._environment, applied=applied, dry_run=self._dry_run)
            if applied:
                document["outputs"] = outputs
            if applied and left_behind:
                document["reconcile_since"] = times.stamp(begun)
            print_json(document)
        else:
            for name, value in (outputs or {}).items():
                print_line(f"{name} = {value if isinstance(value, str) else json.dumps(value)}")
        if left_behind and outputs is not None:
            self._tell_window(begun)

    def _tell_window(self, begun: datetime) -> None:
        since = times.stamp(begun)
        self.steps.console.print(
            f"rules changed since {since}: an event of this time may have matched none. In 15 minutes, "
            f"`huntaze-stripe reconcile --env {self._environment} --since {since}` names what is missing, "
            "and --heal hands it over. After a first deploy, give the time at which the destination was made "
            "in Stripe.",
            highlight=False,
            soft_wrap=True,
        )

    def _applied(self, planned: Planned) -> dict[str, Any]:
        from ops import deploy as deploys

        confirm(self._question, yes=self._yes, as_json=self._as_json)
        deploys.apply(planned, self.steps)
        return planned.terraform.outputs()


def _document(planned: Planned, environment: str, *, applied: bool, dry_run: bool) -> dict[str, Any]:
    summary = planned.summary
    return {
        "environment": environment,
        "add": summary.add,
        "change": summary.change,
        "destroy": summary.destroy,
        "other": summary.other,
        "markdown": _markdown_path(planned),
        "applied": applied,
        "dry_run": dry_run,
    }


def _markdown_path(planned: Planned) -> str:
    return planned.markdown_file.relative_to(ROOT).as_posix()
