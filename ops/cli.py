"""The command line: `python -m ops`, or `pipenv run huntaze-stripe`.

Exit codes: 0 done, 1 failed, 2 called wrongly, 130 interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from ops.errors import OperatorError

FAILED, USAGE, INTERRUPTED = 1, 2, 130
TERMINATED = 143

app = typer.Typer(
    name="huntaze-stripe",
    help="Deploy and operate the pipeline that carries Stripe's events to the Huntaze API.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def group() -> None:
    """Keep subcommands, also while there is only one."""


@app.command()
def local(
    events: Annotated[
        Path | None,
        typer.Option(help="Send every *.json envelope of this folder instead of the shipped set."),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Send the set so many times, with fresh ids.")] = 1,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running until Ctrl-C and print how to reach it.")
    ] = False,
) -> None:
    """Deploy `dev` to an embedded AWS with real Terraform and drive Stripe events through it."""
    from ops.local.run import Options, run

    if not run(Options(events, count, keep), console()):
        raise typer.Exit(FAILED)


def console() -> Console:
    """Return the console for people; wide enough for a log where the output is no terminal."""
    width = None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", "140"))
    return Console(width=width)


def main() -> None:
    """Run the command line; a failure is one line on stderr, never a traceback."""
    signal.signal(signal.SIGTERM, _terminated)
    signal.signal(signal.SIGHUP, _terminated)
    try:
        app()
    except OperatorError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(USAGE if error.usage else FAILED)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(INTERRUPTED)


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    """Leave by the way of an exception, so that what was started is stopped."""
    sys.exit(TERMINATED)
