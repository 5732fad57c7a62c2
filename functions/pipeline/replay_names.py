"""The names of replays, which say whether a replay is forced and when it was started.

EventBridge writes the name into each event that it replays, so a handler knows both without a request.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from functions.shared.names import FORCED_REPLAY_PREFIX

_SECOND: Final = "%Y%m%dT%H%M%SZ"
_TIMED: Final = re.compile(r".*-([0-9]{8}T[0-9]{6}Z)")


def new_name(environment: str, now: datetime, *, forced: bool) -> str:
    """Return the name for a replay that starts now, for example forced-replay-prod-20261123T101500Z.

    Parameters
    ----------
    now
        AWS's time just before StartReplay is called. By the clocks of the handlers, which write when an event
        was completed, nothing that the replay sends is older than this second.
    """
    prefix = FORCED_REPLAY_PREFIX if forced else ""
    return f"{prefix}replay-{environment}-{now.astimezone(UTC).strftime(_SECOND)}"


def started_at(name: str) -> int | None:
    """Return when a replay was started, in Unix seconds; None for a name that `new_name` did not make."""
    found = _TIMED.fullmatch(name)
    if found is None:
        return None
    try:
        return int(datetime.strptime(found[1], _SECOND).replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None
