"""`huntaze-stripe bootstrap`, `plan`, `deploy`, `adopt` and `destroy`: changes to an AWS account."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ops import DEFAULT_ENVIRONMENT, ROOT, times
from ops.commands.options import DryRun, Env, Json, Yes
from ops.commands.plan_report import (
    AcceptOption,
    FailOn,
    FailOnOption,
    LinkOption,
    acceptances,
    check_link,
    described,
    fail,
)
from ops.console import confirm, open_console, plural, print_json, print_line, require_terminal, styled
from ops.errors import OperatorError
from ops.progress import Steps

if TYPE_CHECKING:
    from ops.deploy import SavedPlan

BOOTSTRAP: Final = "bootstrap"
# By what happens to a resource.
COLOURS: Final = {"destroy": "red", "replace": "red", "forget": "red", "update": "yellow", "create": "green"}

LEVELS: Final = {"danger": "red", "review": "yellow"}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (bootstrap, plan, deploy, adopt, destroy):
        app.command()(command)


def plan(
    env: Env = DEFAULT_ENVIRONMENT,
    refresh: Annotated[
        bool,
        typer.Option(
            "--refresh/--no-refresh",
            help="Read AWS, or compare with the Terraform state only, without locking it.",
        ),
    ] = True,
    fail_on: FailOnOption = None,
    accept: AcceptOption = None,
    link: LinkOption = "",
    as_json: Json = False,
) -> None:
    """Plan an environment with Terraform, and say what it would do to events and money.

    It prints a verdict (safe, review or danger) with one line for each danger, and writes the plan as
    Markdown to build/plans. It succeeds whether or not there is something to change; with --fail-on danger, a
    danger that nobody accepts is exit code 3.
    """
    from ops import deploy as deploys
    from ops import plan_report, preflight

    console = open_console(as_json=as_json)
    check_link(link)
    if fail_on is FailOn.DRIFT and not refresh:
        raise OperatorError(
            "invalid --fail-on drift with --no-refresh: a plan that does not read AWS finds no drift; "
            "leave out --no-refresh",
            usage=True,
        )
    review = deploys.Review(acceptances(accept), link)
    with deploys.operator_workspace(env) as workspace:
        planned = deploys.plan(workspace, env, Steps(console), refresh=refresh, review=review)
        _show(planned, as_json=as_json)
        if refresh:
            preflight.check(env, planned, console, applying=False)
    if as_json:
        print_json(_document(planned, env, applied=False, dry_run=True))
    fail([planned.verdict], plan_report.drifted(planned.shown), fail_on)


def bootstrap(yes: Yes = False, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Create the bucket for the Terraform state and the roles of GitHub's workflows, once per AWS account."""
    from ops import deploy as deploys

    change = _Change(BOOTSTRAP, "Apply this to the account?", yes=yes, dry_run=dry_run, as_json=as_json)
    with deploys.operator_workspace() as workspace:
        change.finish(deploys.plan_bootstrap(workspace, change.steps))


