"""The templates, which show every text as it reads: escaped, on one line, without invisible characters."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from ops.dlq.tables import age
from ops.plain import plain, plain_lines

FOLDER: Final = Path(__file__).with_name("templates")
CODE: Final = re.compile(r"`([^`]+)`")


@cache
def environment() -> Environment:
    """Return the templates' environment."""
    made = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(lines=lines, code=code, clock=clock, clock_of=clock_of, span=age, number=number)
    return made


def lines(text: str) -> Markup:
    """Return a text of several lines, for an element that keeps them."""
    return escape(plain_lines(text))


def code(text: str) -> Markup:
    """Return a text in which what stands between backticks is code."""
    shown = Markup("<code>{}</code>")
    pieces = enumerate(CODE.split(plain(text)))
    return Markup("").join(shown.format(each) if number % 2 else each for number, each in pieces)


def clock(time: datetime) -> str:
    """Return a time in UTC."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def clock_of(seconds: float) -> str:
    """Return Unix seconds as a time in UTC."""
    return clock(datetime.fromtimestamp(seconds, UTC))


def number(value: float) -> str:
    """Return a number with commas between thousands."""
    return f"{value:,.0f}"


def _shown(value: Any) -> Any:
    return value if isinstance(value, Markup) or not isinstance(value, str) else plain(value)
