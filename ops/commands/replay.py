"""`huntaze-stripe replay`: send what the archive holds to the bus again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from ops import moments, talk
from ops.errors import OperatorError
from ops.steps import Steps

if TYPE_CHECKING:
    from rich.console import Console

    from ops.replay.forecast import Forecast
    from ops.replay.replays import Replay

FAILED = 1
DEFAULT_RULES = ("payments", "billing")

app = typer.Typer(no_args_is_help=True, help="Send events of the archive to the bus again.")

Environment = Annotated[str, typer.Option("--env", help="dev, staging or prod.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would happen, and change nothing.")]


@app.command()
def start(
    since: Annotated[str, typer.Option(help="Begin of the window: 48h, 30m, 7d or an ISO time in UTC.")],
    until: Annotated[str, typer.Option(help="End of the window, at least 10 minutes ago.")] = "10m",
    env: Environment = "dev",
    rule: Annotated[
        list[str] | None,
        typer.Option(help="payments, billing, audit-payments, audit-billing or audit; repeatable."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Apply again what is applied already; needs --reason.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why events are applied again; it is written down.")] = "",
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
    from ops import environment as environments
    from ops.ledgers import open_ledger
    from ops.replay import archive as archives
    from ops.replay import forecast as forecasts
    from ops.replay import record, replays, rules

    now = datetime.now(UTC).replace(microsecond=0)
    first, last = moments.moment(since, "--since", now), moments.moment(until, "--until", now)
    environment = environments.connect(env)
    chosen = rules.find(environment, rule or DEFAULT_RULES)
    archive = archives.describe(environment)
    archive.check(first, last, now)
    console = talk.console(as_json=as_json)
    steps = Steps(console)
    ledger = open_ledger(environment, first)
    forecast = forecasts.forecast(environment, ledger, chosen, first, last, steps)
    name = replays.new_name(environment, now, forced=force)
    document: dict[str, Any] = {
        "replay": name,
        "state": None,
        "since": moments.stamp(first),
        "until": moments.stamp(last),
        "rules": [each.name for each in chosen],
        "forced": force,
        "dry_run": dry_run,
        **_forecast_document(forecast),
    }
    _show_forecast(console, forecast, force=force)
    if dry_run:
        console.print("dry run: nothing was started", highlight=False)
    else:
        names = ", ".join(each.name for each in chosen)
        again = ", and apply what is applied already AGAIN" if force else ""
        question = f"Replay {moments.told(first)} to {moments.told(last)} to {names} of {env}{again}?"
        talk.confirm(question, yes=yes, as_json=as_json)
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
        replays.start(environment, name, archive, chosen, first, last, reason.strip())
        console.print(f"started {name}", highlight=False)
        replay = _waited(env, name, steps) if wait else replays.describe(environment, name)
        document["state"] = replay.state
    if as_json:
        talk.show_json(document)
    if wait and not dry_run:
        _fail_unless_completed(replay)


@app.command()
def status(
    name: Annotated[str | None, typer.Argument(help="The replay; none lists those of the archive.")] = None,
    env: Environment = "dev",
    wait: Annotated[bool, typer.Option("--wait", help="Show its progress until it has ended.")] = False,
    as_json: Json = False,
) -> None:
    """Show one replay, or list the environment's. With --wait, exit code 1 unless it is completed."""
    from ops import environment as environments
    from ops.replay import archive as archives
    from ops.replay import replays

    if wait and name is None:
        raise OperatorError(
            "--wait needs the replay's name: `huntaze-stripe replay status` lists them", usage=True
        )
    environment = environments.connect(env)
    console = talk.console(as_json=as_json)
    if name is None:
        found: Sequence[Replay] = replays.listed(environment, archives.describe(environment))
    elif wait:
        found = [_waited(env, name, Steps(console))]
    else:
        found = [replays.describe(environment, name)]
    if as_json:
        documents = [_document(replay) for replay in found]
        talk.show_json(documents if name is None else documents[0])
    else:
        _show(console, found)
    if wait:
        _fail_unless_completed(found[0])


@app.command()
def cancel(
    name: Annotated[str, typer.Argument(help="The replay to stop.")],
    env: Environment = "dev",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Stop a replay; what it has sent already stays sent."""
    from ops import environment as environments
    from ops.replay import replays

    environment = environments.connect(env)
    replay = replays.describe(environment, name)
    done, total = replay.seconds
    console = talk.console(as_json=as_json)
    console.print(
        f"{name} is {replay.state}, {done} of {total} s of its window are replayed", highlight=False
    )
    if not dry_run:
        talk.confirm(f"Cancel {name}?", yes=yes, as_json=as_json)
        replays.cancel(environment, name)
        replay = replays.describe(environment, name)
        console.print(f"{name} is {replay.state}", highlight=False)
    if as_json:
        talk.show_json({**_document(replay), "dry_run": dry_run})


def _waited(env: str, name: str, steps: Steps) -> Replay:
    from ops import environment as environments
    from ops.replay import replays

    with steps.step("replay") as step:
        replay = replays.wait(
            environments.connect(env), name, lambda each: step.advance_to(*each.seconds, each.state)
        )
        step.note = replay.state
    return replay


def _fail_unless_completed(replay: Replay) -> None:
    if replay.state != "COMPLETED":
        raise OperatorError(
            f"the replay {replay.name} is {replay.state}"
            + (f" ({replay.reason})" if replay.reason else "")
            + ": start another for the rest of its window"
        )


def _show_forecast(console: Console, forecast: Forecast, *, force: bool) -> None:
    table = Table(title=f"What will come, by the ledger in {forecast.ledger}", title_justify="left")
    table.add_column("Event type")
    table.add_column("Rules")
    table.add_column("Events", justify="right")
    table.add_column("Applied already", justify="right")
    for line in forecast.lines:
        applied = "" if line.applied is None else str(line.applied)
        table.add_row(line.event_type, ", ".join(line.rules), str(line.events), applied)
    table.add_section()
    table.add_row("all", "", str(forecast.events), str(forecast.applied))
    console.print(table)
    if forecast.unread:
        console.print(
            f"{forecast.unread} objects of the ledger could not be read: more events may come",
            highlight=False,
        )
    fate = "applied AGAIN" if force else "skipped as duplicates"
    console.print(f"{forecast.applied} of {forecast.events} events would be {fate}", highlight=False)


def _show(console: Console, found: Sequence[Replay]) -> None:
    table = Table(title="Replays", title_justify="left")
    for column in ("Name", "State", "From", "To", "Replayed", "Reason"):
        table.add_column(column)
    for replay in found:
        done, total = replay.seconds
        table.add_row(
            replay.name,
            replay.state,
            moments.told(replay.since),
            moments.told(replay.until),
            f"{done / total:.0%}" if total else "",
            replay.reason or "",
        )
    console.print(table)


def _forecast_document(forecast: Forecast) -> dict[str, Any]:
    return {
        "ledger": forecast.ledger,
        "ledger_objects_unread": forecast.unread,
        "events": forecast.events,
        "applied": forecast.applied,
        "types": [
            {
                "event_type": line.event_type,
                "rules": list(line.rules),
                "events": line.events,
                "applied": line.applied,
            }
            for line in forecast.lines
        ],
    }


def _document(replay: Replay) -> dict[str, Any]:
    done, total = replay.seconds
    return {
        "replay": replay.name,
        "state": replay.state,
        "forced": replay.forced,
        "since": moments.stamp(replay.since),
        "until": moments.stamp(replay.until),
        "seconds_replayed": done,
        "seconds": total,
        "reason": replay.reason,
    }
