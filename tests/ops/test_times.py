"""Times as operators type them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ops.errors import OperatorError
from ops.times import format_time, parse_past, parse_time, stamp

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("48h", NOW - timedelta(hours=48)),
        (" 30m ", NOW - timedelta(minutes=30)),
        ("7d", NOW - timedelta(days=7)),
        ("0m", NOW),
        ("2026-11-22", datetime(2026, 11, 22, tzinfo=UTC)),
        ("2026-11-22T08:00", datetime(2026, 11, 22, 8, tzinfo=UTC)),
        ("2026-11-22 08:00:01Z", datetime(2026, 11, 22, 8, 0, 1, tzinfo=UTC)),
        ("2026-11-22T08:00+02:00", datetime(2026, 11, 22, 6, tzinfo=UTC)),
    ],
)
def test_time_is_parsed_as_utc(text: str, expected: datetime) -> None:
    read = parse_time(text, "--since", NOW)
    assert (read, read.tzinfo) == (expected, UTC)


@pytest.mark.parametrize(
    "text",
    [
        *("", "48", "h", "-1h", "1.5h", "2w", "now", "20261123", "2026-02-30", "9999999d"),
        # Python reads these, and can't subtract an hour from them or add one.
        *("0001-01-01", "9999-12-31T23:59:59Z", "1999-12-31", "2200-01-01", "99999d"),
    ],
)
def test_other_texts_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(OperatorError, match="expected a time such as 48h") as caught:
        parse_time(text, "--since", NOW)
    assert caught.value.usage


def test_far_past_shows_no_traceback() -> None:
    with pytest.raises(OperatorError):
        parse_time("999999d", "--since", NOW)


def test_a_window_that_ends_now_begins_in_the_past() -> None:
    assert parse_past("0m", "--since", NOW) == NOW
    with pytest.raises(
        OperatorError, match="invalid --since '2026-11-23T12:01': expected a time in the past"
    ):
        parse_past("2026-11-23T12:01", "--since", NOW)


def test_times_are_formatted_for_people_and_programs() -> None:
    assert (format_time(NOW), stamp(NOW)) == ("2026-11-23 12:00:00 UTC", "2026-11-23T12:00:00Z")
