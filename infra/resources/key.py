"""The customer managed KMS key of `create_kms_key`."""

from collections.abc import Mapping, Sequence
from typing import Final

from cdktf_cdktf_provider_aws.kms_alias import KmsAlias
from cdktf_cdktf_provider_aws.kms_key import KmsKey
from constructs import Construct

from infra.names import PROJECT, archive_prefix
from infra.policy import Condition, Statement, document
from infra.resources.account import Account
from infra.resources.base import Capability

# Days in which a deleted key can be restored: the maximum, because data is lost with its key.
_DELETION_WINDOW_DAYS: Final = 30
_PARTNER: Final = "aws.partner/stripe.com"
_USE: Final = ("kms:Decrypt", "kms:GenerateDataKey")
_STORE: Final = (*_USE, "kms:ReEncryptFrom", "kms:ReEncryptTo")


class Key(Capability):
    """One key for bus, archive, events queue, table, ledger, logs, secrets and environment variables.

    Dead-letter queues and the topic of the alarms do not use it, because they must work without the key.

    The key policy allows the services that call KMS themselves. DynamoDB, Secrets Manager, S3, Lambda's
    environment variables and event source mappings use the permissions of a role, which come from
    `read_with` and `write_with`.
    """

    def __init__(self, scope: Construct, id_: str, *, account: Account) -> None:
        super().__init__(scope, id_)
        key = self.add(
            KmsKey,
            "",
            description=f"Stripe pipeline of {account.environment}",
            enable_key_rotation=True,
            deletion_window_in_days=_DELETION_WINDOW_DAYS,
            policy=document(*_policy(account)),
            lifecycle=account.kept,
        )
        self.add(KmsAlias, "alias", name=f"alias/{account.name('events')}", target_key_id=key.key_id)
        self.arn = key.arn


def read_with(key: Key | None) -> list[Statement]:
    """Statements for a role that reads what a key encrypts, or changes items; none without a key."""
    return [Statement("ReadWithKey", ["kms:Decrypt"], [key.arn])] if key else []


def write_with(key: Key | None) -> list[Statement]:
    """Statements for a role that writes objects or messages that a key encrypts; none without a key.

    Sources: "Configure KMS permissions for AWS services" (Amazon SQS), which a producer needs both for, and
    "Using server-side encryption with AWS KMS keys" (Amazon S3).
    """
    return [*read_with(key), Statement("WriteWithKey", ["kms:GenerateDataKey"], [key.arn])] if key else []


def _policy(account: Account) -> list[Statement]:
    """The statements of the key policy.

    They follow "Authorizing EventBridge to use a customer managed key", "Configure KMS permissions for AWS
    services" (Amazon SQS) and "Encrypt log data using KMS" (CloudWatch Logs). Each condition is the
    encryption context of the service that stores the data.
    """
    # Of an earlier event source too: its archive keeps events that the key encrypted.
    stored_events = {
        "ArnLike": {
            "kms:EncryptionContext:aws:events:event-bus:arn": [
                account.bus_arn(f"{_PARTNER}/*"),
                account.arn("events", f"archive/{archive_prefix(account.environment)}*"),
            ]
        }
    }
    queues = account.arn("sqs", f"{account.name('*')}*")
    log_groups = [
        account.arn("logs", f"log-group:/aws/lambda/{account.name('*')}"),
        account.arn("logs", f"log-group:/aws/events/{PROJECT}-{account.environment}"),
    ]
    root = {"AWS": f"arn:{account.partition}:iam::{account.id}:root"}
    return [
        # Without it nobody could change the key. With it IAM policies of the account apply to the key, which
        # lets the functions' roles use it.
        _allow("AccountAdministers", root, ["kms:*"]),
        _allow("EventBridgeDescribes", _service("events"), ["kms:DescribeKey"]),
        _allow("EventBridgeStores", _service("events"), _STORE, stored_events),
        _allow(
            "EventBridgeSends",
            _service("events"),
            _USE,
            {"ArnLike": {"kms:EncryptionContext:aws:sqs:arn": queues}},
        ),
        _allow(
            "LogsStores",
            _service(f"logs.{account.region}"),
            [*_STORE, "kms:DescribeKey", "kms:Encrypt"],
            {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": log_groups}},
        ),
    ]


def _service(name: str) -> Mapping[str, str]:
    return {"Service": f"{name}.amazonaws.com"}


def _allow(
    sid: str, principal: Mapping[str, str], actions: Sequence[str], condition: Condition | None = None
) -> Statement:
    # In a key policy "*" is that key alone.
    return Statement(sid, actions, ["*"], principal, condition or {})
