"""The customer managed KMS key, where an environment asks for one."""

from collections.abc import Mapping, Sequence
from typing import Final

from cdktf_cdktf_provider_aws.kms_alias import KmsAlias
from cdktf_cdktf_provider_aws.kms_key import KmsKey
from constructs import Construct

from infra.names import PROJECT, archive_prefix
from infra.resources.account import Account
from infra.resources.base import Capability
from infra.resources.policy import Condition, Statement, document

# Days in which a deleted key can be restored. What it encrypted is lost with it: the maximum.
_DELETION_WINDOW_DAYS: Final = 30
_PARTNER: Final = "aws.partner/stripe.com"
_USE: Final = ("kms:Decrypt", "kms:GenerateDataKey")
_STORE: Final = (*_USE, "kms:ReEncryptFrom", "kms:ReEncryptTo")


class Key(Capability):
    """One key for bus, archive, events queue, table, ledger, logs, secret and function environments.

    Dead-letter queues and the alerts' topic do not use it: they must work when the key does not.

    The key policy names each service that acts by itself. DynamoDB, Secrets Manager, S3 and the
    environment of a function act for a caller, whose role gets its permission from `grant_use`. So does
    the mapping of a queue to a function, which acts with the function's role.
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

    def grant_use(self) -> list[Statement]:
        """Statements for a role that reads or writes what this key encrypts."""
        return [Statement("UseKey", _USE, [self.arn])]


def _policy(account: Account) -> list[Statement]:
    """The statements of the key's policy, after "Authorizing EventBridge to use a customer managed key",

    "Configure KMS permissions for AWS services" (SQS) and "Encrypt log data using KMS". Each condition is
    the encryption context with which the service that stores the data calls KMS; it does not rest on
    what EventBridge passes to that service.
    """
    # Those of an earlier event source, too: their archive keeps events that the key encrypted.
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
        # Without it nobody could ever change the key again; with it the account's IAM policies
        # decide, which is how the functions' roles come to use the key.
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
    # A key policy speaks of its own key: "*" is that key and no other.
    return Statement(sid, actions, ["*"], principal, condition or {})
