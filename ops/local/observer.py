"""Read what each part of a running pipeline recorded, without changing anything.

No message is received from a queue, so none is hidden from the pipeline or from the dlq commands.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import psycopg

from ops.local.observations import (
    ApiRequest,
    AppliedCall,
    FinishedEvent,
    Observations,
    RefusedCall,
    event_of,
    read_parked,
)
from ops.local.services import JOURNAL

if TYPE_CHECKING:
    from ops.local.clients import Aws
    from ops.local.outputs import Outputs
    from ops.local.services import Services

LEDGER_QUERY: Final = "SELECT event_id, deliveries FROM stripe_event_ledger"
DEAD_LETTER: Final = "-dlq-"
# A parked event is proved by its message, not by a log line.
LOGGED_OUTCOMES: Final = ("applied", "recorded", "duplicate", "stale")
LISTING_SECONDS: Final = 30.0
MILLISECONDS: Final = 1000


class Observer:
    """Observe one deployed pipeline; each look returns everything recorded since the start.

    Parameters
    ----------
    services
        The embedded AWS, the reference API's journal and the ledger's database.
    outputs
        The Terraform outputs of the environment.
    since
        Unix milliseconds; earlier log lines are skipped.
    """

    def __init__(self, services: Services, outputs: Outputs, since: float) -> None:
        self._services = services
        self._outputs = outputs
        self._logged = _FinishedEvents(services.aws.client("logs"), outputs.log_groups, since)
        self._objects = _LedgerObjects(services.aws.client("s3"), outputs.ledger_bucket)
        self._finished: list[FinishedEvent] = []
        self._archived: dict[str, float] = {}
        self._journal_position = 0
        self._requests: list[ApiRequest] = []
        self._applied: list[AppliedCall] = []

    def look(self) -> Observations:
        """Return what is recorded now: each outcome with the calls that led to it."""
        self._finished.extend(self._logged.new())
        for record in self._objects.new():
            received = datetime.fromisoformat(record["received_at"]).timestamp() * MILLISECONDS
            self._archived.setdefault(record["envelope"]["id"], received)
        queues = self._messages()
        # Last: a call is in the journal before its handler logs the outcome or parks the message.
        self._read_journal()
        parked = (
            read_parked(name, _as_received(message))
            for name, messages in queues.items()
            if DEAD_LETTER in name
            for message in messages
        )
        return Observations(
            finished=tuple(self._finished),
            requests=tuple(self._requests),
            applied=tuple(self._applied),
            parked=tuple(parked),
            ledger=dict(_ledger_rows(self._services.database_url)),
            archived=dict(self._archived),
            queues={name: len(messages) for name, messages in queues.items()},
        )

    def queue_depths(self) -> dict[str, int]:
        """Return the number of messages in each queue of the environment, in-flight ones included."""
        return {name: len(messages) for name, messages in self._messages().items()}

    def _read_journal(self) -> None:
        path = self._services.folder / "api" / JOURNAL
        requests, applied, self._journal_position = read_journal(path, self._journal_position)
        self._requests += requests
        self._applied += applied

    def _messages(self) -> dict[str, list[dict[str, Any]]]:
        """Return the messages of each queue of the environment, hidden ones included, by queue name."""
        control = self._services.aws.control
        accounts = control.ask("GET", "/_ministack/sqs/messages", timeout=LISTING_SECONDS).json()["messages"]
        listed = {
            url.rpartition("/")[2]: messages
            for regions in accounts.values()
            for queues in regions.values()
            for url, messages in queues.items()
        }
        return {name: listed.get(name, []) for name in self._outputs.queues}


def decided_calls(aws: Aws) -> list[dict[str, Any]]:
    """Return each distinct call of a role or a service so far: see `ops.emulator.permissions.Decisions`."""
    answer = aws.control.ask("GET", "/_control/permissions", timeout=LISTING_SECONDS)
    calls: list[dict[str, Any]] = answer.json()["calls"]
    return calls


def refused_calls(aws: Aws) -> tuple[RefusedCall, ...]:
    """Return the distinct calls that no policy allows, in the order of the first."""
    return tuple(
        RefusedCall(row["caller"], row["action"], row["resource"], row["calls"], row["advice"])
        for row in decided_calls(aws)
        if not row["allowed"]
    )


def firing_alarms(aws: Aws) -> tuple[str, ...]:
    """Return the names of the alarms in state ALARM, sorted."""
    pages = aws.client("cloudwatch").get_paginator("describe_alarms")
    return tuple(
        sorted(
            alarm["AlarmName"]
            for page in pages.paginate(AlarmTypes=["MetricAlarm", "CompositeAlarm"], StateValue="ALARM")
            for alarm in (*page["MetricAlarms"], *page["CompositeAlarms"])
        )
    )


def read_journal(path: Path, position: int) -> tuple[list[ApiRequest], list[AppliedCall], int]:
    """Read the reference API's journal from a byte position on; it can be read while the API is stopped.

    Returns
    -------
    The requests, the applied calls, and the position after the last whole line: a line that is still being
    written is left for the next read.
    """
    requests: list[ApiRequest] = []
    applied: list[AppliedCall] = []
    with path.open("rb") as journal:
        journal.seek(position)
        for line in journal:
            if not line.endswith(b"\n"):
                break
            position += len(line)
            entry = json.loads(line)
            if entry["request"] is not None:
                requests.append(_request(entry["request"]))
            if entry["applied"] is not None:
                applied.append(_applied(entry["applied"]))
    return requests, applied, position


def _applied(entry: dict[str, Any]) -> AppliedCall:
    key, created = entry["idempotency_key"], int(entry["created"])
    return AppliedCall(key, entry["event_type"], entry["object_id"], created)


def _request(entry: dict[str, Any]) -> ApiRequest:
    key = entry["idempotency_key"] or ""
    return ApiRequest(
        event_id=event_of(key),
        path=entry["path"],
        idempotency_key=key,
        headers=entry["headers"],
        body=entry["body"],
        status=entry["status"],
        at=entry["received_at"] * MILLISECONDS,
    )


class _FinishedEvents:
    """The handlers' closing log lines; `logs` is a boto3 client, `since` is Unix milliseconds."""

    def __init__(self, logs: Any, log_groups: Iterable[str], since: float) -> None:
        self._logs = logs
        self._position = dict.fromkeys(log_groups, int(since))
        self._lines: set[tuple[str, int, str]] = set()

    def new(self) -> Iterator[FinishedEvent]:
        """Yield the events of the lines not read before."""
        for log_group in self._position:
            pages = self._logs.get_paginator("filter_log_events").paginate(
                logGroupName=log_group, startTime=self._position[log_group]
            )
            for line in (line for page in pages for line in page["events"]):
                # The embedded AWS gives log lines no id.
                identity = (line["logStreamName"], line["timestamp"], line["message"])
                if identity not in self._lines:
                    self._lines.add(identity)
                    self._position[log_group] = max(self._position[log_group], line["timestamp"])
                    yield from _finished(line["message"], line["timestamp"])


