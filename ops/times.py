"""Times as operators type them: `48h` for 48 hours ago, or `2026-11-23T08:00Z`."""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime, timedelta
from typing import Final

from ops.errors import OperatorError

UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}
AGO: Final = re.compile(r"(\d{1,6})([mhd])")
# Digits in a row are a number, but Python would read 20261123 as a day.
DASHED: Final = re.compile(r"\d{4}-\d{2}-\d{2}.*")
# No event is older or newer; and times far from them have no Unix seconds, or none with a margin.
EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)


def parse_time(text: str, option: str, now: datetime) -> datetime:
    """Parse a time as UTC; one without a zone is UTC.

    Raises
    ------
    OperatorError
        It is neither a span before now, nor an ISO 8601 time from 2000 to 2199.
    """
    with contextlib.suppress(ValueError, OverflowError):
        read = _read(text.strip(), now)
        if read is not None and EARLIEST <= read < LATEST:
            return read
    raise OperatorError(
        f"invalid {option} {text!r}: expected a time such as 48h, 30m, 7d or 2026-11-23T08:00Z", usage=True
    )


def parse_past(text: str, option: str, now: datetime) -> datetime:
    """Parse a time as `parse_time` does, of a window that ends now.

    Raises
    ------
    OperatorError
        It is not a time, or later than now.
    """
    read = parse_time(text, option, now)
    if read > now:
        raise OperatorError(
            f"invalid {option} {text!r}: expected a time in the past; now it is {stamp(now)}", usage=True
        )
    return read


def _read(written: str, now: datetime) -> datetime | None:
    if span := AGO.fullmatch(written):
        return now - timedelta(**{UNITS[span[2]]: int(span[1])})
    if DASHED.fullmatch(written):
        read = datetime.fromisoformat(written)
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
    return None


def format_time(time: datetime) -> str:
    """Format a time for people, in UTC."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def stamp(time: datetime) -> str:
    """Format a time for programs and to paste into a command, in UTC."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def stamp_of(seconds: float) -> str:
    """Format Unix seconds for programs, in UTC."""
    return stamp(datetime.fromtimestamp(seconds, UTC))
