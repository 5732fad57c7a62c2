"""A forced replay applies again what was applied before it came; what was not, it applies for the first time.

Which of the two an event is, is decided when the replay's first delivery of it meets its record. Where that
is not complete then, the replay remembers it: whoever completes the record later, this replay has nothing to
apply again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from functions.pipeline.table import ConditionFailedError, Table, item_key

KIND: Final = "forced"


@dataclass(frozen=True, slots=True)
class FirstTime:
    """Whether a replay met an event that was not applied. Both methods raise as :meth:`Table.update` does."""

    table: Table
    event_id: str
    replay: str

    def remember(self) -> None:
        """Remember that it was not applied."""
        self._write(None)

    def remembered(self) -> bool:
        """Whether that is remembered."""
        try:
            self._write("attribute_exists(expiration)")
        except ConditionFailedError:
            return False
        return True

    def _write(self, condition: str | None) -> None:
        item = item_key(KIND, self.event_id, self.replay)
        self.table.update(item, "SET expiration = :expiration", condition, expiration=self.table.expiration())
