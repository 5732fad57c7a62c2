"""Personal data and secrets that are planted in envelopes and settings, to be searched for in what is logged.

Each value holds the mark, which nothing else does; and none can be taken for an id or a type, which are
logged.
"""

from __future__ import annotations

MARK = "Plantée"
API_KEY = "hk_planted_5b1f77aa"
PERSON = (
    f"{MARK} Person",
    f"{MARK.lower()}.person@example.com",
    f"1 {MARK} Street",
    f"+1555 {MARK}",
    f"pi_{MARK}_secret_9317",
)
SEARCHED = (MARK, MARK.lower(), MARK.encode("unicode_escape").decode(), API_KEY)


def found_in(text: str) -> list[str]:
    """Return which planted values a text holds; JSON may have escaped them."""
    folded = text.replace("\\u00e9", "é").replace("\\xe9", "é")
    return [value for value in SEARCHED if value in folded]
