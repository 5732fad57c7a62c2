"""DynamoDB deletes an expired item late, as AWS does: until then, every read and condition sees it.

Source: DynamoDB developer guide, "Using time to live (TTL) in DynamoDB": items are deleted "within a few days
of their expiration". MiniStack deletes them in the minute in which they expire. `EMULATOR_LIMITS` shortens
the time for a test.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any, Final

from ministack.core.responses import AccountRegionScopedDict
from ministack.services import dynamodb

from ops.emulator import limits
from ops.emulator.patching import original, replace

Data = dict[str, Any]
# The longest time between two looks at the tables.
MOST_SECONDS: Final = 60.0
# How many looks there are in the time that an item stays.
LOOKS: Final = 10


def apply() -> None:
    """Take the settings from MiniStack's own thread, which started with the module, and delete later."""
    for name in ("_lock", "_tables", "_remove_item"):
        original(dynamodb, name)
    replace(dynamodb, "_ttl_settings", _Settings())
    delay = limits.EXPIRY.value
    threading.Thread(target=_delete_forever, args=(delay,), daemon=True, name="expiry").start()


class _Settings(AccountRegionScopedDict):  # type: ignore[misc] # MiniStack has no types
    """The tables' settings; only MiniStack's own thread asks for those of all accounts."""

    def all_items(self) -> list[tuple[Any, Any]]:
        """Show none, so that MiniStack deletes nothing."""
        return []

    def everything(self) -> list[tuple[tuple[str, str, str], Data]]:
        """Return account, region and table, and the setting of each."""
        return list(super().all_items())


def _delete_forever(delay: int) -> None:
    while True:
        time.sleep(min(MOST_SECONDS, delay / LOOKS))
        with dynamodb._lock:
            for place, setting in dynamodb._ttl_settings.everything():
                table = dynamodb._tables.get_scoped(*place)
                if table and setting.get("TimeToLiveStatus") == "ENABLED":
                    _delete(table, setting["AttributeName"], time.time() - delay)


def _delete(table: Data, attribute: str, before: float) -> None:
    """Delete the items that expired before a time, in seconds since the epoch."""
    for partition, items in list(table["items"].items()):
        for sort, item in list(items.items()):
            # An item whose attribute is missing or no number does not expire.
            with contextlib.suppress(KeyError, TypeError, ValueError):
                if float(item[attribute]["N"]) <= before:
                    dynamodb._remove_item(table, partition, sort)
