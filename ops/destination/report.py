"""What the commands show of an event destination."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from ops.console import PlainTable, styled
from ops.destination.api import Destination
from ops.destination.session import Session
from ops.destination.wanted import Difference


def show(console: Console, session: Session, found: Destination) -> None:
    """Print a table of it, and how it differs from what it should be."""
    differs = session.difference_of(found)
    table = PlainTable("Event destination", "", text=("",))
    enabled = f"{found.status}{f': {found.why}' if found.why else ''}"
    rows: dict[str, str | Text] = {
        "id": found.id,
        "name": found.name,
        "status": styled(enabled, "green" if found.enabled else "red"),
        "mode": "live" if found.livemode else "test",
        "payload": f"{found.payload} {found.api_version}".strip(),
        "AWS": f"account {found.account_id}, region {found.region}",
        "event source": f"{found.source_name} ({found.source_status})",
        "events from": ", ".join(found.events_from),
        "event types": str(len(found.event_types)),
    }
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table)
    for line in (*changes(differs), *session.unchangeable(found)):
        console.print(line, soft_wrap=True)
    if differs:
        env = session.environment.name
        console.print(f"next: `huntaze-stripe destination update --env {env}`")


def changes(differs: Difference) -> list[str]:
    """Return a line for name and each entry of metadata, and one for each kind with the names of types."""
    lines = {
        "missing, routed": differs.missing_routed,
        "missing, for the ledger": differs.missing_unrouted,
        "superfluous": differs.superfluous,
    }
    types_of = [f"{name} ({len(types)}): {', '.join(types)}" for name, types in lines.items() if types]
    return [*differs.labels, *types_of]


def document(session: Session, found: Destination) -> dict[str, Any]:
    """Return it for `--json`."""
    differs = session.difference_of(found)
    return {
        "id": found.id,
        "name": found.name,
        "status": found.status,
        "disabled_reason": found.reason or None,
        "livemode": found.livemode,
        "event_payload": found.payload,
        "snapshot_api_version": found.api_version or None,
        "aws_account_id": found.account_id,
        "aws_region": found.region,
        "event_source_name": found.source_name or None,
        "event_source_status": found.source_status,
        "events_from": list(found.events_from),
        "event_types": list(found.event_types),
        "missing": list(differs.missing),
        "superfluous": list(differs.superfluous),
        "unchangeable": session.unchangeable(found),
    }
