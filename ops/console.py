"""How commands print and ask: tables and questions for people, or JSON alone on standard output.

Everything printed here is plain text, whatever an event, AWS or Stripe said: see :mod:`ops.plain`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from typing import Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from ops.errors import OperatorError
from ops.plain import plain, plain_lines

LOG_WIDTH = 140


class PlainConsole(Console):
    """A console that prints strings as they are: no markup, no emoji, no highlighting, one line each.

    What is made of several lines, such as Markdown, keeps them but loses its control characters.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Turn a string into a renderable; Rich calls this for all strings, cells and titles included."""
        return super().render_str(plain(text), **options | {"markup": False, "emoji": False})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render anything; Rich's own cursor movements are control segments and stay."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(plain_lines(segment.text), segment.style)


def open_console(*, as_json: bool = False) -> Console:
    """Return the console for progress and tables; with `--json` it writes to standard error.

    Without a terminal its width is `COLUMNS`, or `LOG_WIDTH` if `COLUMNS` is not set.
    """
    stream = sys.stderr if as_json else sys.stdout
    columns = os.environ.get("COLUMNS", "")
    width = int(columns) if columns.isdecimal() and int(columns) else LOG_WIDTH
    return PlainConsole(file=stream, width=None if stream.isatty() else width)


def plural(number: int, noun: str) -> str:
    """Return for example `1 message` or `2 messages`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def print_line(text: str, *, as_json: bool = False) -> None:
    """Print one line without wrapping, for example one to copy; with `--json` to standard error."""
    typer.echo(plain(text), err=as_json)


def print_error(text: str) -> None:
    """Print one line to standard error."""
    sys.stderr.write(f"{plain(text)}\n")


def print_json(document: Any) -> None:
    """Print a document for programs; JSON in ASCII holds no character that a terminal obeys."""
    typer.echo(json.dumps(document, indent=2))


def confirm(question: str, *, yes: bool, as_json: bool = False) -> None:
    """Ask before a change.

    Raises
    ------
    OperatorError
        The answer is no, or there is no terminal to ask on.
    """
    if yes:
        return
    require_terminal(as_json=as_json)
    if not typer.confirm(plain(question)):
        raise OperatorError("nothing was changed")


def require_terminal(*, as_json: bool) -> None:
    """Refuse to go on without a terminal to ask on.

    Raises
    ------
    OperatorError
        Standard input is not a terminal, or the output is JSON.
    """
    if as_json or not sys.stdin.isatty():
        raise OperatorError("not a terminal: pass --yes to skip the confirmation", usage=True)
