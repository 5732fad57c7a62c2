"""Personal data and secrets that are planted in envelopes and settings, and must not appear in any log.

Each value contains the mark, which appears nowhere else. None looks like an id or an event type, which are
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
    """Return the planted values in a text, escaped ones included."""
    folded = text.replace("\\u00e9", "é").replace("\\xe9", "é")
    return [value for value in SEARCHED if value in folded]
