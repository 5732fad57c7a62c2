"""Forecasts and replays as tables for people and as documents for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from ops import times
from ops.console import plural
from ops.replay.forecast import Forecast
from ops.replay.replays import Replay


def show_forecast(console: Console, forecast: Forecast, *, force: bool) -> None:
    """Show what a replay will bring, and what becomes of what is applied already."""
    table = Table(title=f"What will come, by the ledger in {forecast.ledger}", title_justify="left")
    table.add_column("Event type")
    table.add_column("Rules")
    table.add_column("Events", justify="right")
    table.add_column("Applied already", justify="right")
    for line in forecast.lines:
        applied = "" if line.applied is None else str(line.applied)
        table.add_row(line.event_type, ", ".join(line.rules), str(line.events), applied)
    table.add_section()
    table.add_row("all", "", str(forecast.events), str(forecast.applied))
    console.print(table)
    if forecast.unread:
        console.print(
            f"{plural(forecast.unread, 'object')} of the ledger could not be read: more may come",
            highlight=False,
        )
    fate = "applied AGAIN" if force else "skipped as duplicates"
    console.print(
        f"{forecast.applied} of {plural(forecast.events, 'event')} would be {fate}", highlight=False
    )


def show(console: Console, found: Sequence[Replay]) -> None:
    """List replays."""
    table = Table(title="Replays", title_justify="left")
    # A name is copied into the next command.
    table.add_column("Name", no_wrap=True)
    for column in ("State", "From", "To", "Replayed", "Reason"):
        table.add_column(column)
    for replay in found:
        done, total = replay.seconds
        table.add_row(
            replay.name,
            replay.state,
            times.told(replay.since),
            times.told(replay.until),
            f"{done / total:.0%}" if total else "",
            replay.reason or "",
        )
    console.print(table)


def forecast_document(forecast: Forecast) -> dict[str, Any]:
    """Return a forecast as JSON takes it."""
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
    """Return a replay as JSON takes it."""
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
