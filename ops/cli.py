"""The command line: `python -m ops`, or `pipenv run huntaze-stripe`.

Exit codes: 0 done, 1 failed, 2 called wrongly, 130 interrupted.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from ops.commands import api, chaos, deploy, dlq, pause, reconcile, replay
from ops.console import open_console, print_error, print_json, print_line
from ops.errors import OperatorError

if TYPE_CHECKING:
    from ops.local.report import Report

FAILED, USAGE, INTERRUPTED = 1, 2, 130
TERMINATED = 143
# What a full disk, a quota, a broken or a read-only output answers to a write; a closed pipe is typer's own.
UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF})


class CommandInterruptedError(Exception):
    """Somebody interrupted a command."""


class Commands(TyperGroup):
    """The commands; an interrupt leaves them as an exception that typer doesn't take for its own.

    typer ends silently at a KeyboardInterrupt, and with exit code 1 at one within a question.
    """

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was called."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise CommandInterruptedError from error
        except typer.Abort as error:
            if isinstance(error.__context__, KeyboardInterrupt):
                raise CommandInterruptedError from error
            raise


app = typer.Typer(
    name="huntaze-stripe",
    cls=Commands,
    help="Deploy and operate the pipeline that carries Stripe's events to the Huntaze API.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(replay.app, name="replay")
app.add_typer(dlq.app, name="dlq")
app.add_typer(api.app, name="api")
app.command()(reconcile.reconcile)
app.command()(pause.pause)
app.command()(pause.resume)
app.command()(chaos.chaos)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command()
def local(
    events: Annotated[
        Path | None,
        typer.Option(help="Send every *.json envelope of this folder instead of the shipped set."),
    ] = None,
    count: Annotated[
        str, typer.Option(metavar="N", help="Send the set so many times, with fresh ids.")
    ] = "1",
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running until Ctrl-C and print how to reach it.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Deploy `dev` to an embedded AWS with real Terraform and drive Stripe events through it.

    Writes build/local/report.json, which --json prints too. Exit codes: 0 passed; 1 an event is not
    accounted for or was applied twice, a second plan has changes, or a step failed; 2 called wrongly; 130
    interrupted (143 by SIGTERM).
    """
    from ops.local.run import Options, run

    def tell(report: Report) -> None:
        if as_json:
            print_json(report.as_json())

    if not run(Options(events, _whole("COUNT", count), keep), open_console(as_json=as_json), tell):
        raise typer.Exit(FAILED)


def _whole(name: str, text: str) -> int:
    """Return a number above 0 that `make` handed on under a name of its own."""
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise OperatorError(f"{name}={text} is no whole number above 0", usage=True)
    return int(text)


for command in (deploy.plan, deploy.bootstrap, deploy.deploy, deploy.adopt, deploy.destroy):
    app.command()(command)


@app.command()
def bundles(as_json: Json = False) -> None:
    """Build the function bundles for Lambda (arm64, Python 3.13).

    Exit codes: 0 built, or up to date; 1 failed; 2 called wrongly; 130 interrupted (143 by SIGTERM).
    """
    from ops import bundles as builder

    built = builder.build(builder.LAMBDA, lambda line: print_line(line, as_json=as_json))
    sizes = {name: bundle.path.stat().st_size for name, bundle in built.items()}
    if as_json:
        print_json(
            [
                {"name": name, "path": str(bundle.path), "bytes": sizes[name], "sha256": bundle.sha256}
                for name, bundle in built.items()
            ]
        )
    else:
        for name, bundle in built.items():
            print_line(f"{name}  {sizes[name]} bytes  sha256 {bundle.sha256}  {bundle.path}")


def main() -> None:
    """Run the command line; a failure is one line on stderr, never a traceback."""
    # A shell without job control starts what it puts into the background with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _terminated)
    signal.signal(signal.SIGHUP, _terminated)
    try:
        app()
    except OperatorError as error:
        print_error(f"error: {error}")
        sys.exit(USAGE if error.usage else FAILED)
    except (CommandInterruptedError, KeyboardInterrupt):
        print_error("interrupted")
        sys.exit(INTERRUPTED)
    except OSError as error:
        told = _told(error)
        if told is None:
            raise
        _drop_output()
        print_error(f"error: {told}")
        sys.exit(FAILED)


def _told(error: OSError) -> str | None:
    """Say what can't be read or written; None for an error that is not about a file or the output."""
    if error.filename is not None:
        return f"{error.filename} can't be used ({error.strerror}): check its rights, and the disk"
    if error.errno in UNWRITABLE:
        return f"the output can't be written ({error.strerror}): check where it goes, and the disk"
    return None


def _drop_output() -> None:
    """Let Python's own end, which writes what is left of the output, not fail on it once more."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    """Leave by the way of an exception, so that what was started is stopped."""
    sys.exit(TERMINATED)
