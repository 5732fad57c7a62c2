"""The ledger in S3: one gzip object of JSON lines per batch, in a folder per day."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from functions.ledger.keys import object_key
from functions.ledger.records import LedgerRecord
from functions.shared import aws

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def write(bucket: str, records: Sequence[LedgerRecord]) -> str:
    """Write a batch and return its key.

    Key and content depend only on the messages, so a batch that is delivered again writes the same object
    again. If SQS groups the messages differently, or EventBridge sends one twice, two objects hold the same
    delivery: readers identify it by `envelope.id`.

    Raises
    ------
    TransientError, ConfigurationError
        S3 did not answer, or refused.
    """
    key = object_key(records)
    # Without a time in the gzip header, the same lines give the same bytes.
    body = gzip.compress("".join(f"{record.line}\n" for record in records).encode(), mtime=0)
    try:
        _client().put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/gzip")
    except aws.AwsError as error:
        raise aws.fault("the ledger bucket", error) from error
    return key


@cache
def _client() -> S3Client:
    return aws.session().client("s3", config=aws.config())
