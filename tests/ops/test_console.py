"""How wide the tables are where nobody's terminal tells."""

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


def test_counts_are_told_in_words() -> None:
    assert [plural(number, "letter") for number in (0, 1, 2)] == ["0 letters", "1 letter", "2 letters"]
