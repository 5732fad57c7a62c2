"""The audit ledger's bucket: one gzip JSONL object per batch of events."""

from typing import Final

from constructs import Construct

from functions.shared import names
from infra.policy import Statement
from infra.resources.account import Account
from infra.resources.base import Capability
from infra.resources.bucket import PrivateBucket, Retention
from infra.resources.key import Key, read_with, write_with

# The audit function writes each object once. Another version was written or deleted by hand, or is compacted;
# this is the time to notice what should not have been.
_NONCURRENT_DAYS: Final = 365


class Ledger(Capability):
    """The bucket of every event, with colder storage for older ones.

    S3 leaves objects of less than 128 KB in Standard, where they cost less than a transition.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        account: Account,
        infrequent_access_days: int,
        glacier_days: int,
        expiration_days: int,
        object_lock_days: int,
        key: Key | None,
    ) -> None:
        super().__init__(scope, id_)
        self._key = key
        bucket = PrivateBucket(
            self,
            "ledger_bucket",
            account=account,
            # Bucket names are unique in all of AWS.
            name=f"{account.name('ledger')}-{account.id}",
            retention=Retention(
                noncurrent_days=_NONCURRENT_DAYS,
                transitions=((infrequent_access_days, "STANDARD_IA"), (glacier_days, "GLACIER")),
                expiration=(names.LEDGER_PREFIX, expiration_days) if expiration_days else None,
                object_lock_days=object_lock_days,
            ),
            prevent_destroy=account.protected,
            emptied_on_destroy=not account.protected,
            key=key,
        )
        self.name = bucket.name
        self.arn = bucket.arn

    def grant_write(self) -> list[Statement]:
        """Statements for a role that adds ledger objects."""
        put = Statement("AddToLedger", ["s3:PutObject"], [f"{self.arn}/{names.LEDGER_PREFIX}*"])
        return [put, *write_with(self._key)]

    def grant_compaction(self) -> list[Statement]:
        """Statements for a role that compacts ledger objects: it hides them, and deletes none for ever."""
        objects = f"{self.arn}/{names.LEDGER_PREFIX}*"
        return [
            *self.grant_read(),
            Statement("WriteCompacted", ["s3:PutObject"], [f"{objects}{names.LEDGER_COMPACTED}"]),
            Statement("HideObjects", ["s3:DeleteObject"], [objects]),
            *write_with(self._key),
        ]

    def grant_read(self) -> list[Statement]:
        """Statements for a role that reads ledger objects."""
        return [
            Statement("ReadLedger", ["s3:GetObject"], [f"{self.arn}/{names.LEDGER_PREFIX}*"]),
            # Without the right to list, S3 answers 403 for an object that does not exist.
            Statement("ListLedger", ["s3:ListBucket"], [self.arn]),
            *read_with(self._key),
        ]
