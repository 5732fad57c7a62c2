"""What Terraform creates, changes and deletes of a stack, and what it reads of a secret before that."""

from infra.deployment_roles.place import Place
from infra.deployment_roles.reads import ANY, of_key
from infra.policy import Statement


def writes(place: Place) -> list[Statement]:
    """The statements of a deploy, besides those of a refresh."""
    return [
        *_functions(place),
        *_roles(place),
        *_events(place),
        *_data(place),
        *_monitoring(place),
        *_key(place),
    ]


def _functions(place: Place) -> list[Statement]:
    ours = {"ArnLike": {"lambda:FunctionArn": place.functions}}
    return [
        Statement(
            "WriteFunctions",
            [
                "lambda:AddPermission",
                "lambda:CreateFunction",
                "lambda:DeleteFunction",
                "lambda:DeleteFunctionConcurrency",
                "lambda:DeleteFunctionEventInvokeConfig",
                "lambda:PutFunctionConcurrency",
                "lambda:PutFunctionEventInvokeConfig",
                "lambda:RemovePermission",
                "lambda:TagResource",
                "lambda:UpdateFunctionCode",
                "lambda:UpdateFunctionConfiguration",
            ],
            [place.functions],
        ),
        # Before it exists it has no id.
        Statement("CreateMappings", ["lambda:CreateEventSourceMapping"], ANY, condition=ours),
        Statement(
            "WriteMappings",
            ["lambda:DeleteEventSourceMapping", "lambda:UpdateEventSourceMapping"],
            [place.mappings],
            condition=ours,
        ),
        Statement("TagMappings", ["lambda:TagResource"], [place.mappings]),
        # Lambda reads the network of a function with the rights of who sets it; the subnets, too.
        Statement("ReadNetwork", ["ec2:DescribeSecurityGroups", "ec2:DescribeVpcs"], ANY),
    ]


