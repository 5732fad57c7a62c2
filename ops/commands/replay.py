"""`huntaze-stripe replay`: send what the archive holds to the bus again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops import times
from ops.commands.options import DryRun, Env, Json, Yes
from ops.console import confirm, open_console, print_json
from ops.errors import OperatorError
from ops.progress import Steps

if TYPE_CHECKING:
    from ops.environment import Environment
    from ops.replay.replays import Replay

DEFAULT_RULES = ("payments", "billing")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Send archived events to the bus again.")
    for command in (start, status, cancel):
        group.command()(command)
    app.add_typer(group, name="replay")


def start(
    since: Annotated[str, typer.Option(help="Begin of the window: 48h, 30m, 7d or an ISO time in UTC.")],
    until: Annotated[str, typer.Option(help="End of the window, at least 10 minutes ago.")] = "10m",
    env: Env = "dev",
    rule: Annotated[
        list[str] | None,
        typer.Option(help="payments, billing, audit-payments, audit-billing or audit; repeatable."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Apply again what is applied already; needs --reason.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why events are applied again; it is written down.")] = "",
    again: Annotated[
        bool,
        typer.Option(
            "--again", help="With --force: also where a forced replay of the last hour overlaps the window."
        ),
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the replay has ended.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Replay a window of the archive to the payments and billing rules, or to those named by --rule.

    An event that is applied already is skipped by its handler, unless --force says otherwise. Exit codes:
    0 done, 1 failed or refused by AWS, 2 called wrongly.
    """
    if force and not reason.strip():
        raise OperatorError("--force applies events again: say why with --reason", usage=True)
    if reason and not force:
        raise OperatorError("--reason goes with --force: add it, or leave the reason out", usage=True)
    if again and not force:
        raise OperatorError("--again goes with --force: add it, or leave --again out", usage=True)
    from functions.pipeline.replay_names import new_name
    from ops import environment as environments
    from ops.ledger import open_ledger
    from ops.replay import archive as archives
    from ops.replay import forecast as forecasts
    from ops.replay import record, replays, report, rules, starting

    now = datetime.now(UTC).replace(microsecond=0)
    first, last = times.moment(since, "--since", now), times.moment(until, "--until", now)
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
        console.print("dry run: nothing was started", highlight=False)
    else:
        names = ", ".join(each.name for each in chosen)
        warning = ", and apply what is applied already AGAIN" if force else ""
        question = f"Replay {times.told(first)} to {times.told(last)} to {names} of {env}{warning}?"
        confirm(question, yes=yes, as_json=as_json)
        # The reading and the question may have taken minutes.
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
        console.print(f"started {name}", highlight=False)
        replay = _waited(environment, name, steps) if wait else replays.describe(environment, name)
        document["state"] = replay.state
    if as_json:
        print_json(document)
    if wait and not dry_run:
        _fail_unless_completed(replay)


def status(
    name: Annotated[str | None, typer.Argument(help="The replay; none lists those of the archive.")] = None,
    env: Env = "dev",
    wait: Annotated[bool, typer.Option("--wait", help="Show its progress until it has ended.")] = False,
    as_json: Json = False,
) -> None:
    """Show one replay, or list the environment's. With --wait, exit code 1 unless it is completed."""
    from ops import environment as environments
    from ops.replay import archive as archives
    from ops.replay import replays, report

    if wait and name is None:
        raise OperatorError(
            "--wait needs the replay's name: `huntaze-stripe replay status` lists them", usage=True
        )
    environment = environments.connect(env)
    console = open_console(as_json=as_json)
    if name is None:
        found: Sequence[Replay] = replays.listed(environment, archives.of_bus(environment))
    elif wait:
        found = [_waited(environment, name, Steps(console))]
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
    name: Annotated[str, typer.Argument(help="The replay to stop.")],
    env: Env = "dev",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Stop a replay; what it has sent already stays sent."""
    from ops import environment as environments
    from ops.replay import replays, report

    environment = environments.connect(env)
    replay = replays.describe(environment, name)
    done, total = replay.seconds
    console = open_console(as_json=as_json)
    console.print(
        f"{name} is {replay.state}, {done} of {total} s of its window are replayed", highlight=False
    )
    if not dry_run:
        confirm(f"Cancel {name}?", yes=yes, as_json=as_json)
        replays.cancel(environment, name)
        replay = replays.describe(environment, name)
        console.print(f"{name} is {replay.state}", highlight=False)
    if as_json:
        print_json({**report.document(replay), "dry_run": dry_run})


def _waited(environment: Environment, name: str, steps: Steps) -> Replay:
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
            + ": start another for the rest of its window"
        )
