"""Read what the log groups and the ledger hold, and nothing of it twice."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from typing import Any

import psycopg

from ops.local.accounting import Evidence

LEDGER_QUERY = "SELECT event_id, deliveries FROM stripe_event_ledger"
FINISHED_OUTCOMES = ("applied", "recorded", "duplicate", "stale")


class FinishedEvents:
    """What the functions logged about events that they finished.

    Parameters
    ----------
    logs
        A boto3 client of CloudWatch Logs.
    since
        Unix milliseconds; log lines before it are not read.
    """

    def __init__(self, logs: Any, log_groups: Iterable[str], since: float) -> None:
        self._logs = logs
        self._position = dict.fromkeys(log_groups, int(since))
        self._lines: set[tuple[str, int, str]] = set()

    def new(self) -> Iterator[Evidence]:
        """Yield what the lines not read before are evidence of."""
        for log_group in self._position:
            pages = self._logs.get_paginator("filter_log_events").paginate(
                logGroupName=log_group, startTime=self._position[log_group]
            )
            for line in (line for page in pages for line in page["events"]):
                # The embedded AWS gives a line no id.
                identity = (line["logStreamName"], line["timestamp"], line["message"])
                if identity not in self._lines:
                    self._lines.add(identity)
                    self._position[log_group] = max(self._position[log_group], line["timestamp"])
                    yield from _finished(line["message"], line["timestamp"])


class LedgerObjects:
    """The objects that the audit function wrote into the ledger's bucket; `s3` is a boto3 client."""

    def __init__(self, s3: Any, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._read: set[str] = set()

    def new(self) -> Iterator[list[dict[str, Any]]]:
        """Yield the records of each object not read before."""
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix="audit/"):
            for key in (item["Key"] for item in page.get("Contents", [])):
                if key not in self._read:
                    body = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
                    records = [json.loads(line) for line in gzip.decompress(body).splitlines()]
                    self._read.add(key)
                    yield records


def ledger_rows(database_url: str) -> list[tuple[str, int]]:
    """Return each event id of the ledger's table and how often the event was delivered."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        try:
            return connection.execute(LEDGER_QUERY).fetchall()
        except psycopg.errors.UndefinedTable:
            return []  # the audit function makes the table with its first batch


def _finished(message: str, timestamp: float) -> Iterator[Evidence]:
    if not message.lstrip().startswith("{"):
        return
    record = json.loads(message)
    if record.get("message") == "event finished" and record.get("outcome") in FINISHED_OUTCOMES:
        yield Evidence(record["event_id"], record["outcome"], timestamp)
