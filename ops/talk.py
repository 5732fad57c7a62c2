"""How commands talk to people and to programs: JSON alone on standard output, or tables and questions."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import typer
from rich.console import Console

from ops.console import PlainConsole
from ops.errors import OperatorError
from ops.plain import plain

LOG_WIDTH = 140


def console(*, as_json: bool = False) -> Console:
    """Return the console for progress and tables; with `--json` it is standard error.

    Where that is no terminal it is as wide as a log may be, or has the `COLUMNS` that were asked for.
    """
    stream = sys.stderr if as_json else sys.stdout
    asked = os.environ.get("COLUMNS", "")
    width = int(asked) if asked.isdecimal() and int(asked) else LOG_WIDTH
    return PlainConsole(file=stream, width=None if stream.isatty() else width)


def counted(number: int, noun: str) -> str:
    """Return for example `1 letter` or `2 letters`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def say(text: str, *, as_json: bool = False) -> None:
    """Print a line that is not wrapped, such as one to copy; with `--json` on standard error."""
    typer.echo(plain(text), err=as_json)


def complain(text: str) -> None:
    """Print a line on standard error."""
    sys.stderr.write(f"{plain(text)}\n")


def show_json(document: Any) -> None:
    """Print a document for programs; JSON in ASCII holds no character that a terminal obeys."""
    typer.echo(json.dumps(document, indent=2))


def confirm(question: str, *, yes: bool, as_json: bool = False) -> None:
    """Ask before something is changed.

    Raises
    ------
    OperatorError
        The answer is no, or nobody can be asked.
    """
    if yes:
        return
    check_somebody(as_json=as_json)
    if not typer.confirm(plain(question)):
        raise OperatorError("nothing was changed")


def check_somebody(*, as_json: bool) -> None:
    """Refuse to go on where nobody can be asked. Raises as :func:`confirm` does."""
    if as_json or not sys.stdin.isatty():
        raise OperatorError("nobody can be asked here: add --yes", usage=True)
