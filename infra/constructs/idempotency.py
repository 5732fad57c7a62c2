"""The table of the events that the handlers have applied."""

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
from infra.policy import Statement
from infra.resources.account import Account
from infra.resources.base import Capability
from infra.resources.key import Key, read_with
from infra.resources.suppression import WITHOUT_KEY, suppress

_DAY_SECONDS: Final = 24 * 3600
# A replay may send events on the last day of their retention, and a reconciliation on their last day in
# Stripe's list. Then EventBridge retries for 1 day, and a dead-letter queue keeps them for 14: a record
# outlives all of it.
_MARGIN_DAYS: Final = 16


class IdempotencyTable(Capability):
    """The DynamoDB table of the idempotency records."""

    def __init__(self, scope: Construct, id_: str, *, account: Account, key: Key | None) -> None:
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
            # Without a key, DynamoDB encrypts with one that AWS owns.
            server_side_encryption=(
                DynamodbTableServerSideEncryption(enabled=True, kms_key_arn=key.arn) if key else None
            ),
            deletion_protection_enabled=account.protected,
            lifecycle=account.kept,
        )
        if key is None:
            suppress(table, "CKV_AWS_119", WITHOUT_KEY)
        self.name = table.name
        self.arn = table.arn

    def grant_read_write(self) -> list[Statement]:
        """Statements for a role that reads and writes idempotency records."""
        # TransactWriteItems needs the permissions of the writes in it.
        actions = ["dynamodb:DeleteItem", "dynamodb:UpdateItem"]
        access = Statement("KeepIdempotencyRecords", actions, [self.arn])
        return [access, *read_with(self._key)]

    def grant_redrive_run(self) -> list[Statement]:
        """Statements for a role that writes the item of the redrive runs alone."""
        # ForAllValues also matches a request without a key; this action always has one.
        keys = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [names.REDRIVE_RUN]}}
        access = Statement("KeepRun", ["dynamodb:UpdateItem"], [self.arn], condition=keys)
        return [access, *read_with(self._key)]

    def grant_ledger_lease(self) -> list[Statement]:
        """Statements for a role that holds the right to rewrite the ledger."""
        # ForAllValues also matches a request without a key; this action always has one.
        keys = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [names.LEDGER_REWRITE]}}
        access = Statement("HoldLedger", ["dynamodb:UpdateItem"], [self.arn], condition=keys)
        return [access, *read_with(self._key)]

    def grant_comparison(self, *, of_accounts: bool) -> list[Statement]:
        """Statements for a role that reads records and writes its checkpoints.

        Parameters
        ----------
        of_accounts
            Whether connected accounts have checkpoints, too.
        """
        own = [names.RECONCILE_CHECKPOINT, names.RECONCILE_HANDLED_CHECKPOINT]
        keys = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": own}}
        if of_accounts:
            each = [f"{key}#*" for key in own]
            keys = {
                "ForAllValues:StringLike": {
                    "dynamodb:LeadingKeys": [*own, *each, names.RECONCILE_LAST_ACCOUNT]
                }
            }
        checkpoints = ["dynamodb:GetItem", "dynamodb:PutItem"]
        return [
            Statement("KeepCheckpoint", checkpoints, [self.arn], condition=keys),
            # The creation time of the table is the first deploy.
            Statement("ReadRecords", ["dynamodb:BatchGetItem", "dynamodb:DescribeTable"], [self.arn]),
            *read_with(self._key),
        ]


def expiry_seconds(archive_retention_days: int) -> int:
    """Seconds that a record must live so that no replay or reconciliation applies its event again.

    A record keeps the expiry that it got when it was written. If the retention is raised later, the archive
    keeps older events for longer than their records live.
    """
    return (max(archive_retention_days, names.STRIPE_LIST_DAYS) + _MARGIN_DAYS) * _DAY_SECONDS
