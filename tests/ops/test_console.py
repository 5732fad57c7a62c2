"""The width of tables without a terminal, and the plural of counts."""

from __future__ import annotations

import pytest

from ops.console import open_console, plural

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("columns", "width"),
    [(None, 140), ("", 140), ("200", 200), ("0", 140), ("-5", 140), ("wide", 140)],
)
def test_output_to_a_file_has_the_width_that_was_asked_for(
    columns: str | None, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if columns is None:
        monkeypatch.delenv("COLUMNS", raising=False)
    else:
        monkeypatch.setenv("COLUMNS", columns)
    assert open_console().width == width


def test_counts_have_the_right_plural() -> None:
    assert [plural(number, "message") for number in (0, 1, 2)] == ["0 messages", "1 message", "2 messages"]
