"""A ledger's bucket on the embedded S3, with objects as the audit function writes them."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from functions.ledger.keys import lower_bound, object_key
from functions.ledger.records import LedgerRecord, parse
from ops.local.clients import Aws
from ops.local.services import REGION
from tests.unit import snapshots

ACCOUNT = "000000000000"
BUCKET = f"huntaze-stripe-ledger-dev-{ACCOUNT}"
NOW = datetime.now(UTC).replace(microsecond=0)

_numbers = itertools.count(1)


def delivery(event_type: str, *, age: float = 60, **detail: Any) -> dict[str, Any]:
    """An envelope that reached the bus `age` seconds ago, of an event with an id of its own."""
    number = next(_numbers)
    stripe_object = detail.pop("object", None) or snapshots.payment_intent(id=f"pi_lq{number}")
    made = snapshots.envelope(event_type, stripe_object, **{"id": f"evt_lq{number}", **detail})
    return made | {
        "id": f"10000000-0000-4000-8000-{number:012}",
        "time": (NOW - timedelta(seconds=age)).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def record(envelope: dict[str, Any]) -> LedgerRecord:
    """The record of an envelope that the queue received a second after the bus."""
    sent = datetime.fromisoformat(envelope["time"]) + timedelta(seconds=1)
    return parse(
        {
            "messageId": f"message-{envelope['id']}",
            "body": json.dumps(envelope),
            "attributes": {"SentTimestamp": str(int(sent.timestamp() * 1000))},
        }
    )


@dataclass(frozen=True)
class LedgerBucket:
    """The bucket of the environment dev."""

    aws: Aws

    @property
    def s3(self) -> Any:
        return self.aws.client("s3")

    def store(self, *envelopes: dict[str, Any]) -> str:
        """Store one batch, and return its object's key."""
        records = [record(each) for each in envelopes]
        key = object_key(records)
        self.put(key, [each.line.encode() for each in records])
        return key

    def put(self, key: str, lines: Sequence[bytes]) -> None:
        body = gzip.compress(b"".join(line + b"\n" for line in lines), mtime=0)
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)

    def put_damaged(self, age: float = 60) -> str:
        """Store a damaged object, and return its key."""
        key = f"{lower_bound(NOW - timedelta(seconds=age))}-0-{'e' * 32}.jsonl.gz"
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=b"not gzip")
        return key

    def delete(self, key: str) -> None:
        self.s3.delete_object(Bucket=BUCKET, Key=key)

    def clear(self) -> None:
        for each in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
            self.delete(each["Key"])


def make(url: str) -> LedgerBucket:
    bucket = LedgerBucket(Aws(url, REGION))
    bucket.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    return bucket
