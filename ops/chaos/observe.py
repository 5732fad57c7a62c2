"""Read what every part recorded, and touch nothing: no message is received, so none is hidden from others."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psycopg

from ops.chaos.seen import Application, DeadLetter, Finished, Seen, read_dead_letter, read_journal
from ops.local.services import JOURNAL

if TYPE_CHECKING:
    from ops.local.outputs import Outputs
    from ops.local.services import Services

LEDGER_QUERY = "SELECT event_id, deliveries FROM stripe_event_ledger"
DEAD_LETTER = "-dlq-"
OUTCOMES = ("applied", "recorded", "duplicate", "stale")


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
        self._logs = services.aws.client("logs")
        self._s3 = services.aws.client("s3")
        self._log_position = dict.fromkeys(outputs.log_groups, int(since))
        self._log_lines: set[tuple[str, int, str]] = set()
        self._finished: list[Finished] = []
        self._journal = services.folder / "api" / JOURNAL
        self._journal_position = 0
        self._applied: list[Application] = []
        self._objects: dict[str, frozenset[str]] = {}

    def look(self) -> Seen:
        """Return what is recorded now."""
        self._read_journal(self._journal)
        for log_group in self._log_position:
            self._read_log(log_group)
        self._read_objects()
        queues = self._queues()
        names = self._outputs.queues
        return Seen(
            applied=tuple(self._applied),
            finished=tuple(self._finished),
            dead=tuple(letter for name in names if DEAD_LETTER in name for letter in _dead(name, queues)),
            rows=dict(self._rows()),
            archived=frozenset().union(*self._objects.values()),
            waiting=sum(len(queues.get(name, ())) for name in names if DEAD_LETTER not in name),
        )

    def _read_journal(self, path: Path) -> None:
        with path.open(encoding="utf-8") as journal:
            journal.seek(self._journal_position)
            lines = journal.readlines()
        whole = [line for line in lines if line.endswith("\n")]
        self._journal_position += sum(len(line.encode()) for line in whole)
        self._applied.extend(read_journal(whole))

    def _read_log(self, log_group: str) -> None:
        pages = self._logs.get_paginator("filter_log_events").paginate(
            logGroupName=log_group, startTime=self._log_position[log_group]
        )
        for page in pages:
            for line in page["events"]:
                # The embedded AWS gives a line no id.
                identity = (line["logStreamName"], line["timestamp"], line["message"])
                if identity in self._log_lines:
                    continue
                self._log_lines.add(identity)
                self._log_position[log_group] = max(self._log_position[log_group], line["timestamp"])
                self._finished.extend(_finished(line["message"]))

    def _read_objects(self) -> None:
        bucket = self._outputs.ledger_bucket
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="audit/"):
            for item in page.get("Contents", []):
                if item["Key"] not in self._objects:
                    body = self._s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
                    records = map(json.loads, gzip.decompress(body).splitlines())
                    self._objects[item["Key"]] = frozenset(record["envelope"]["id"] for record in records)

    def _queues(self) -> dict[str, list[dict[str, Any]]]:
        """Return the messages of every queue by its name, hidden ones included, without receiving any."""
        answer = httpx.get(f"{self._services.aws.url}/_ministack/sqs/messages", trust_env=False, timeout=30)
        accounts = answer.raise_for_status().json()["messages"]
        return {
            url.rpartition("/")[2]: messages
            for regions in accounts.values()
            for queues in regions.values()
            for url, messages in queues.items()
        }

    def _rows(self) -> Iterator[tuple[str, int]]:
        with psycopg.connect(self._services.database_url, autocommit=True) as connection:
            try:
                yield from connection.execute(LEDGER_QUERY).fetchall()
            except psycopg.errors.UndefinedTable:
                return  # the audit function makes the table with its first batch


def _dead(name: str, queues: dict[str, list[dict[str, Any]]]) -> Iterator[DeadLetter]:
    for message in queues.get(name, ()):
        attributes = {
            key: str(value.get("StringValue")) for key, value in message["MessageAttributes"].items()
        }
        # The audit function parks a message under the id that it had in the audit queue.
        original = message["MessageDeduplicationId"] if "reason" in attributes else None
        yield read_dead_letter(name, original or message["MessageId"], message["Body"], attributes)


def _finished(message: str) -> Iterator[Finished]:
    if '"event finished"' not in message:
        return
    record = json.loads(message)
    if record.get("outcome") in OUTCOMES:
        yield Finished(record["event_id"], record["outcome"])
