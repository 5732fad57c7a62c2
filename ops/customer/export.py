"""One customer's data in one JSON file that only its owner can read, whole or not at all."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from ops import new_file
from ops.console import plural
from ops.customer.holdings import Holdings
from ops.dlq.purge import whole_message
from ops.errors import OperatorError
from ops.times import stamp

FOLDER: Final = Path("build") / "customers"
OPTION: Final = "--output"
IF_IT_EXISTS: Final = "use another name, or add --force"
# What is being written, by the id of the process; the name of a draft names no customer.
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
    _remove_drafts(file.parent)
    draft = file.with_name(f"{_DRAFT}{os.getpid()}")
    try:
        with _file_errors(file):
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as out:
                json.dump(content, out, indent=2, default=_plain)
                out.write("\n")
                out.flush()
                os.fsync(out.fileno())
            if force:
                draft.replace(file)
            else:
                # Unlike a rename, a link never replaces a file that was made meanwhile.
                os.link(draft, file)
    except FileExistsError:
        raise new_file.existing(OPTION, file, IF_IT_EXISTS) from None
    finally:
        draft.unlink(missing_ok=True)


def _remove_drafts(folder: Path) -> None:
    """Remove what processes that were killed have left; this one has written nothing yet."""
    for draft in folder.glob(f"{_DRAFT}*"):
        # In a folder for everyone, drafts of others are not ours to remove.
        with suppress(PermissionError, FileNotFoundError, ValueError):
            if draft.suffix == f".{os.getpid()}" or not _runs(draft.suffix[1:]):
                draft.unlink()


def _runs(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    return True


def _plain(value: object) -> object:
    """Write a time of PostgreSQL or a number of DynamoDB as JSON."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"unexpected {type(value).__name__}")


@contextmanager
def _file_errors(file: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        raise OperatorError(f"can't write {file} ({error.strerror}): use another --output") from error
