"""`huntaze-stripe pause` and `resume`: stop parts of an environment for a while, and lose no event."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from ops import times
from ops.commands.options import DryRun, Env, Json, Yes
from ops.console import confirm, open_console, print_json
from ops.errors import OperatorError

if TYPE_CHECKING:
    from ops.environment import Environment
    from ops.switches import State, Switch

# EventBridge, "Disabling or deleting event rules": a change takes a short time until it has effect. To replay
# a little more is harmless: what is applied already is skipped.
_MARGIN: Final = timedelta(minutes=5)

Parts = Annotated[
    list[str] | None,
    typer.Argument(help="payments, billing, audit, redrive or reconcile; several at a time."),
]
Status = Annotated[bool, typer.Option("--status", help="Show which parts are paused, and change nothing.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(pause)
    app.command()(resume)


def pause(
    parts: Parts = None,
    env: Env = "dev",
    status: Status = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Stop parts of an environment; no event is lost meanwhile.

    payments, billing: their rule is disabled. Events reach the archive and the audit alone; a replay, which
    resume prints, brings them back. redrive and reconcile still hand events over: pause these too.

    audit: its queue is read no longer. Events wait in it, for 14 days at most.

    redrive, reconcile: their schedule is disabled. Failed events stay in the dead-letter queues; the next
    comparison begins where the last one ended.

    The next deploy resumes everything. Exit codes: 0 done, 1 failed, 2 called wrongly.
    """
    from ops import environment as environments

    environment = environments.connect(env)
    console = open_console(as_json=as_json)
    chosen = _chosen(parts, status=status)
    states = {name: switch.state(environment) for name, switch in chosen.items()}
    if not status:
        _refuse_what_is_not_there(states, env)
        for name, switch in chosen.items():
            told = f"{name}: turn off {switch.what}; meanwhile {switch.meanwhile}. Back: {switch.back}."
            console.print(told, highlight=False, soft_wrap=True)
        console.print(f"The next deploy of {env} resumes what is paused.", highlight=False)
        if not dry_run:
            confirm(f"Pause {', '.join(chosen)} of {env}?", yes=yes, as_json=as_json)
            for switch in chosen.values():
                switch.pause(environment, datetime.now(UTC))
            states = {name: switch.state(environment) for name, switch in chosen.items()}
    _show(console, states, as_json=as_json)


def resume(
    parts: Parts = None,
    env: Env = "dev",
    status: Status = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Start paused parts of an environment again, and print how their events come back.

    For payments and billing that is a replay of the time of the pause: run the printed command once the
    archive has all of it. The other parts catch up by themselves. Exit codes: 0 done, 1 failed, 2 called
    wrongly.
    """
    from ops import environment as environments

    environment = environments.connect(env)
    console = open_console(as_json=as_json)
    chosen = _chosen(parts, status=status)
    states = {name: switch.state(environment) for name, switch in chosen.items()}
    replays: dict[str, str] = {}
    if not status:
        _refuse_what_is_not_there(states, env)
        if not dry_run:
            confirm(f"Resume {', '.join(chosen)} of {env}?", yes=yes, as_json=as_json)
            for switch in chosen.values():
                switch.resume(environment)
        now = datetime.now(UTC)
        replays = {name: _replay(env, name, since, now) for name, since in _pauses(states).items()}
        for name, command in replays.items():
            ready = times.told(_ready(now))
            console.print(
                f"{name}: its events since the pause are in the archive. From {ready} on:", soft_wrap=True
            )
            console.print(f"  {command}", soft_wrap=True)
        if not dry_run:
            states = {name: switch.state(environment) for name, switch in chosen.items()}
    _show(console, states, as_json=as_json, replays=replays)
    if not (status or dry_run):
        _forget(environment, chosen, replays)


def _chosen(parts: list[str] | None, *, status: bool) -> dict[str, Switch]:
    from ops.switches import SWITCHES

    if not parts:
        if status:
            return dict(SWITCHES)
        raise OperatorError(f"name what to pause or resume: {', '.join(SWITCHES)}", usage=True)
    for name in parts:
        if name not in SWITCHES:
            raise OperatorError(f"{name!r} can't be paused: take {', '.join(SWITCHES)}", usage=True)
    return {name: SWITCHES[name] for name in SWITCHES if name in parts}


def _refuse_what_is_not_there(states: dict[str, State], env: str) -> None:
    for name, state in states.items():
        if not state.deployed:
            raise OperatorError(f"{name} is not deployed in {env}: leave it out, or deploy it first")


def _pauses(states: dict[str, State]) -> dict[str, datetime]:
    """The begins of pauses of which events are to come back by a replay."""
    return {name: state.since for name, state in states.items() if state.since is not None}


def _ready(now: datetime) -> datetime:
    from ops.replay.archive import LATENESS

    return now + _MARGIN + LATENESS


def _replay(env: str, name: str, since: datetime, now: datetime) -> str:
    return (
        f"huntaze-stripe replay start --env {env} --rule {name} --since {times.stamp(since - _MARGIN)} "
        f"--until {times.stamp(now + _MARGIN)}"
    )


def _forget(environment: Environment, chosen: dict[str, Switch], replays: dict[str, str]) -> None:
    """Only what was printed is forgotten: whoever is interrupted before calls resume again."""
    from ops.switches import HandlerRule

    for name in replays:
        switch = chosen[name]
        if isinstance(switch, HandlerRule):
            switch.forget(environment)


def _show(
    console: Console, states: dict[str, State], *, as_json: bool, replays: dict[str, str] | None = None
) -> None:
    if as_json:
        print_json([_document(name, state, replays or {}) for name, state in states.items()])
        return
    table = Table(title="Parts", title_justify="left")
    table.add_column("Part")
    table.add_column("State")
    for name, state in states.items():
        table.add_row(name, str(state))
    console.print(table)


def _document(name: str, state: State, replays: dict[str, str]) -> dict[str, Any]:
    return {
        "part": name,
        "deployed": state.deployed,
        "paused": state.paused,
        "paused_since": times.stamp(state.since) if state.since else None,
        "replay": replays.get(name),
    }
