"""How commands print and ask: tables and questions for people, or JSON alone on standard output.

Everything printed here is plain text, whatever an event, AWS or Stripe contains: see `ops.plain`.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

import typer
from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.table import Table as RichTable
from rich.text import Text

from ops.errors import OperatorError
from ops.plain import plain, plain_lines

LOG_WIDTH: Final = 140
# Below it a text column of a table is harder to read than a table of two columns.
NARROWEST_TEXT: Final = 24
NUMBER: Final = re.compile(r"[\d.,]*( ?[smhd%])?")


class PlainConsole(Console):
    """A console that prints strings as they are: no markup, no emoji, no highlighting, one line each.

    A renderable of several lines, such as a table, keeps them but loses its control characters.
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


class PlainTable:
    """A table that is readable at any width: it drops columns without content and never cuts a cell.

    Where the columns do not fit side by side, the `text` columns wrap; where that is not enough, each row
    becomes a block of lines, one for each cell.

    Parameters
    ----------
    text
        Headings of the columns that hold sentences.
    keep
        Headings of columns that stay although all their cells are 0 or empty; the first one always does.
    """

    def __init__(
        self, *headings: str, title: str = "", text: Collection[str] = (), keep: Collection[str] = ()
    ) -> None:
        self._headings = headings
        self._title = title
        self._text = text
        self._keep = {headings[0], *keep}
        self._rows: list[list[Text]] = []
        self._total: list[Text] | None = None

    def add_row(self, *cells: str | Text) -> None:
        """Add a row."""
        self._rows.append(_texts(cells))

    def add_total(self, *cells: str | Text) -> None:
        """Add the last row, which stands apart."""
        self._total = _texts(cells)

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """Render the table in the width that there is."""
        rows = [*self._rows, *([self._total] if self._total else [])]
        shown = [
            (number, heading)
            for number, heading in enumerate(self._headings)
            if heading in self._keep or any(row[number].plain not in ("", "0") for row in rows)
        ]
        widths = [max(len(heading), *(row[number].cell_len for row in rows), 0) for number, heading in shown]
        texts = [width for (_, heading), width in zip(shown, widths, strict=True) if heading in self._text]
        least = sum(widths) - sum(texts) + sum(min(width, NARROWEST_TEXT) for width in texts)
        if least + 3 * len(shown) + 1 > options.max_width:
            yield from self._blocks(shown, rows)
            return
        table = RichTable(title=self._title or None, title_justify="left", box=box.ROUNDED)
        for number, heading in shown:
            numeric = all(NUMBER.fullmatch(row[number].plain) for row in rows)
            table.add_column(
                heading, no_wrap=heading not in self._text, justify="right" if numeric else "left"
            )
        for row in self._rows:
            table.add_row(*(row[number] for number, _ in shown))
        if self._total:
            table.add_section()
            table.add_row(*(self._total[number] for number, _ in shown))
        yield table

    def _blocks(self, shown: Sequence[tuple[int, str]], rows: Sequence[Sequence[Text]]) -> RenderResult:
        if self._title:
            yield Text(self._title, style="italic")
        for row in rows:
            block = RichTable.grid(padding=(0, 2, 0, 0))
            block.add_column(no_wrap=True)
            block.add_column(overflow="fold")
            for number, heading in shown:
                if row[number].plain:
                    block.add_row(Text(heading, style="bold"), row[number])
            yield block
            yield Text()


def _texts(cells: Iterable[str | Text]) -> list[Text]:
    return [cell if isinstance(cell, Text) else Text(plain(cell)) for cell in cells]


def open_table(title: str) -> RichTable:
    """Return a table without a frame, whose columns need little room."""
    return RichTable(
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        show_edge=False,
        pad_edge=False,
    )


def styled(text: object, style: str) -> Text:
    """Return a text in a colour, unless NO_COLOR is set or the output is not a terminal."""
    return Text(plain(text), style=style)


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
    """Print one line without wrapping it; with `--json` to standard error."""
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
        The answer is no, or no terminal can ask.
    """
    if yes:
        return
    require_terminal(as_json=as_json)
    if not typer.confirm(plain(question)):
        raise OperatorError("nothing was changed")


def confirm_by_typing(question: str, expected: str, *, yes: bool, as_json: bool = False) -> None:
    """Ask before a change that nobody can undo; only the expected text confirms it.

    Raises
    ------
    OperatorError
        The text differs, or no terminal can ask.
    """
    if yes:
        return
    require_terminal(as_json=as_json)
    if typer.prompt(plain(question), default="", show_default=False) != expected:
        raise OperatorError("nothing was changed")


def ask_hidden(name: str) -> str:
    """Ask for a value on standard error, and show nothing of the answer."""
    answer: str = typer.prompt(plain(f"{name} (hidden)"), hide_input=True, err=True)
    return answer


def require_terminal(*, as_json: bool, yes: bool = False, dry_run: bool = False) -> None:
    """Refuse a command that will have to ask and has no terminal for it, before it does anything.

    Raises
    ------
    OperatorError
        Neither `yes` nor `dry_run` is set, and standard input is not a terminal or the output is JSON.
    """
    if not (yes or dry_run) and (as_json or not sys.stdin.isatty()):
        raise OperatorError("not a terminal: pass --yes to skip the confirmation", usage=True)
