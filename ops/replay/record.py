"""The record of forced replays in the ledger bucket: who applied what again, when and why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from functions.shared import names
from ops import ledger_record
from ops.environment import Environment
from ops.replay.forecast import Forecast
from ops.replay.rules import Rule
from ops.times import stamp


def write(
    environment: Environment,
    name: str,
    *,
    reason: str,
    rules: Sequence[Rule],
    since: datetime,
    until: datetime,
    forecast: Forecast,
    now: datetime,
) -> str:
    """Write the record of a forced replay and return the object's key.

    Call it before the replay starts: a record without a replay does less harm than the reverse.

    Raises
    ------
    OperatorError
        The bucket refuses it; the replay must not start then.
    """
    key = f"{names.REPLAYS_PREFIX}dt={now.date().isoformat()}/{name}.json"
    document = {
        "replay": name,
        "at": stamp(now),
        "reason": reason,
        "since": stamp(since),
        "until": stamp(until),
        "rules": [rule.name for rule in rules],
        "events": forecast.events,
        "applied_before": forecast.applied,
        "events_by_type": {line.event_type: line.events for line in forecast.lines},
    }
    return ledger_record.write(environment, key, document)
