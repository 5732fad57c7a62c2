"""The command line `huntaze-stripe`."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from functools import cache
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from functions import __version__
from ops import signals
from ops.commands import (
    api,
    bundles,
    chaos,
    console,
    cost,
    customer,
    deploy,
    destination,
    dlq,
    doctor,
    ledger,
    local,
    pause,
    plan_report,
    reconcile,
    replay,
    secrets,
    send,
    simulate,
    story,
    verify,
    watch,
)
from ops.console import print_error, print_line
from ops.errors import DeniedError, OperatorError

NAME: Final = "huntaze-stripe"
# The panels of `--help`, in the order in which somebody needs the commands; others go to the last one.
PANELS: Final = {
    "Deploy": (
        *("destination", "bootstrap", "plan", "plan-report", "deploy"),
        *("secrets", "cost", "verify", "adopt", "destroy"),
    ),
    "Operate": (
        *("console", "doctor", "story", "watch", "dlq", "replay", "reconcile", "pause", "resume"),
        *("customer", "ledger"),
    ),
    "Develop": ("local", "send", "chaos", "simulate", "bundles", "api"),
}
# What a full disk, a quota, a broken or a read-only output answers to a write; a closed pipe is typer's own.
UNWRITABLE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF})


class InterruptedCommandError(Exception):
    """SIGINT ended a command: typer would end silently, or at a question with exit code 1."""


class Commands(TyperGroup):
    """The commands."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was called."""
        try:
            return super().invoke(ctx)
        except BaseException as error:
            if signals.interrupted():
                raise InterruptedCommandError from error
            raise


app = typer.Typer(
    name=NAME,
    cls=Commands,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    epilog="AS_ROLE=ROLE runs a command as a role: docs/local.md. Exit codes: 0 done; 1 failed, or something "
    "is left; 2 wrong usage; 3 refused by --fail-on; 130 interrupted (143 by SIGTERM). docs/operations.md "
    "says more.",
)
for module in (
    destination,
    deploy,
    plan_report,
    secrets,
    cost,
    verify,
    console,
    doctor,
    story,
    watch,
    dlq,
    replay,
    reconcile,
    pause,
    customer,
    ledger,
    local,
    send,
    chaos,
    simulate,
    bundles,
    api,
):
    module.register(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        print_line(f"{NAME} {__version__}")
        raise typer.Exit


@app.callback()
def group(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Deploy and operate the pipeline that carries Stripe events to the Huntaze API."""


@cache
def command_line() -> Any:
    """Return the commands as they are run: in panels, and with help that flows to the terminal's width."""
    built: Any = typer.main.get_command(app)
    known = {name: panel for panel, names in PANELS.items() for name in names}
    order = [*(name for name in known if name in built.commands), *(built.commands.keys() - known.keys())]
    built.commands = {name: built.commands[name] for name in order}
    for name, command in built.commands.items():
        command.rich_help_panel = known.get(name, [*PANELS][-1])
    _finish_help(built)
    return built


def _finish_help(command: Any) -> None:
    if command.help:
        # Its docstring, which is wrapped in the source.
        command.help = "\n\n".join(" ".join(each.split()) for each in command.help.split("\n\n"))
    context = typer.Context(command, help_option_names=["-h", "--help"])
    for parameter in command.get_params(context):
        if getattr(parameter, "is_flag", True):
            # typer would print <bool> beside a flag, and <str> beside an argument that has a name.
            parameter.display_type_rich = lambda **_context: None
    for below in getattr(command, "commands", {}).values():
        _finish_help(below)


def main() -> None:
    """Run the command line; a failure is one line on stderr, never a traceback."""
    signals.raise_exceptions()
    try:
        command_line()(prog_name=NAME)
    except BaseException as error:
        code = _exit_code(error)
        if code is None:
            raise
        sys.exit(code)


def _exit_code(error: BaseException) -> int | None:
    """Print why a command ended, and return its exit code; None for an error that is a defect."""
    if signals.interrupted():
        print_error("interrupted")
        return signals.INTERRUPTED
    if isinstance(error, OperatorError):
        print_error(f"error: {error.naming(_called()) if isinstance(error, DeniedError) else error}")
        return signals.USAGE if error.usage else signals.FAILED
    problem = _problem(error) if isinstance(error, OSError) else None
    if problem is None:
        return None
    _drop_output()
    print_error(f"error: {problem}")
    return signals.FAILED


def _called() -> str:
    """Return the command that was called, in quotes: its words without arguments and options."""
    command: Any = command_line()
    words = [NAME]
    for word in sys.argv[1:]:
        command = getattr(command, "commands", {}).get(word)
        if command is None:
            break
        words.append(word)
    return f"`{' '.join(words)}`"


def _problem(error: OSError) -> str | None:
    """Return what can't be read or written; None for an error that is not about a file or the output."""
    if error.filename is not None:
        return f"can't use {error.filename} ({error.strerror}): check its permissions and the disk"
    if error.errno in UNWRITABLE:
        return f"can't write the output ({error.strerror}): check where it goes and the disk"
    return None


def _drop_output() -> None:
    """Keep Python's own exit, which writes the rest of the output, from failing once more."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
