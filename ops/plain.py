"""Text that a terminal shows and never obeys, whatever AWS, Stripe or an event contains.

An event type, the reason of a replay or an error of AWS may hold anything: sequences that clear the terminal,
make a link or write from right to left, and the brackets that Rich takes for markup. Every text that a
command prints passes through `plain`, tables by `ops.console`.
"""

from __future__ import annotations

from typing import Final

REPLACEMENT: Final = "�"


def plain(text: object) -> str:
    """Return a text as one line without control characters or invisible ones."""
    written = str(text)
    return written if written.isprintable() else "".join(map(_plain, written))


def plain_lines(text: str) -> str:
    """Return a text whose lines stay lines."""
    return "\n".join(plain(line) for line in text.split("\n"))


def _plain(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() else REPLACEMENT
