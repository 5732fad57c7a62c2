"""The ledger's objects in S3, every version of them: list, read, ask for locks, replace and delete.

The bucket is versioned, so an object that is overwritten or has expired still exists as a noncurrent version.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from functions.ledger import keys as ledger_keys
from functions.ledger.reader import CLOCK_SKEW, GONE, MAXIMUM_BYTES, lines_of
from functions.shared import names
from ops import times
from ops.environment import Environment, aws_errors
from ops.errors import OperatorError

# Error codes of the Amazon S3 API: GetObject; GetObjectLockConfiguration, GetObjectRetention and
# GetObjectLegalHold; PutObject with If-Match, where the object may be gone.
_FROZEN: Final = "InvalidObjectState"
_NO_LOCKS: Final = "ObjectLockConfigurationNotFoundError"
_NO_LOCK: Final = "NoSuchObjectLockConfiguration"
_CHANGED: Final = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"})


class UnreadableError(Exception):
    """A version that can't be read."""


class FrozenError(UnreadableError):
    """A version in an archive storage class, which must be restored before it can be read."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of one object; `latest` says whether it is the current one."""

    key: str
    id: str
    etag: str
    latest: bool


@dataclass(frozen=True, slots=True)
class Lock:
    """What forbids to delete a version: until when, and by which mode or hold."""

    version: Version
    mode: str
    until: datetime | None

    def __str__(self) -> str:
        if self.until is None:
            return f"{self.version.key} is under a legal hold"
        return f"{self.version.key} is locked until {times.format_time(self.until)} ({self.mode})"


@dataclass(frozen=True)
class LedgerObjects:
    """The objects of an environment's ledger; those of before `since` are left out."""

    environment: Environment
    since: datetime | None = None

    @property
    def _client(self) -> Any:
        return self.environment.client("s3")

    @property
    def _bucket(self) -> str:
        return self.environment.ledger_bucket

    def pages(self) -> Iterator[list[Version]]:
        """List all versions, in pages of at most 1,000.

        Raises
        ------
        OperatorError
            S3 refuses or does not answer.
        """
        call = {"Bucket": self._bucket, "Prefix": names.LEDGER_PREFIX}
        if self.since is not None:
            call["KeyMarker"] = ledger_keys.lower_bound(self.since - CLOCK_SKEW)
        with aws_errors(f"the ledger bucket {self._bucket}"):
            while True:
                answer = self._client.list_object_versions(**call)
                yield [
                    Version(each["Key"], each["VersionId"], each["ETag"], each["IsLatest"])
                    for each in answer.get("Versions", [])
                ]
                if not answer["IsTruncated"]:
                    return
                call["KeyMarker"] = answer["NextKeyMarker"]
                call["VersionIdMarker"] = answer["NextVersionIdMarker"]

    def lines(self, version: Version) -> list[bytes]:
        """Return the lines of a version; none if it was deleted meanwhile.

        Raises
        ------
        FrozenError, UnreadableError
            It is in an archive storage class, or damaged.
        OperatorError
            S3 refuses or does not answer.
        """
        with aws_errors(f"the ledger's object {version.key}"):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=version.key, VersionId=version.id)
            except ClientError as error:
                code = _code(error)
                if code == _FROZEN:
                    raise FrozenError from error
                if code in GONE:
                    return []
                raise
            body = answer["Body"].read(MAXIMUM_BYTES + 1)
        found, damaged = lines_of(body)
        if damaged:
            raise UnreadableError
        return found

    def present_lines(self, version: Version) -> list[bytes]:
        """Return the lines of a version that has been read before.

        Raises
        ------
        OperatorError
            It was deleted or archived since then, or S3 refuses or does not answer.
        """
        try:
            found = self.lines(version)
        except UnreadableError as error:
            raise _changed(version) from error
        if not found:
            raise _changed(version)
        return found

    def locks(self, versions: Sequence[Version]) -> list[Lock]:
        """Return what forbids to delete versions now.

        Raises
        ------
        OperatorError
            S3 refuses or does not answer.
        """
        with aws_errors(f"the locks of the ledger bucket {self._bucket}"):
            if not self._asked(self._client.get_object_lock_configuration, _NO_LOCKS, Bucket=self._bucket):
                return []
            now = datetime.now().astimezone()
            return [lock for version in versions for lock in self._locks_of(version) if _holds(lock, now)]

    def _locks_of(self, version: Version) -> Iterator[Lock]:
        call = {"Bucket": self._bucket, "Key": version.key, "VersionId": version.id}
        kept = self._asked(self._client.get_object_retention, _NO_LOCK, **call).get("Retention")
        if kept:
            yield Lock(version, kept["Mode"], kept["RetainUntilDate"])
        hold = self._asked(self._client.get_object_legal_hold, _NO_LOCK, **call).get("LegalHold")
        if hold and hold["Status"] == "ON":
            yield Lock(version, "legal hold", None)

    def _asked(self, ask: Any, nothing: str, **call: str) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = ask(**call)
        except ClientError as error:
            if _code(error) == nothing:
                return {}
            raise
        return answer

    def replace(self, version: Version, lines: Sequence[bytes]) -> None:
        """Write the current version's successor; the version itself stays until it is deleted.

        Raises
        ------
        OperatorError
            S3 refuses or does not answer, or the object has another current version by now.
        """
        # As functions.ledger.s3 writes it: the same lines give the same bytes.
        body = gzip.compress(b"".join(line + b"\n" for line in lines), mtime=0)
        with aws_errors(f"to rewrite the ledger's object {version.key}"):
            try:
                self._client.put_object(
                    Bucket=self._bucket,
                    Key=version.key,
                    Body=body,
                    ContentType="application/gzip",
                    # Of two erasures of one object, the second would bring back what the first has erased.
                    IfMatch=version.etag,
                )
            except ClientError as error:
                if _code(error) not in _CHANGED:
                    raise
                raise _changed(version) from error

    def delete(self, version: Version) -> None:
        """Delete one version for ever; one that is gone stays gone.

        Raises
        ------
        OperatorError
            S3 refuses or does not answer.
        """
        with aws_errors(f"to delete a version of the ledger's object {version.key}"):
            self._client.delete_object(Bucket=self._bucket, Key=version.key, VersionId=version.id)


def _changed(version: Version) -> OperatorError:
    return OperatorError(f"{version.key} was changed or deleted meanwhile: repeat the command")


def _holds(lock: Lock, now: datetime) -> bool:
    return lock.until is None or lock.until > now


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code"))
