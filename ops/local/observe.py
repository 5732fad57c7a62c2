"""Read what every part of a running pipeline recorded: the API, the log groups, the queues, the ledger."""

from __future__ import annotations

import gzip
import json
from collections import ChainMap
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import httpx
import psycopg

from functions.pipeline import routing
from ops.local.accounting import Evidence, LedgerEntry, Observations, Request

if TYPE_CHECKING:
    from ops.local.outputs import Outputs
    from ops.local.services import Services

LEDGER_QUERY = "SELECT event_id, deliveries FROM stripe_event_ledger"
FINISHED_OUTCOMES = ("applied", "recorded", "duplicate", "stale")
RECEIVE_BATCH = 10
# Long enough that one reading of a queue meets no message twice.
PEEK_SECONDS = 5


class Observer:
    """Observe one deployed pipeline; each call returns everything seen since the start.

    Parameters
    ----------
    services
        Where the embedded AWS, the reference API and the ledger's database listen.
    outputs
        The Terraform outputs of the environment.
    since
        Unix milliseconds; log lines before it are not read.
    """

    def __init__(self, services: Services, outputs: Outputs, since: float) -> None:
        self._logs = services.aws.client("logs")
        self._sqs = services.aws.client("sqs")
        self._s3 = services.aws.client("s3")
        self._services = services
        self._outputs = outputs
        self._log_position = dict.fromkeys(outputs.log_groups, int(since))
        self._log_lines: set[tuple[str, int, str]] = set()
        self._finished: list[Evidence] = []
        self._requests: list[Request] = []
        self._parked: dict[str, Evidence] = {}
        self._objects: dict[str, dict[str, float]] = {}

    def look(self) -> Observations:
        """Return what is recorded now."""
        self._read_requests()
        for log_group in self._log_position:
            self._read_log(log_group)
        for name in self._outputs.handler_dlqs:
            self._read_dlq(name)
        self._read_objects()
        return Observations(
            evidence=(*self._finished, *self._parked.values()),
            requests=tuple(self._requests),
            ledger=dict(self._ledger()),
            archived=dict(ChainMap(*self._objects.values())),
        )

    def queue_depths(self) -> dict[str, int]:
        """Return how many messages each queue of the environment holds, in flight ones included."""
        return {name: self._depth(name) for name in self._outputs.queues}

    def _depth(self, name: str) -> int:
        attributes = self._sqs.get_queue_attributes(
            QueueUrl=self._outputs.queues[name],
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )["Attributes"]
        return sum(int(value) for value in attributes.values())

    def _read_requests(self) -> None:
        url = f"{self._services.api_url}/_control/requests"
        answer = httpx.get(url, params={"since": len(self._requests)}, trust_env=False).raise_for_status()
        self._requests.extend(_request(item) for item in answer.json()["requests"])

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
                self._finished.extend(_finished(line["message"], line["timestamp"]))

    def _read_dlq(self, name: str) -> None:
        """Take note of each message and leave it there."""
        while messages := self._sqs.receive_message(
            QueueUrl=self._outputs.queues[name],
            MaxNumberOfMessages=RECEIVE_BATCH,
            VisibilityTimeout=PEEK_SECONDS,
            MessageSystemAttributeNames=["SentTimestamp"],
        ).get("Messages"):
            for message in messages:
                sent = float(message["Attributes"]["SentTimestamp"])
                event_id = parked_event_id(json.loads(message["Body"]))
                self._parked[f"{name}/{message['MessageId']}"] = Evidence(event_id, "parked", sent)

    def _read_objects(self) -> None:
        bucket = self._outputs.ledger_bucket
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="audit/"):
            for item in page.get("Contents", []):
                if item["Key"] not in self._objects:
                    body = self._s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
                    records = map(json.loads, gzip.decompress(body).splitlines())
                    self._objects[item["Key"]] = {
                        record["envelope"]["id"]: _milliseconds(record["received_at"]) for record in records
                    }

    def _ledger(self) -> Iterator[tuple[str, LedgerEntry]]:
        with psycopg.connect(self._services.database_url, autocommit=True) as connection:
            try:
                rows = connection.execute(LEDGER_QUERY).fetchall()
            except psycopg.errors.UndefinedTable:
                return  # the audit function makes the table with its first batch
        for event_id, deliveries in rows:
            yield event_id, LedgerEntry(deliveries)


def parked_event_id(record: dict[str, Any]) -> str:
    """Return the Stripe event id of a dead-letter record.

    EventBridge puts the bare envelope there, Lambda its on-failure record, the handler a parked message.
    """
    envelope = record.get("requestPayload") or record.get("envelope") or record
    return str(envelope["detail"]["id"])


def handler_of(event_type: str) -> str | None:
    """Return the handler that the routing table names for a type, or None for a type no rule routes."""
    route = routing.ROUTES.get(event_type)
    return None if route is None else route.handler


def _finished(message: str, timestamp: float) -> Iterator[Evidence]:
    if not message.lstrip().startswith("{"):
        return
    record = json.loads(message)
    if record.get("message") == "event finished" and record.get("outcome") in FINISHED_OUTCOMES:
        yield Evidence(record["event_id"], record["outcome"], timestamp)


def _milliseconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp() * 1000


def _request(item: dict[str, Any]) -> Request:
    key = item["idempotency_key"] or ""
    return Request(
        event_id=key.partition(":")[0],
        path=item["path"],
        idempotency_key=key,
        headers=item["headers"],
        body=item["body"],
        status=item["status"],
        at=item["received_at"] * 1000,
    )
