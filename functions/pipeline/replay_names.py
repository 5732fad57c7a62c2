"""The names of replays: whether one applies its events again, and when it was started.

EventBridge writes the name into each event that it replays, so whoever gets one knows both without asking.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from functions.shared.names import FORCED_REPLAY_PREFIX

_SECOND: Final = "%Y%m%dT%H%M%SZ"
_TIMED: Final = re.compile(r".*-([0-9]{8}T[0-9]{6}Z)")


def new_name(environment: str, now: datetime, *, forced: bool) -> str:
    """Name a replay that is about to be started, for example forced-replay-prod-20261123T101500Z.

    The name is made just before StartReplay is called, with the time that AWS tells: nothing that the replay
    brings is older than its second, by the clocks that write when an event was completed.
    """
    prefix = FORCED_REPLAY_PREFIX if forced else ""
    return f"{prefix}replay-{environment}-{now.astimezone(UTC).strftime(_SECOND)}"


def started_at(name: str) -> int | None:
    """Return the second in which a replay was started, in Unix seconds.

    None for a name that tells none: a person gave it in the console, and not :func:`new_name`.
    """
    found = _TIMED.fullmatch(name)
    if found is None:
        return None
    try:
        return int(datetime.strptime(found[1], _SECOND).replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None
