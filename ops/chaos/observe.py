"""Read what every part recorded, and touch nothing: no message is received, so none is hidden from others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from ops.chaos.observations import Application, DeadLetter, Finished, Seen, read_dead_letter, read_journal
from ops.local.services import JOURNAL
from ops.local.sources import FinishedEvents, LedgerObjects, ledger_rows

if TYPE_CHECKING:
    from ops.local.outputs import Outputs
    from ops.local.services import Services

DEAD_LETTER = "-dlq-"


class Observer:
    """Observe one deployed pipeline; each look returns everything since the start.

    Parameters
    ----------
    since
        Unix milliseconds; log lines before it are not read.
    """

    def __init__(self, services: Services, outputs: Outputs, since: float) -> None:
        self._services = services
        self._outputs = outputs
        self._logged = FinishedEvents(services.aws.client("logs"), outputs.log_groups, since)
        self._objects = LedgerObjects(services.aws.client("s3"), outputs.ledger_bucket)
        self._finished: list[Finished] = []
        self._journal = services.folder / "api" / JOURNAL
        self._journal_position = 0
        self._applied: list[Application] = []
        self._archived: set[str] = set()

    def look(self) -> Seen:
        """Return what is recorded now."""
        self._read_journal(self._journal)
        self._finished.extend(Finished(line.event_id, line.outcome) for line in self._logged.new())
        for records in self._objects.new():
            self._archived.update(record["envelope"]["id"] for record in records)
        queues = self._queues()
        names = self._outputs.queues
        return Seen(
            applied=tuple(self._applied),
            finished=tuple(self._finished),
            dead=tuple(letter for name in names if DEAD_LETTER in name for letter in _dead(name, queues)),
            rows=dict(ledger_rows(self._services.database_url)),
            archived=frozenset(self._archived),
            waiting=sum(len(queues.get(name, ())) for name in names if DEAD_LETTER not in name),
        )

    def _read_journal(self, path: Path) -> None:
        with path.open(encoding="utf-8") as journal:
            journal.seek(self._journal_position)
            lines = journal.readlines()
        whole = [line for line in lines if line.endswith("\n")]
        self._journal_position += sum(len(line.encode()) for line in whole)
        self._applied.extend(read_journal(whole))

    def _queues(self) -> dict[str, list[dict[str, Any]]]:
        """Return the messages of every queue by its name, hidden ones included, without receiving any."""
        answer = httpx.get(
            f"{self._services.aws.url}/_ministack/sqs/messages",
            headers=self._services.aws.control.headers,
            trust_env=False,
            timeout=30,
        )
        accounts = answer.raise_for_status().json()["messages"]
        return {
            url.rpartition("/")[2]: messages
            for regions in accounts.values()
            for queues in regions.values()
            for url, messages in queues.items()
        }


def _dead(name: str, queues: dict[str, list[dict[str, Any]]]) -> Iterator[DeadLetter]:
    for message in queues.get(name, ()):
        attributes = {
            key: str(value.get("StringValue")) for key, value in message["MessageAttributes"].items()
        }
        # The audit function parks a message under the id that it had in the audit queue.
        original = message["MessageDeduplicationId"] if "reason" in attributes else None
        yield read_dead_letter(name, original or message["MessageId"], message["Body"], attributes)
