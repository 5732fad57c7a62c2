"""Forecasts and replays as tables for people and as documents for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from ops import times
from ops.console import PlainTable, plural
from ops.replay.forecast import Forecast
from ops.replay.replays import Replay


def show_forecast(console: Console, forecast: Forecast, *, force: bool) -> None:
    """Print what a replay will send, and what happens to events that are already applied."""
    table = PlainTable(
        "Event type", "Rules", "Events", "Applied", title=f"Forecast by the ledger in {forecast.ledger}"
    )
    for line in forecast.lines:
        applied = "" if line.applied is None else str(line.applied)
        table.add_row(line.event_type, ", ".join(line.rules), str(line.events), applied)
    table.add_total("all", "", str(forecast.events), str(forecast.applied))
    console.print(table)
    if forecast.unread:
        unread = plural(forecast.unread, "object")
        console.print(f"{unread} of the ledger could not be read: the replay may send more events")
    fate = "applied AGAIN" if force else "skipped as duplicates"
    console.print(f"{forecast.applied} of {plural(forecast.events, 'event')} would be {fate}")


def outcome(forecast: Forecast, applied: int, environment: str) -> str:
    """Return what the handlers have applied after a replay."""
    left = len(forecast.keys) - applied
    line = f"{applied} of {plural(len(forecast.keys), 'event')} applied"
    if not left:
        return line
    return f"{line}; {left} not applied: `huntaze-stripe dlq list --env {environment}` shows why"


def show(console: Console, found: Sequence[Replay]) -> None:
    """Print replays as a table."""
    table = PlainTable("Name", "State", "From", "To", "Replayed", "Reason", title="Replays")
    for replay in found:
        done, total = replay.seconds
        since, until = times.stamp(replay.since), times.stamp(replay.until)
        share = f"{done / total:.0%}" if total else ""
        table.add_row(replay.name, replay.state, since, until, share, replay.reason or "")
    console.print(table)


def forecast_document(forecast: Forecast) -> dict[str, Any]:
    """Return a forecast for programs."""
    return {
        "ledger": forecast.ledger,
        "ledger_objects_unread": forecast.unread,
        "events": forecast.events,
        "applied": forecast.applied,
        "types": [
            {
                "event_type": line.event_type,
                "rules": list(line.rules),
                "events": line.events,
                "applied": line.applied,
            }
            for line in forecast.lines
        ],
    }


def document(replay: Replay) -> dict[str, Any]:
    """Return a replay for programs."""
    done, total = replay.seconds
    return {
        "replay": replay.name,
        "state": replay.state,
        "forced": replay.forced,
        "since": times.stamp(replay.since),
        "until": times.stamp(replay.until),
        "seconds_replayed": done,
        "seconds": total,
        "reason": replay.reason,
    }
