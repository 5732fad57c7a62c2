"""Text as a terminal may be given it: what AWS, Stripe or an event says is shown, and never obeyed.

An event's type, a replay's reason or an error of AWS may hold anything: the sequences by which a terminal is
told to clear itself, to link or to write from right to left, and the brackets that Rich takes for markup.
Every word that a command prints passes through :func:`plain`, tables by way of :mod:`ops.console`.
"""

from __future__ import annotations

from typing import Final

REPLACEMENT: Final = "�"


def plain(text: object) -> str:
    """Return a text as one line without control characters or invisible ones."""
    return "".join(_plain(character) for character in str(text))


def plain_lines(text: str) -> str:
    """Return a text of our own making, whose lines stay lines."""
    return "\n".join(plain(line) for line in text.split("\n"))


def _plain(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() else REPLACEMENT
