"""`huntaze-stripe replay`: send archived events to the bus again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from functions.shared.names import HANDLERS
from ops import DEFAULT_ENVIRONMENT, times
from ops.commands.options import DryRun, Env, Json, Until, Yes
from ops.console import confirm, open_console, print_json, print_line, require_terminal
from ops.errors import OperatorError
from ops.progress import Steps

if TYPE_CHECKING:
    from ops.environment import Environment
    from ops.replay.replays import Replay

DEFAULT_RULES: Final = HANDLERS
RULES: Final = (*HANDLERS, *(f"audit-{handler}" for handler in HANDLERS), "audit")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Send archived events to the bus again.")
    for command in (start, status, cancel):
        group.command()(command)
    app.add_typer(group, name="replay")


def start(
    since: Annotated[
        str, typer.Option(metavar="TIME", help="Start of the window: 48h, 30m, 7d or an ISO time in UTC.")
    ],
    until: Until = "10m",
    env: Env = DEFAULT_ENVIRONMENT,
    rule: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RULE",
            help=f"Only this rule: {', '.join(RULES)}; repeatable. Default: {' and '.join(DEFAULT_RULES)}.",
            autocompletion=lambda: RULES,
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Apply again what is already applied; needs --reason.")
    ] = False,
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Why events are applied again; stored with the replay.")
    ] = "",
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="With --force: even if a forced replay of the last hour covers an overlapping window.",
        ),
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until the replay has ended, and count the applied events.")
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Replay a window of the archive to the payments and billing rules, or to those named by --rule.

    Handlers skip events that are already applied, unless you add --force.
    """
    if force and not reason.strip():
        raise OperatorError("--force applies events again: add --reason with the reason", usage=True)
    if reason and not force:
        raise OperatorError("--reason needs --force: add --force, or remove --reason", usage=True)
    if again and not force:
        raise OperatorError("--again needs --force: add --force, or remove --again", usage=True)
    from functions.pipeline.replay_names import new_name
    from ops import environment as environments
    from ops.ledger import open_ledger
    from ops.replay import archive as archives
    from ops.replay import forecast as forecasts
    from ops.replay import record, replays, report, rules, starting

    now = datetime.now(UTC).replace(microsecond=0)
    first, last = times.parse_time(since, "--since", now), times.parse_time(until, "--until", now)
    require_terminal(as_json=as_json, yes=yes, dry_run=dry_run)
    environment = environments.connect(env)
    chosen = rules.find(environment, rule or DEFAULT_RULES)
    of_bus = archives.of_bus(environment)
    archive = archives.reaching(of_bus, first, now)
    archive.check(first, last, now)
    if force and not again:
        starting.refuse_overlap(environment, of_bus, chosen, first, last, now)
    console = open_console(as_json=as_json)
    steps = Steps(console)
    ledger = open_ledger(environment, first)
    forecast = forecasts.forecast(environment, ledger, chosen, first, last, steps)
    name = new_name(env, now, forced=force)
    document: dict[str, Any] = {
        "replay": name,
        "state": None,
        "since": times.stamp(first),
        "until": times.stamp(last),
        "rules": [each.name for each in chosen],
        "forced": force,
        "dry_run": dry_run,
        **report.forecast_document(forecast),
    }
    report.show_forecast(console, forecast, force=force)
    if dry_run:
        print_line("dry run: nothing was started", as_json=as_json)
    else:
        names = ", ".join(each.name for each in chosen)
        warning = ", and apply events AGAIN that are already applied" if force else ""
        question = (
            f"Replay {times.format_time(first)} to {times.format_time(last)} to {names} of {env}{warning}?"
        )
        confirm(question, yes=yes, as_json=as_json)
        # The forecast and the question may have taken minutes.
        now = starting.time_at_aws(environment)
        document["replay"] = name = new_name(env, now, forced=force)
        if force:
            document["record"] = record.write(
                environment,
                name,
                reason=reason.strip(),
                rules=chosen,
                since=first,
                until=last,
                forecast=forecast,
                now=now,
            )
        starting.start(environment, name, archive, chosen, first, last, reason.strip())
        print_line(f"started {name}", as_json=as_json)
        replay = _wait(environment, name, steps) if wait else replays.describe(environment, name)
        document["state"] = replay.state
    if wait and not dry_run and replay.state == replays.COMPLETED and forecast.keys:
        document["applied_after"] = after = forecasts.applied_in_the_end(environment, forecast, steps)
        print_line(report.outcome(forecast, after, env), as_json=as_json)
    if as_json:
        print_json(document)
    if wait and not dry_run:
        _fail_unless_completed(replay)


def status(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The replay; without a name, list all.")
    ] = None,
    env: Env = DEFAULT_ENVIRONMENT,
    wait: Annotated[
        bool, typer.Option("--wait", help="Show the progress until the replay has ended.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show one replay, or list those of the environment.

    With --wait it fails unless the replay completes.
    """
    from ops import environment as environments
    from ops.replay import archive as archives
    from ops.replay import replays, report

    if wait and name is None:
        raise OperatorError(
            "--wait needs the name of a replay: `huntaze-stripe replay status` lists the names", usage=True
        )
    environment = environments.connect(env)
    console = open_console(as_json=as_json)
    if name is None:
        found: Sequence[Replay] = replays.listed(environment, archives.of_bus(environment))
    elif wait:
        found = [_wait(environment, name, Steps(console))]
    else:
        found = [replays.describe(environment, name)]
    if as_json:
        documents = [report.document(replay) for replay in found]
        print_json(documents if name is None else documents[0])
    else:
        report.show(console, found)
    if wait:
        _fail_unless_completed(found[0])


def cancel(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The replay to cancel.")],
    env: Env = DEFAULT_ENVIRONMENT,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Cancel a replay; events that it has sent stay sent."""
    from ops import environment as environments
    from ops.replay import replays, report

    require_terminal(as_json=as_json, yes=yes, dry_run=dry_run)
    environment = environments.connect(env)
    replay = replays.describe(environment, name)
    done, total = replay.seconds
    print_line(f"{name} is {replay.state}, {done} of {total} s of its window are replayed", as_json=as_json)
    if not dry_run:
        confirm(f"Cancel {name}?", yes=yes, as_json=as_json)
        replays.cancel(environment, name)
        replay = replays.describe(environment, name)
        print_line(f"{name} is {replay.state}", as_json=as_json)
    if as_json:
        print_json({**report.document(replay), "dry_run": dry_run})


def _wait(environment: Environment, name: str, steps: Steps) -> Replay:
    from ops.replay import replays

    with steps.step("replay") as step:
        replay = replays.wait(environment, name, lambda each: step.advance_to(*each.seconds, each.state))
        step.note = replay.state
    return replay


def _fail_unless_completed(replay: Replay) -> None:
    if replay.state != "COMPLETED":
        raise OperatorError(
            f"the replay {replay.name} is {replay.state}"
            + (f" ({replay.reason})" if replay.reason else "")
            + ": start another one for the rest of its window"
        )