def _roles(place: Place) -> list[Statement]:
    bounded = {"StringEquals": {"iam:PermissionsBoundary": place.boundary_arn}}
    services = ["lambda.amazonaws.com", "scheduler.amazonaws.com"]
    return [
        # No role that could do more than the boundary: with it, code on main could do anything.
        Statement(
            "WriteRoles",
            ["iam:CreateRole", "iam:DeleteRolePolicy", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"],
            [place.roles],
            condition=bounded,
            accepted={
                "MISMATCHED_TYPE_BUT_USABLE": "AWS's own examples compare the boundary with StringEquals"
            },
        ),
        Statement(
            "EndRoles",
            ["iam:DeleteRole", "iam:ListInstanceProfilesForRole", "iam:TagRole"],
            [place.roles],
        ),
        Statement(
            "PassRoles",
            ["iam:PassRole"],
            [place.roles],
            condition={"StringEquals": {"iam:PassedToService": services}},
        ),
    ]


def _events(place: Place) -> list[Statement]:
    return [
        Statement(
            "WriteEvents",
            [
                "events:CreateArchive",
                "events:CreateEventBus",
                "events:DeleteArchive",
                "events:DeleteEventBus",
                "events:DeleteRule",
                "events:PutRule",
                "events:PutTargets",
                "events:RemoveTargets",
                "events:TagResource",
                "events:UpdateArchive",
                "events:UpdateEventBus",
            ],
            [place.archives, place.buses, place.rules],
        ),
        Statement(
            "WriteSchedules",
            ["scheduler:CreateSchedule", "scheduler:DeleteSchedule", "scheduler:UpdateSchedule"],
            [place.schedules],
        ),
        # Cloud Control makes archives and queues with the rights that the other statements give on them.
        Statement(
            "UseCloudControl",
            [
                "cloudformation:CreateResource",
                "cloudformation:DeleteResource",
                "cloudformation:GetResourceRequestStatus",
                "cloudformation:UpdateResource",
            ],
            ANY,
        ),
        Statement(
            "WriteQueues",
            [
                "sqs:CreateQueue",
                "sqs:DeleteQueue",
                "sqs:GetQueueUrl",
                "sqs:SetQueueAttributes",
                "sqs:TagQueue",
                "sqs:UntagQueue",
            ],
            place.queues,
        ),
    ]


def _data(place: Place) -> list[Statement]:
    return [
        Statement(
            "WriteTable",
            [
                "dynamodb:CreateTable",
                "dynamodb:DeleteTable",
                "dynamodb:TagResource",
                "dynamodb:UpdateContinuousBackups",
                "dynamodb:UpdateTable",
                "dynamodb:UpdateTimeToLive",
            ],
            [place.table],
        ),
        Statement(
            "WriteLedgerBucket",
            [
                "s3:CreateBucket",
                "s3:DeleteBucket",
                "s3:DeleteBucketPolicy",
                # Destroying a bucket that is not protected empties it.
                "s3:ListBucketVersions",
                "s3:PutBucketObjectLockConfiguration",
                "s3:PutBucketOwnershipControls",
                "s3:PutBucketPolicy",
                "s3:PutBucketPublicAccessBlock",
                "s3:PutBucketTagging",
                "s3:PutBucketVersioning",
                "s3:PutEncryptionConfiguration",
                "s3:PutLifecycleConfiguration",
            ],
            [place.ledger],
            accepted={
                "RESOURCE_POLICY_PRIVILEGE_ESCALATION": "the stack writes the bucket's policy; the "
                "report of a plan shows whom it lets in"
            },
        ),
        Statement(
            "WriteLedgerTable",
            [
                "glue:CreateDatabase",
                "glue:CreateTable",
                "glue:DeleteDatabase",
                "glue:DeleteTable",
                "glue:UpdateDatabase",
                "glue:UpdateTable",
            ],
            [place.catalog, place.database, place.database_tables],
        ),
        Statement("EndLedgerDatabase", ["glue:DeleteDatabase"], [place.database_functions]),
        Statement("TagLedgerDatabase", ["glue:TagResource"], [place.database]),
        Statement("EmptyLedgerBucket", ["s3:DeleteObject", "s3:DeleteObjectVersion"], [f"{place.ledger}/*"]),
        Statement(
            "WriteSecrets",
            [
                "secretsmanager:CreateSecret",
                "secretsmanager:DeleteSecret",
                "secretsmanager:PutSecretValue",
                "secretsmanager:TagResource",
                "secretsmanager:UpdateSecret",
            ],
            [*place.secrets, *place.new_secrets],
        ),
        # Provider 5.100 refreshes a secret's version by reading it, and discards a write-only value.
        Statement("RefreshSecrets", ["secretsmanager:GetSecretValue"], place.secrets),
        # Terraform takes every label but AWSCURRENT from a version that it deletes; `secrets push` sets one.
        Statement("UnlabelSecrets", ["secretsmanager:UpdateSecretVersionStage"], place.secrets),
    ]


def _monitoring(place: Place) -> list[Statement]:
    return [
        Statement(
            "WriteMonitoring",
            [
                "cloudwatch:DeleteAlarms",
                "cloudwatch:DeleteDashboards",
                "cloudwatch:PutCompositeAlarm",
                "cloudwatch:PutDashboard",
                "cloudwatch:PutMetricAlarm",
                "cloudwatch:TagResource",
            ],
            [place.alarms, place.dashboard],
        ),
        Statement(
            "WriteTopic",
            [
                "sns:CreateTopic",
                "sns:DeleteTopic",
                "sns:SetTopicAttributes",
                "sns:Subscribe",
                "sns:TagResource",
            ],
            [place.topic],
        ),
        Statement(
            "WriteLogs",
            [
                "logs:AssociateKmsKey",
                "logs:CreateLogGroup",
                "logs:DeleteLogGroup",
                "logs:DisassociateKmsKey",
                "logs:PutRetentionPolicy",
            ],
            place.log_streams,
        ),
        Statement("TagLogs", ["logs:TagResource"], place.log_groups),
        Statement(
            "WriteLists",
            [
                "logs:DeleteQueryDefinition",
                "logs:DeleteResourcePolicy",
                "logs:PutQueryDefinition",
                "logs:PutResourcePolicy",
                # SNS names no resource of a subscription.
                "sns:Unsubscribe",
            ],
            ANY,
        ),
    ]


def _key(place: Place) -> list[Statement]:
    return [
        Statement("CreateKey", ["kms:CreateKey"], ANY, condition=of_key(place, kind="aws:RequestTag")),
        Statement(
            "TagKey", ["kms:TagResource"], [place.keys], condition=of_key(place, kind="aws:RequestTag")
        ),
        Statement(
            "WriteKey",
            [
                "kms:CreateAlias",
                "kms:DeleteAlias",
                "kms:EnableKeyRotation",
                "kms:PutKeyPolicy",
                "kms:ScheduleKeyDeletion",
            ],
            [place.keys],
            condition=of_key(place),
        ),
        Statement(
            "NameKey",
            ["kms:CreateAlias", "kms:DeleteAlias"],
            [place.alias],
            accepted={"RESOURCE_MISMATCH": "the key, with its condition, is in WriteKey"},
        ),
        # DynamoDB, Lambda and Secrets Manager use the key with the rights of who sets it on a resource.
        Statement(
            "EncryptTable",
            [
                "kms:CreateGrant",
                "kms:Decrypt",
                "kms:Encrypt",
                "kms:GenerateDataKey",
                "kms:ReEncryptFrom",
                "kms:ReEncryptTo",
            ],
            [place.keys],
            condition=of_key(place, via=["dynamodb"]),
        ),
        Statement(
            "EncryptSettings",
            ["kms:CreateGrant", "kms:Encrypt", "kms:GenerateDataKey"],
            [place.keys],
            condition=of_key(place, via=["lambda", "secretsmanager"]),
        ),
        Statement(
            "DecryptSecrets", ["kms:Decrypt"], [place.keys], condition=of_key(place, via=["secretsmanager"])
        ),
    ]
