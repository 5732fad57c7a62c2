"""`huntaze-stripe local`: the whole pipeline on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops.commands.options import Json
from ops.console import open_console, print_json
from ops.errors import OperatorError
from ops.signals import FAILED

if TYPE_CHECKING:
    from ops.local.report import Report


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(local)


def local(
    events: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Send every *.json envelope of this folder instead of the shipped set."
        ),
    ] = None,
    count: Annotated[str, typer.Option(metavar="N", help="Send the set N times, with fresh ids.")] = "1",
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running until Ctrl-C and print how to reach it.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Deploy `dev` to an embedded AWS with real Terraform and send Stripe events through it.

    It fails if an event is not accounted for or was applied twice, or if a second plan has changes. The
    report is written to build/local/report.json.
    """
    from ops.local.run import Options, run

    def print_report(report: Report) -> None:
        if as_json:
            print_json(report.as_json())

    if not run(Options(events, _whole("COUNT", count), keep), open_console(as_json=as_json), print_report):
        raise typer.Exit(FAILED)


def _whole(name: str, text: str) -> int:
    """Read a number above 0, which `make` passes under a name of its own."""
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise OperatorError(f"invalid {name}={text}: expected a whole number above 0", usage=True)
    return int(text)
