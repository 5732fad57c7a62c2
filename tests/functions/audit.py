"""Batches of the audit queue, and what the audit function wrote."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Iterator
from typing import Any

import psycopg

from functions.ledger.records import LedgerRecord, parse
from ops.local.clients import Aws
from tests.functions.conftest import BUCKET, fresh
from tests.unit import snapshots as stripe

SENT = 1_775_037_605_000

_messages = itertools.count(1)


def batch_of(*bodies: Any, sent: int = SENT) -> dict[str, Any]:
    """What Lambda passes to the function for a batch of the audit queue."""
    return {
        "Records": [
            {
                "messageId": f"message-{next(_messages)}",
                "receiptHandle": "handle",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "MessageGroupId": "billing",
                    "SentTimestamp": str(sent),
                },
                "eventSource": "aws:sqs",
            }
            for body in bodies
        ]
    }


def records_of(*bodies: Any, sent: int = SENT) -> list[LedgerRecord]:
    return [parse(message) for message in batch_of(*bodies, sent=sent)["Records"]]


def invoice_paid(**detail: Any) -> dict[str, Any]:
    return fresh("invoice.paid", stripe.invoice(stripe.CURRENT), **detail)


def event_id(envelope: dict[str, Any]) -> str:
    return str(envelope["detail"]["id"])


def failed(answer: dict[str, Any]) -> list[str]:
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def s3_lines(aws: Aws) -> Iterator[dict[str, Any]]:
    """Every line of the ledger in S3."""
    s3 = aws.client("s3")
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="audit/"):
        for item in page.get("Contents", []):
            body = s3.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read()
            for line in gzip.decompress(body).splitlines():
                yield json.loads(line) | {"key": item["Key"]}


def lines_for(aws: Aws, envelope: dict[str, Any]) -> list[dict[str, Any]]:
    return [line for line in s3_lines(aws) if line["event_id"] == event_id(envelope)]


def rows(database_url: str) -> dict[str, dict[str, Any]]:
    """The table's rows by event id."""
    with psycopg.connect(database_url, row_factory=psycopg.rows.dict_row) as connection:
        found = connection.execute("SELECT * FROM stripe_event_ledger").fetchall()
    return {row["event_id"]: row for row in found}


def stored_ids(database_url: str) -> set[str]:
    with psycopg.connect(database_url) as connection:
        return {str(found) for (found,) in connection.execute("SELECT event_id FROM stripe_event_ledger")}


class AuditDeadLetterQueue:
    """The audit's FIFO dead-letter queue."""

    def __init__(self, aws: Aws, url: str) -> None:
        self._sqs = aws.client("sqs")
        self._url = url

    def receive_all(self) -> list[dict[str, Any]]:
        """Receive and delete every message."""
        received: list[dict[str, Any]] = []
        while messages := self._sqs.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        ).get("Messages"):
            for message in messages:
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
            received += messages
        return received


def attributes(message: dict[str, Any]) -> dict[str, str]:
    return {name: value["StringValue"] for name, value in message.get("MessageAttributes", {}).items()}
