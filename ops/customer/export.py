"""One customer's data in one JSON file that only its owner can read, whole or not at all."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from ops import new_file
from ops.console import plural
from ops.customer.holdings import Holdings
from ops.dlq.purge import whole_message
from ops.times import stamp

FOLDER: Final = Path("build") / "customers"
OPTION: Final = "--output"
IF_IT_EXISTS: Final = "use another name, or add --force"
# How the name of a draft begins: it names no customer.
_DRAFT: Final = ".customer-export."
# What AWS stores in forms that nobody can search by customer; docs/personal-data.md says how long.
NOT_SEARCHED: Final = ("the archive of the event bus", "the log of the event bus", "backups of PostgreSQL")


def default_file(environment: str, customer: str) -> Path:
    """Return the file of an export that names none."""
    return FOLDER / f"{environment}-{customer}.json"


def check(file: Path, *, force: bool) -> None:
    """Refuse a file that can't be written; see `new_file.check`."""
    new_file.check(OPTION, file, FOLDER, if_it_exists=None if force else IF_IT_EXISTS)


def document(found: Holdings, now: datetime) -> dict[str, Any]:
    """Return what is held, for the file."""
    return {
        "customer": found.search.customer,
        "environment": found.environment.name,
        "at": stamp(now),
        "ledger": {
            "bucket": found.environment.ledger_bucket,
            "since": None if found.objects.since is None else stamp(found.objects.since),
            "unread": [*found.frozen, *found.damaged],
            "deliveries": [
                {
                    "key": record.version.key,
                    "version": record.version.id,
                    "current": record.version.latest,
                    "record": record.document,
                }
                for record in found.records
            ],
        },
        "postgresql": [dict(row.columns) for row in found.rows] if found.database_url else None,
        "dead_letter_queues": {
            "unseen": found.unseen,
            "messages": [whole_message(message, queue) for message, queue in found.messages],
        },
        "table": list(found.items),
        "not_searched": list(NOT_SEARCHED),
    }


def summary(found: Holdings) -> dict[str, Any]:
    """Return what is held, counted, for programs; it holds nothing personal but the customer's id."""
    types = Counter(record.document["event_type"] for record in found.records)
    return {
        "customer": found.search.customer,
        "environment": found.environment.name,
        "events": found.events,
        "deliveries_by_type": dict(sorted(types.items())),
        "objects": len(found.versions),
        "rows": len(found.rows) if found.database_url else None,
        "messages": len(found.messages),
        "items": len(found.items),
        "unseen": found.unseen,
        "waiting": found.waiting,
        "unread": len(found.frozen) + len(found.damaged),
    }


def missing(found: Holdings) -> list[str]:
    """Return what the export lacks, and what to do."""
    lacking = []
    if found.frozen or found.damaged:
        objects = plural(len(found.frozen) + len(found.damaged), "object")
        lacking.append(
            f"{objects} of the ledger could not be read: restore those in Glacier, then repeat the command"
        )
    if found.unseen:
        messages = plural(found.unseen, "message")
        lacking.append(f"{messages} of dead-letter queues not seen: repeat the command in a few minutes")
    return lacking


def write(file: Path, content: Mapping[str, Any], *, force: bool) -> None:
    """Write a document to a file with mode 0600; until it is complete the file does not change.

    Raises
    ------
    OperatorError
        The file can't be written, or exists and `force` is off.
    """
    with (
        new_file.draft(OPTION, file, _DRAFT, if_it_exists=IF_IT_EXISTS, force=force) as draft,
        draft.open("w", encoding="utf-8") as out,
    ):
        json.dump(content, out, indent=2, default=_plain)
        out.write("\n")


def _plain(value: object) -> object:
    """Write a time of PostgreSQL or a number of DynamoDB as JSON."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"unexpected {type(value).__name__}")