def deploy(
    env: Env = DEFAULT_ENVIRONMENT,
    yes: Yes = False,
    approved: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Markdown of an approved plan; refuse to apply any other."),
    ] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Plan an environment, ask, and apply exactly that plan."""
    from ops import deploy as deploys
    from ops import preflight, protection, secret_changes

    change = _Change(env, f"Apply this to {env}?", yes=yes, dry_run=dry_run, as_json=as_json)
    with deploys.operator_workspace(env) as workspace:
        planned = deploys.plan(workspace, env, change.steps, applied=not dry_run)
        if approved is not None:
            deploys.require_approved(planned, approved)
        preflight.check(env, planned, change.steps.console, applying=not dry_run)
        if not dry_run and (rewritten := secret_changes.rewritten(planned.shown, env)):
            from ops import environment as environments
            from ops import secret_values

            exported = planned.terraform.environment
            secret_values.refuse_old_values(environments.connect(env), rewritten, exported)
        change.finish(planned, may_miss_events=protection.reroutes(planned.shown))


def destroy(
    env: Env = DEFAULT_ENVIRONMENT, yes: Yes = False, dry_run: DryRun = False, as_json: Json = False
) -> None:
    """Plan the destruction of an environment, ask, and destroy it."""
    from ops import deploy as deploys

    change = _Change(env, f"Destroy {env}?", yes=yes, dry_run=dry_run, as_json=as_json)
    with deploys.operator_workspace(env) as workspace:
        change.finish(deploys.plan(workspace, env, change.steps, destroy=True, applied=not dry_run))


def adopt(
    env: Env = DEFAULT_ENVIRONMENT, yes: Yes = False, dry_run: DryRun = False, as_json: Json = False
) -> None:
    """Import queues of an earlier release into the Terraform state, with their messages.

    Run it once, before the first deploy of a release that creates queues through Cloud Control. It changes
    the state only; the next deploy changes the queues in place.
    """
    from ops import adoption
    from ops import deploy as deploys

    require_terminal(as_json=as_json, yes=yes, dry_run=dry_run)
    steps = Steps(open_console(as_json=as_json))
    with deploys.operator_workspace(env) as workspace:
        terraform = deploys.stack_of(workspace, env, steps)
        found = adoption.find(terraform, env)
        for name in found.names:
            print_line(name, as_json=as_json)
        adopts = bool(found.names) and not dry_run
        if adopts:
            question = f"Import {plural(len(found.names), 'queue')} into the state of {env}?"
            confirm(question, yes=yes, as_json=as_json)
            terraform.push_state(found.state)
    if as_json:
        print_json({"environment": env, "queues": found.names, "adopted": adopts, "dry_run": dry_run})
    elif not found.names:
        print_line("nothing to do: every queue is in the state, or does not exist yet")
    else:
        print_line(
            f"done: `huntaze-stripe deploy --env {env}` changes them in place"
            if adopts
            else "dry run: nothing was changed"
        )


class _Change:
    """A change that is planned, shown, confirmed and applied.

    Raises
    ------
    OperatorError
        It needs a confirmation, and there is no terminal to ask on.
    """

    def __init__(self, environment: str, question: str, *, yes: bool, dry_run: bool, as_json: bool) -> None:
        require_terminal(as_json=as_json, yes=yes, dry_run=dry_run)
        self.steps = Steps(open_console(as_json=as_json))
        self._environment = environment
        self._question = question
        self._yes = yes
        self._dry_run = dry_run
        self._as_json = as_json

    def finish(self, planned: SavedPlan, *, may_miss_events: bool = False) -> None:
        """Show the plan, apply it unless it is a dry run, and report what was done.

        Parameters
        ----------
        may_miss_events
            Whether events that arrive during the apply may match no rule: the window to check is printed.

        Raises
        ------
        OperatorError
            The answer is no, or the apply failed.
        """
        from infra import contents

        _show(planned, as_json=self._as_json)
        outputs: dict[str, Any] | None = None
        begun = datetime.now(UTC)
        if self._dry_run:
            print_line("dry run: nothing was changed", as_json=self._as_json)
        elif planned.summary.changes == 0:
            print_line("nothing to do", as_json=self._as_json)
        else:
            outputs = self._applied(planned)
        if self._as_json:
            applied = outputs is not None
            document = _document(planned, self._environment, applied=applied, dry_run=self._dry_run)
            if applied:
                document["outputs"] = outputs
            if applied and may_miss_events:
                document["reconcile_since"] = times.stamp(begun)
            print_json(document)
        else:
            # Two outputs are for the report of the next plan, not for a person.
            unread = (contents.CODE, contents.ROUTING)
            shown = {name: value for name, value in (outputs or {}).items() if name not in unread}
            for name, value in shown.items():
                print_line(f"{name} = {value if isinstance(value, str) else json.dumps(value)}")
        if may_miss_events and outputs is not None:
            self._print_window(begun)

    def _print_window(self, begun: datetime) -> None:
        since = times.stamp(begun)
        print_line(
            f"rules changed since {since}: events of this time may have matched none. In 15 minutes, run "
            f"`huntaze-stripe reconcile --env {self._environment} --since {since}` to list missing events, "
            "and add --heal to send them. After a first deploy, use the time at which you created the "
            "destination in Stripe.",
            as_json=self._as_json,
        )

    def _applied(self, planned: SavedPlan) -> dict[str, Any]:
        from ops import deploy as deploys

        confirm(self._question, yes=self._yes, as_json=self._as_json)
        deploys.apply(planned, self.steps)
        return planned.terraform.outputs()


def _show(planned: SavedPlan, *, as_json: bool) -> None:
    """Print the counts, a line for each resource, and where the whole plan is."""
    from ops import plan_report

    console = open_console(as_json=as_json)
    for line in plan_report.plain_lines(planned.verdict):
        console.print(styled(line, LEVELS.get(line.split()[0], "")), soft_wrap=True)
    for line in plan_report.outline(planned.shown):
        console.print(styled(line, COLOURS.get(line.split()[0], "")), soft_wrap=True)
    print_line(f"whole plan: {_markdown_path(planned)}", as_json=as_json)


def _document(planned: SavedPlan, environment: str, *, applied: bool, dry_run: bool) -> dict[str, Any]:
    from ops import plan_report

    summary = planned.summary
    return {
        "environment": environment,
        "add": summary.add,
        "change": summary.change,
        "destroy": summary.destroy,
        "other": summary.other,
        "markdown": _markdown_path(planned),
        **described(planned.verdict),
        "drift": plan_report.drifted(planned.shown),
        "applied": applied,
        "dry_run": dry_run,
    }


def _markdown_path(planned: SavedPlan) -> str:
    return planned.markdown_file.relative_to(ROOT).as_posix()
