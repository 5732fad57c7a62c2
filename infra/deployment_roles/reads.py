"""What is read of a deployed stack: by Terraform, to compare it with the state, and before an apply."""

from collections.abc import Sequence
from typing import Final

from infra.deployment_roles.place import Place
from infra.names import COMPONENT
from infra.policy import Condition, Statement

# These actions have no resource level (Service Authorization Reference).
ANY: Final = ("*",)


def reads(place: Place) -> list[Statement]:
    """The statements of a refresh: all of the configuration, no customer data and no secret value."""
    return [
        Statement(
            "ReadFunctions",
            [
                "lambda:GetFunction",
                "lambda:GetFunctionCodeSigningConfig",
                "lambda:GetFunctionEventInvokeConfig",
                "lambda:GetPolicy",
                "lambda:ListVersionsByFunction",
            ],
            [place.functions],
        ),
        # Whether an apply would fail half-way: see ops/preflight.py.
        Statement("CheckConcurrency", ["lambda:GetFunctionConcurrency"], [place.functions]),
        Statement("CheckEventSource", ["events:DescribeEventSource"], [place.event_sources]),
        Statement("CheckSubscribers", ["sns:ListSubscriptionsByTopic"], [place.topic]),
        Statement(
            "CheckNetwork",
            ["ec2:DescribeRouteTables", "ec2:DescribeSubnets", "ec2:DescribeVpcEndpoints"],
            ANY,
        ),
        Statement("ReadMappings", ["lambda:GetEventSourceMapping", "lambda:ListTags"], [place.mappings]),
        Statement(
            "ReadRoles",
            ["iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies"],
            [place.roles],
        ),
        Statement("ReadQueues", ["sqs:GetQueueAttributes", "sqs:ListQueueTags"], place.queues),
        Statement(
            "ReadEvents",
            [
                "events:DescribeArchive",
                "events:DescribeEventBus",
                "events:DescribeRule",
                "events:ListTagsForResource",
                "events:ListTargetsByRule",
            ],
            [place.archives, place.buses, place.rules],
        ),
        Statement("ReadSchedules", ["scheduler:GetSchedule"], [place.schedules]),
        Statement(
            "ReadTable",
            [
                "dynamodb:DescribeContinuousBackups",
                "dynamodb:DescribeTable",
                "dynamodb:DescribeTimeToLive",
                "dynamodb:ListTagsOfResource",
            ],
            [place.table],
        ),
        Statement("ReadLedgerBucket", _OF_BUCKET, [place.ledger]),
        # Glue checks an action on a table on its database and the catalog, too.
        Statement(
            "ReadLedgerTable",
            ["glue:GetDatabase", "glue:GetPartitionIndexes", "glue:GetTable"],
            [place.catalog, place.database, place.database_tables],
        ),
        Statement("ReadLedgerTableTags", ["glue:GetTags"], [place.database]),
        Statement("ReadTopic", ["sns:GetTopicAttributes", "sns:ListTagsForResource"], [place.topic]),
        Statement(
            "ReadMonitoring",
            ["cloudwatch:GetDashboard", "cloudwatch:ListTagsForResource"],
            [place.alarms, place.dashboard],
        ),
        Statement("ReadLogTags", ["logs:ListTagsForResource"], place.log_groups),
        Statement(
            "ReadLists",
            [
                # Its resources are Cloud Control's; what a handler reads is asked on the resource itself.
                "cloudformation:GetResource",
                # On composite alarms it works for all alarms alone (DescribeAlarms).
                "cloudwatch:DescribeAlarms",
                "kms:ListAliases",
                # The quota of executions.
                "lambda:GetAccountSettings",
                "logs:DescribeLogGroups",
                "logs:DescribeQueryDefinitions",
                "logs:DescribeResourcePolicies",
                # SNS names no resource of a subscription.
                "sns:GetSubscriptionAttributes",
            ],
            ANY,
            accepted=dict.fromkeys(
                ("RESOURCE_STAR", "CKV_AWS_355"),
                "DescribeAlarms finds composite alarms with all alarms alone",
            ),
        ),
        Statement(
            "ReadSecrets",
            [
                "secretsmanager:DescribeSecret",
                "secretsmanager:GetResourcePolicy",
                # Whether what Terraform wrote is still there: see ops/secret_versions.
                "secretsmanager:ListSecretVersionIds",
            ],
            place.secrets,
        ),
        Statement(
            "ReadKey",
            [
                "kms:DescribeKey",
                "kms:GetKeyPolicy",
                "kms:GetKeyRotationStatus",
                "kms:ListResourceTags",
            ],
            [place.keys],
            condition=of_key(place),
        ),
        # The variables of functions, which are read for a comparison.
        Statement("DecryptSettings", ["kms:Decrypt"], [place.keys], condition=of_key(place, via=["lambda"])),
        # The provider compares a table's key with DynamoDB's own.
        Statement(
            "ReadDefaultKey",
            ["kms:DescribeKey"],
            [place.keys],
            condition={"StringEquals": {"kms:RequestAlias": "alias/aws/dynamodb"}},
        ),
    ]


def of_key(place: Place, *, kind: str = "aws:ResourceTag", via: Sequence[str] = ()) -> Condition:
    """The condition that a key is the stack's own.

    Parameters
    ----------
    kind
        Whose tags say so: those of the key, or those that it is created with.
    via
        The only services that may use the key for the caller.
    """
    own = {f"{kind}/Component": COMPONENT, f"{kind}/Environment": place.environment}
    services = [f"{service}.{place.region}.amazonaws.com" for service in via]
    return {"StringEquals": {**own, **({"kms:ViaService": services} if via else {})}}


_OF_BUCKET: Final = (
    "s3:GetAccelerateConfiguration",
    "s3:GetBucketAcl",
    "s3:GetBucketCORS",
    "s3:GetBucketLogging",
    "s3:GetBucketObjectLockConfiguration",
    "s3:GetBucketOwnershipControls",
    "s3:GetBucketPolicy",
    "s3:GetBucketPublicAccessBlock",
    "s3:GetBucketRequestPayment",
    "s3:GetBucketTagging",
    "s3:GetBucketVersioning",
    "s3:GetBucketWebsite",
    "s3:GetEncryptionConfiguration",
    "s3:GetLifecycleConfiguration",
    "s3:GetReplicationConfiguration",
    "s3:ListBucket",
)