def _finished(message: str, timestamp: float) -> Iterator[FinishedEvent]:
    if not message.lstrip().startswith("{"):
        return
    record = json.loads(message)
    if record.get("message") == "event finished" and record.get("outcome") in LOGGED_OUTCOMES:
        yield FinishedEvent(record["event_id"], record["outcome"], timestamp)


class _LedgerObjects:
    """The objects that the audit function wrote into the ledger's bucket; `s3` is a boto3 client."""

    def __init__(self, s3: Any, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._read: set[str] = set()

    def new(self) -> Iterator[dict[str, Any]]:
        """Yield the records of the objects not read before."""
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix="audit/"):
            for key in (item["Key"] for item in page.get("Contents", [])):
                if key not in self._read:
                    body = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
                    self._read.add(key)
                    yield from map(json.loads, gzip.decompress(body).splitlines())


def _ledger_rows(database_url: str) -> list[tuple[str, int]]:
    """Return each event id of the ledger's table with its number of deliveries."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        try:
            return cast("list[tuple[str, int]]", connection.execute(LEDGER_QUERY).fetchall())
        except psycopg.errors.UndefinedTable:
            return []  # the audit function creates the table with its first batch


def _as_received(listed: dict[str, Any]) -> dict[str, Any]:
    """Return a listed message in the shape of SQS ReceiveMessage."""
    names = ("MessageGroupId", "MessageDeduplicationId")
    system = {name: listed[name] for name in names if listed[name]}
    return {**listed, "ReceiptHandle": "", "Attributes": {**listed["Attributes"], **system}}
