"""`huntaze-stripe pause` and `resume`: stop parts of an environment for a while without losing events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console

from functions.shared.names import HANDLERS
from ops import DEFAULT_ENVIRONMENT, times
from ops.commands.options import DryRun, Env, Json, Yes
from ops.console import PlainTable, confirm, open_console, print_json, require_terminal, styled
from ops.errors import OperatorError

if TYPE_CHECKING:
    from ops.environment import Environment
    from ops.switches import Switch, SwitchState

# EventBridge, "Disabling or deleting event rules": a change takes a short time until it has effect. To replay
# a little more is harmless: handlers skip what is already applied.
_MARGIN: Final = timedelta(minutes=5)
PARTS: Final = (*HANDLERS, "audit", "redrive", "reconcile", "compact")

Parts = Annotated[
    list[str] | None,
    typer.Argument(metavar="PART", help=f"{', '.join(PARTS)}; one or several.", autocompletion=lambda: PARTS),
]
Status = Annotated[bool, typer.Option("--status", help="Show which parts are paused, and change nothing.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(pause)
    app.command()(resume)


def pause(
    parts: Parts = None,
    env: Env = DEFAULT_ENVIRONMENT,
    status: Status = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Pause parts of an environment without losing events.

    payments, billing: disables the rule. Events reach the archive and the audit only; `resume` prints the
    replay that sends them. redrive and reconcile still invoke the handler: pause them too.

    audit: stops reading its queue. Events wait in it, for 14 days at most.

    redrive, reconcile, compact: disables the schedule. Failed events stay in the dead-letter queues; the next
    comparison starts where the last one ended; the ledger keeps its small objects.

    The next deploy resumes everything.
    """
    chosen = _chosen(parts, status=status)
    require_terminal(as_json=as_json, yes=yes, dry_run=dry_run or status)
    environment, states = _deployed(chosen, env, status=status)
    console = open_console(as_json=as_json)
    if not status:
        for name, switch in chosen.items():
            console.print(f"{name}: {switch.effect}. {switch.return_path}.", soft_wrap=True)
        console.print(f"The next deploy of {env} resumes every paused part.")
        if not dry_run:
            confirm(f"Pause {', '.join(chosen)} of {env}?", yes=yes, as_json=as_json)
            for switch in chosen.values():
                switch.pause(environment, datetime.now(UTC))
            states = _states(chosen, environment)
    _show(console, states, as_json=as_json)


def resume(
    parts: Parts = None,
    env: Env = DEFAULT_ENVIRONMENT,
    status: Status = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Resume paused parts of an environment.

    For payments and billing it prints the replay of the pause: run it once the archive holds all events. The
    other parts catch up without help.
    """
    chosen = _chosen(parts, status=status)
    require_terminal(as_json=as_json, yes=yes, dry_run=dry_run or status)
    environment, states = _deployed(chosen, env, status=status)
    console = open_console(as_json=as_json)
    replays: dict[str, str] = {}
    if not status:
        if not dry_run:
            confirm(f"Resume {', '.join(chosen)} of {env}?", yes=yes, as_json=as_json)
            for switch in chosen.values():
                switch.resume(environment)
        now = datetime.now(UTC)
        replays = {name: _replay(env, name, since, now) for name, since in _pauses(states).items()}
        for name, command in replays.items():
            ready = times.format_time(_ready(now))
            console.print(
                f"{name}: the archive holds the events of the pause. From {ready} on, run:", soft_wrap=True
            )
            console.print(f"  {command}", soft_wrap=True)
        if not dry_run:
            states = _states(chosen, environment)
    _show(console, states, as_json=as_json, replays=replays)
    if not (status or dry_run):
        _remove_tags(environment, chosen, replays)


def _chosen(parts: list[str] | None, *, status: bool) -> dict[str, Switch]:
    from ops.switches import SWITCHES

    if not parts:
        if status:
            return dict(SWITCHES)
        raise OperatorError(f"missing PART: expected one or several of {', '.join(SWITCHES)}", usage=True)
    for name in parts:
        if name not in SWITCHES:
            raise OperatorError(
                f"invalid PART {name!r}: expected one or several of {', '.join(SWITCHES)}", usage=True
            )
    return {name: SWITCHES[name] for name in SWITCHES if name in parts}


def _deployed(
    chosen: dict[str, Switch], env: str, *, status: bool
) -> tuple[Environment, dict[str, SwitchState]]:
    """Return the environment and the state of each part, which must be deployed but for --status."""
    from ops import environment as environments

    environment = environments.connect(env)
    states = _states(chosen, environment)
    for name, state in states.items():
        if not (status or state.deployed):
            raise OperatorError(f"{name} is not deployed in {env}: leave it out, or deploy it first")
    return environment, states


def _states(chosen: dict[str, Switch], environment: Environment) -> dict[str, SwitchState]:
    return {name: switch.state(environment) for name, switch in chosen.items()}


def _pauses(states: dict[str, SwitchState]) -> dict[str, datetime]:
    """Return when each pause began whose events need a replay."""
    return {name: state.since for name, state in states.items() if state.since is not None}


def _ready(now: datetime) -> datetime:
    from ops.replay.archive import LATENESS

    return now + _MARGIN + LATENESS


def _replay(env: str, name: str, since: datetime, now: datetime) -> str:
    return (
        f"huntaze-stripe replay start --env {env} --rule {name} --since {times.stamp(since - _MARGIN)} "
        f"--until {times.stamp(now + _MARGIN)}"
    )


def _remove_tags(environment: Environment, chosen: dict[str, Switch], replays: dict[str, str]) -> None:
    """Remove the tags of what was printed; after an interrupt before that, resume prints it again."""
    from ops.switches import HandlerRule

    for name in replays:
        switch = chosen[name]
        if isinstance(switch, HandlerRule):
            switch.forget(environment)


def _show(
    console: Console, states: dict[str, SwitchState], *, as_json: bool, replays: dict[str, str] | None = None
) -> None:
    if as_json:
        print_json([_document(name, state, replays or {}) for name, state in states.items()])
        return
    table = PlainTable("Part", "State", title="Parts")
    for name, state in states.items():
        table.add_row(name, styled(state, "yellow" if state.paused else ""))
    console.print(table)


def _document(name: str, state: SwitchState, replays: dict[str, str]) -> dict[str, Any]:
    return {
        "part": name,
        "deployed": state.deployed,
        "paused": state.paused,
        "paused_since": times.stamp(state.since) if state.since else None,
        "replay": replays.get(name),
    }
