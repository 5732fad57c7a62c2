"""The table in which the handlers remember which events they have applied."""

from typing import Final

from cdktf_cdktf_provider_aws.dynamodb_table import (
    DynamodbTable,
    DynamodbTableAttribute,
    DynamodbTablePointInTimeRecovery,
    DynamodbTableServerSideEncryption,
    DynamodbTableTtl,
)
from constructs import Construct

from functions.shared import names
from infra.resources.account import Account
from infra.resources.base import Capability
from infra.resources.key import Key
from infra.resources.policy import Statement

_DAY_SECONDS: Final = 24 * 3600
# A replay takes events out of the archive on its last day, and a reconciliation out of Stripe's list,
# and delivers, retries and parks them for days after: a record outlives both by more than all of these
# (EventBridge retries 1 day, a dead-letter queue keeps 14).
_MARGIN_DAYS: Final = 16


class IdempotencyTable(Capability):
    """A DynamoDB table with the key and expiry attributes of the handlers' records."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        account: Account,
        key: Key | None,
    ) -> None:
        super().__init__(scope, id_)
        self._key = key
        table = self.add(
            DynamodbTable,
            "",
            name=account.name("idempotency"),
            billing_mode="PAY_PER_REQUEST",
            hash_key=names.IDEMPOTENCY_KEY_ATTRIBUTE,
            attribute=[DynamodbTableAttribute(name=names.IDEMPOTENCY_KEY_ATTRIBUTE, type="S")],
            ttl=DynamodbTableTtl(enabled=True, attribute_name=names.IDEMPOTENCY_EXPIRY_ATTRIBUTE),
            point_in_time_recovery=DynamodbTablePointInTimeRecovery(enabled=True),
            # Without a key of ours DynamoDB encrypts with one that AWS owns, at no cost.
            server_side_encryption=(
                DynamodbTableServerSideEncryption(enabled=True, kms_key_arn=key.arn) if key else None
            ),
            deletion_protection_enabled=account.protected,
            lifecycle=account.kept,
        )
        self.name = table.name
        self.arn = table.arn

    def grant_read_write(self) -> list[Statement]:
        """Statements for a role that keeps idempotency records."""
        # TransactWriteItems needs the rights of the writes within it, and no other.
        actions = ["dynamodb:DeleteItem", "dynamodb:UpdateItem"]
        access = Statement("KeepIdempotencyRecords", actions, [self.arn])
        return [access, *(self._key.grant_use() if self._key else [])]

    def grant_redrive_run(self) -> list[Statement]:
        """Statements for a role whose runs share one item, and that touches no other."""
        # ForAllValues alone would hold for a request that names no key, too; this one always names one.
        keys = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [names.REDRIVE_RUN]}}
        access = Statement("KeepRun", ["dynamodb:UpdateItem"], [self.arn], condition=keys)
        return [access, *(self._key.grant_use() if self._key else [])]

    def grant_comparison(self) -> list[Statement]:
        """Statements for a role that reads which events have a record, and keeps how far it looked."""
        own = [names.RECONCILE_CHECKPOINT, names.RECONCILE_HANDLED_CHECKPOINT]
        keys = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": own}}
        checkpoints = ["dynamodb:GetItem", "dynamodb:PutItem"]
        return [
            Statement("KeepCheckpoint", checkpoints, [self.arn], condition=keys),
            # The table's age tells when the pipeline was deployed first.
            Statement("ReadRecords", ["dynamodb:BatchGetItem", "dynamodb:DescribeTable"], [self.arn]),
            *(self._key.grant_use() if self._key else []),
        ]


def expiry_seconds(archive_retention_days: int) -> int:
    """Seconds that a record must live so that no replay and no reconciliation can apply its event again.

    A record keeps the expiry of its time. Where the retention is raised later, the archive keeps
    older events for longer than their records live.
    """
    return (max(archive_retention_days, names.STRIPE_LIST_DAYS) + _MARGIN_DAYS) * _DAY_SECONDS
