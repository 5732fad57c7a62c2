"""`huntaze-stripe local`: the whole pipeline on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops.commands.options import Json, Variant, known_variant
from ops.console import open_console, print_json, print_line
from ops.errors import OperatorError
from ops.local.variants import DEFAULT
from ops.signals import FAILED

if TYPE_CHECKING:
    from ops.local.report import LocalReport


def register(app: typer.Typer) -> None:
    """Add the commands."""
    commands = typer.Typer()
    commands.callback(invoke_without_command=True)(local)
    commands.command()(status)
    commands.command()(down)
    app.add_typer(commands, name="local")


def local(
    context: typer.Context,
    events: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Send this event envelope, or every *.json of this folder, instead of the shipped set.",
        ),
    ] = None,
    count: Annotated[str, typer.Option(metavar="N", help="Send the set N times, with fresh ids.")] = "1",
    variant: Variant = DEFAULT,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running until Ctrl-C and print how to reach it.")
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="As --keep, in the background; `local down` stops it.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Deploy from nothing, and restore no earlier run's deploy.")
    ] = False,
    dev: Annotated[
        bool,
        typer.Option(
            "--dev", help="As --keep, and bring each saved file of functions, infra or environments to it."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Deploy `dev` to an embedded AWS with real Terraform and send Stripe events through it.

    It fails if an event is not accounted for or was applied twice, or if a second plan has changes. The
    report is written to build/local/report.json. A later run of the same code restores the deploy in seconds.
    """
    if context.invoked_subcommand is not None:
        return
    if dev and detach:
        raise OperatorError("--dev and --detach exclude each other: --dev shows what it does", usage=True)
    number = _whole("COUNT", count)
    known_variant(variant)
    if detach:
        from ops.local import kept

        more = ["--count", count, "--variant", variant]
        more += ["--events", str(events.resolve())] if events else []
        more += ["--fresh"] if fresh else []
        raise typer.Exit(kept.start_detached([*more, *(["--json"] if as_json else [])]))
    from ops.local.run import LocalOptions, run

    def print_report(report: LocalReport) -> None:
        if as_json:
            print_json(report.as_json())

    options = LocalOptions(events, number, keep or dev, variant, fresh, dev)
    if not run(options, open_console(as_json=as_json), print_report):
        raise typer.Exit(FAILED)


def status(as_json: Json = False) -> None:
    """Show the run that is kept: its servers and how to reach it. Exit code 1 if there is none."""
    from ops.local import kept

    run = kept.kept_run()
    error = None if run else kept.last_error()
    servers = run.servers_json() if run else []
    if as_json:
        print_json({"pid": run.pid if run else None, "servers": servers, "error": error})
    elif run:
        print_line(f"a local run is kept (process {run.pid})")
        for server in servers:
            print_line(f"{server['name']:<22} {server['url'] if server['running'] else 'ended'}")
        print_line("to reach it: source build/local/env.sh")
    else:
        print_line("no local run is kept: start one with `make local DETACH=1`")
        if error:
            print_line(f"the last one ended: {error.removeprefix('error: ')}")
    if run is None or not all(server["running"] for server in servers):
        raise typer.Exit(FAILED)


def down(as_json: Json = False) -> None:
    """Stop the run that is kept, with its servers, and remove its data."""
    from ops.local import kept

    stopped = kept.stop()
    if as_json:
        print_json({"stopped": stopped})
    else:
        print_line("stopped" if stopped else "no local run is kept")


def _whole(name: str, text: str) -> int:
    """Read a number above 0, which `make` passes under a name of its own."""
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise OperatorError(f"invalid {name}={text}: expected a whole number above 0", usage=True)
    return int(text)
