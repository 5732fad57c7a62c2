"""The ledger's bucket as the compaction uses it: list a day, read, write and remove objects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from functions.ledger import keys as ledger_keys
from functions.ledger.reader import FROZEN_CLASSES, GONE, RESOURCE, lines_of
from functions.shared import aws
from functions.shared.errors import TransientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

# Content of a compacted object, in bytes before compression. A reader holds ten objects at once
# (functions.ledger.reader.READERS), whole and cut into lines: 40 MB of the 200 that a command may take.
MOST_BYTES: Final = 2 * 1024 * 1024
# Keys of one request (Amazon S3 API, DeleteObjects).
REMOVED_AT_ONCE: Final = 1000
# What DeleteObjects answers if the object has changed since it was read, or is gone: neither is a failure.
_CHANGED: Final = frozenset({"PreconditionFailed", *GONE})


@dataclass(frozen=True, slots=True)
class Content:
    """What an object holds: its lines without line breaks, and the ETag of the version that was read."""

    key: str
    etag: str
    lines: list[bytes] = field(repr=False)


@dataclass(frozen=True)
class LedgerBucket:
    """The objects of the ledger in a bucket."""

    client: S3Client = field(repr=False)
    name: str

    def keys(self, day: date) -> Iterator[str]:
        """Yield the keys of a day's objects, in order; leave out those that can't be read or are large.

        Raises
        ------
        TransientError, ConfigurationError
            S3 did not answer, or refused.
        """
        prefix = ledger_keys.day_prefix(day)
        after = prefix
        while True:
            try:
                answer = self.client.list_objects_v2(Bucket=self.name, Prefix=prefix, StartAfter=after)
            except aws.AwsError as error:
                raise aws.fault(RESOURCE, error) from error
            for item in answer.get("Contents", []):
                after = item["Key"]
                readable = item.get("StorageClass") not in FROZEN_CLASSES and item["Size"] <= MOST_BYTES
                if readable and ledger_keys.span(after):
                    yield after
            if not answer.get("IsTruncated"):
                return

    def read(self, key: str) -> Content | None:
        """Return what an object holds; without lines if it is damaged or too large, None if it is gone.

        Raises
        ------
        TransientError, ConfigurationError
            S3 did not answer, or refused.
        """
        try:
            answer = self.client.get_object(Bucket=self.name, Key=key)
            body = answer["Body"].read(MOST_BYTES + 1)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in GONE:
                return None
            raise aws.fault(RESOURCE, error) from error
        except aws.AwsError as error:
            raise aws.fault(RESOURCE, error) from error
        return Content(key, answer["ETag"], lines_of(body, MOST_BYTES)[0])

    def write(self, key: str, body: bytes) -> None:
        """Write an object.

        Raises
        ------
        TransientError, ConfigurationError
            S3 did not answer, or refused.
        """
        try:
            self.client.put_object(Bucket=self.name, Key=key, Body=body, ContentType="application/gzip")
        except aws.AwsError as error:
            raise aws.fault(RESOURCE, error) from error

    def remove(self, contents: Sequence[Content]) -> int:
        """Hide objects behind delete markers, except those that have changed; return how many.

        Raises
        ------
        TransientError, ConfigurationError
            S3 did not answer, or refused.
        """
        removed = 0
        for first in range(0, len(contents), REMOVED_AT_ONCE):
            part = contents[first : first + REMOVED_AT_ONCE]
            # Without a version, S3 keeps what it hides; with the ETag, it hides only what was read.
            wanted: list[ObjectIdentifierTypeDef] = [{"Key": each.key, "ETag": each.etag} for each in part]
            try:
                answer = self.client.delete_objects(
                    Bucket=self.name, Delete={"Objects": wanted, "Quiet": True}
                )
            except aws.AwsError as error:
                raise aws.fault(RESOURCE, error) from error
            codes = [each.get("Code", "an unknown error") for each in answer.get("Errors", [])]
            for code in codes:
                if code not in _CHANGED:
                    raise TransientError(f"{RESOURCE} answered {code}")
            removed += len(part) - len(codes)
        return removed
