"""The ledger in S3: one gzip object of JSON lines per batch, in a folder per day."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Final

from functions.ledger.records import LedgerRecord
from functions.pipeline import aws, names

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

KEY_HEX_DIGITS: Final = 32  # 128 bits of SHA-256: no two batches share a name.


def write(bucket: str, records: Sequence[LedgerRecord]) -> str:
    """Write a batch and return its key.

    The key and the content follow from the messages alone, so that a batch which comes again writes the
    same object again. Where SQS puts its messages into other batches, a record stands in two objects;
    readers tell by ``message_id``.

    Raises
    ------
    TransientError, ConfigurationError
        S3 did not take the object.
    """
    key = object_key(records)
    # Without a time in the header, the same lines give the same bytes.
    body = gzip.compress("".join(f"{record.line}\n" for record in records).encode(), mtime=0)
    try:
        _client().put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/gzip")
    except aws.AwsError as error:
        raise aws.fault("the ledger bucket", error) from error
    return key


def object_key(records: Sequence[LedgerRecord]) -> str:
    """Name the object of a batch: the day the queue took its first message (UTC), and its messages' hash."""
    day = min(record.received_at for record in records).date().isoformat()
    messages = "\n".join(sorted(record.message_id for record in records))
    digest = hashlib.sha256(messages.encode()).hexdigest()[:KEY_HEX_DIGITS]
    return f"{names.LEDGER_PREFIX}dt={day}/{digest}.jsonl.gz"


@cache
def _client() -> S3Client:
    return aws.session().client("s3", config=aws.CONFIG)
