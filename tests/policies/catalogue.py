"""What generated policies and requests are made of: actions, resources, principals and context keys."""

from __future__ import annotations

from typing import Final

from tests.policies.request import Principal
from tests.policies.shipped import ACCOUNT, KEY_ARN, REGION

OTHER_ACCOUNT: Final = "210987654321"
BUS: Final = "aws.partner/stripe.com/ed_test_61TestSource"
# The actions on each kind of resource; each of them is authorised on that kind alone.
ACTIONS: Final = {
    "queue": (
        "ChangeMessageVisibility",
        "DeleteMessage",
        "GetQueueAttributes",
        "ReceiveMessage",
        "SendMessage",
    ),
    "topic": ("Publish", "GetTopicAttributes", "Subscribe"),
    "function": ("InvokeFunction", "GetFunctionConfiguration"),
    "object": ("DeleteObject", "GetObject", "PutObject"),
    "bucket": ("ListBucket", "GetBucketLocation"),
    "secret": ("DescribeSecret", "GetSecretValue", "PutSecretValue"),
    "table": ("BatchGetItem", "DeleteItem", "DescribeTable", "GetItem", "PutItem", "UpdateItem"),
    "key": ("Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey", "ReEncryptFrom", "ReEncryptTo"),
    "stream": ("CreateLogStream", "PutLogEvents"),
    "log group": ("PutRetentionPolicy",),
    "bus": ("PutEvents",),
    "role": ("GetRole", "PassRole"),
    "traces": ("PutTelemetryRecords", "PutTraceSegments"),
}
SERVICES: Final = {
    "queue": "sqs",
    "topic": "sns",
    "function": "lambda",
    "object": "s3",
    "bucket": "s3",
    "secret": "secretsmanager",
    "table": "dynamodb",
    "key": "kms",
    "stream": "logs",
    "log group": "logs",
    "bus": "events",
    "role": "iam",
    "traces": "xray",
}
# The kinds whose own policy MiniStack asks when a user or a role calls.
WITH_POLICY: Final = frozenset({"queue", "topic", "function", "object", "bucket", "secret", "key"})
_NAMES: Final = ("payments", "billing", "audit", "events", "reconcile")
_IN: Final = f"{REGION}:{ACCOUNT}"
RESOURCES: Final = {
    "queue": [
        *(f"arn:aws:sqs:{_IN}:huntaze-stripe-{name}-dlq-prod" for name in _NAMES),
        f"arn:aws:sqs:{_IN}:huntaze-stripe-events-prod.fifo",
    ],
    "topic": [f"arn:aws:sns:{_IN}:huntaze-stripe-alerts-prod", f"arn:aws:sns:{_IN}:alerts"],
    "function": [f"arn:aws:lambda:{_IN}:function:huntaze-stripe-{name}-prod" for name in _NAMES],
    "object": [
        f"arn:aws:s3:::huntaze-stripe-ledger-prod-{ACCOUNT}/audit/2026/01/evt_1.json",
        f"arn:aws:s3:::huntaze-stripe-ledger-prod-{ACCOUNT}/other",
        "arn:aws:s3:::huntaze-stripe-terraform-state/huntaze-stripe-prod/terraform.tfstate",
    ],
    "bucket": [
        f"arn:aws:s3:::huntaze-stripe-ledger-prod-{ACCOUNT}",
        "arn:aws:s3:::huntaze-stripe-terraform-state",
    ],
    "secret": [
        f"arn:aws:secretsmanager:{_IN}:secret:huntaze/stripe-eventbridge/prod-AbCdEf",
        f"arn:aws:secretsmanager:{_IN}:secret:huntaze/stripe-eventbridge/prod/database-url-AbCdEf",
    ],
    "table": [
        f"arn:aws:dynamodb:{_IN}:table/huntaze-stripe-idempotency-prod",
        f"arn:aws:dynamodb:{_IN}:table/other",
    ],
    "key": [KEY_ARN, KEY_ARN.replace("1234abcd", "4321abcd")],
    "stream": [
        f"arn:aws:logs:{_IN}:log-group:/aws/lambda/huntaze-stripe-{n}-prod:log-stream:1" for n in _NAMES
    ],
    "log group": [f"arn:aws:logs:{_IN}:log-group:/aws/lambda/huntaze-stripe-{name}-prod" for name in _NAMES],
    "bus": [f"arn:aws:events:{_IN}:event-bus/{BUS}", f"arn:aws:events:{_IN}:event-bus/default"],
    "role": [f"arn:aws:iam::{ACCOUNT}:role/huntaze-stripe-{name}-prod" for name in _NAMES],
    "traces": ["*"],
}
PRINCIPALS: Final = tuple(
    principal
    for account in (ACCOUNT, OTHER_ACCOUNT)
    for principal in (
        Principal("AssumedRole", account, "huntaze-stripe-payments-prod"),
        Principal("AssumedRole", account, "huntaze-stripe-audit-prod"),
        Principal("User", account, "operator"),
    )
)
ROOTS: Final = tuple(Principal("Root", account, "") for account in (ACCOUNT, OTHER_ACCOUNT))
GITHUB: Final = "token.actions.githubusercontent.com"
PROVIDERS: Final = tuple(
    Principal("WebIdentityUser", account, GITHUB) for account in (ACCOUNT, OTHER_ACCOUNT)
)
CALLING: Final = tuple(
    Principal("Service", "", f"{name}.amazonaws.com")
    for name in (
        "events",
        "lambda",
        "sqs",
        "cloudwatch",
        "scheduler",
        f"logs.{REGION}",
        "delivery.logs",
        "s3",
    )
)
_SOURCES: Final = (
    f"arn:aws:events:{_IN}:rule/{BUS}/huntaze-stripe-payments-prod",
    f"arn:aws:events:{_IN}:event-bus/{BUS}",
    f"arn:aws:cloudwatch:{_IN}:alarm:huntaze-stripe-parked-prod",
    f"arn:aws:lambda:{_IN}:function:huntaze-stripe-audit-prod",
    f"arn:aws:events:{REGION}:{OTHER_ACCOUNT}:rule/{BUS}/huntaze-stripe-payments-prod",
)
_STRING: Final = ("Equals", "NotEquals", "EqualsIgnoreCase", "NotEqualsIgnoreCase", "Like", "NotLike")
_ORDER: Final = ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
STRING: Final = tuple(f"String{name}" for name in _STRING)
# The operators of each type of key.
OPERATORS: Final = {
    "string": STRING,
    "arn": ("ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike", *STRING),
    "bool": ("Bool",),
    "number": tuple(f"Numeric{name}" for name in _ORDER),
    "date": tuple(f"Date{name}" for name in _ORDER),
    "address": ("IpAddress", "NotIpAddress"),
}
# Context keys: their type, and values to compare with.
KEYS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "aws:SourceArn": ("arn", _SOURCES),
    "aws:SourceAccount": ("string", (ACCOUNT, OTHER_ACCOUNT)),
    "aws:SecureTransport": ("bool", ("true", "false")),
    "aws:PrincipalOrgID": ("string", ("o-a1b2c3d4e5", "o-e5d4c3b2a1")),
    "aws:PrincipalArn": ("arn", tuple(principal.issuer for principal in PRINCIPALS)),
    "aws:PrincipalAccount": ("string", (ACCOUNT, OTHER_ACCOUNT)),
    "aws:PrincipalType": ("string", ("AssumedRole", "User")),
    "aws:SourceIp": ("address", ("203.0.113.0/24", "203.0.113.7", "10.0.0.0/8")),
    "aws:RequestedRegion": ("string", (REGION, "us-east-1")),
    "aws:MultiFactorAuthAge": ("number", ("0", "300", "3600", "86400")),
    "aws:TokenIssueTime": ("date", ("2026-01-01T00:00:00Z", "2026-06-30T12:00:00Z")),
    "aws:ViaAWSService": ("bool", ("true", "false")),
    "aws:CalledVia": ("string", ("athena.amazonaws.com", "cloudformation.amazonaws.com")),
    "aws:TagKeys": ("string", ("team", "environment", "Team")),
    "aws:ResourceTag/Component": ("string", ("stripe-eventbridge", "other")),
    "aws:ResourceTag/Environment": ("string", ("prod", "dev")),
    "aws:RequestTag/Component": ("string", ("stripe-eventbridge", "other")),
    "aws:RequestTag/Environment": ("string", ("prod", "dev")),
    "dynamodb:LeadingKeys": ("string", ("reconcile#checkpoint", "reconcile#handled", "redrive#run", "evt_1")),
    "dynamodb:Attributes": ("string", ("id", "status", "expiration")),
    "kms:ViaService": ("string", (f"sqs.{REGION}.amazonaws.com", f"s3.{REGION}.amazonaws.com")),
    "kms:CallerAccount": ("string", (ACCOUNT, OTHER_ACCOUNT)),
    "kms:EncryptionContext:aws:sqs:arn": ("arn", tuple(RESOURCES["queue"])),
    "kms:EncryptionContext:aws:logs:arn": ("arn", tuple(RESOURCES["log group"])),
    "kms:EncryptionContextKeys": ("string", ("aws:sqs:arn", "aws:logs:arn")),
    "s3:prefix": ("string", ("audit/", "audit/2026/", "")),
    "s3:max-keys": ("number", ("1", "1000")),
    "secretsmanager:VersionStage": ("string", ("AWSCURRENT", "AWSPREVIOUS")),
    "iam:PassedToService": ("string", ("lambda.amazonaws.com", "ecs.amazonaws.com")),
    "iam:PermissionsBoundary": (
        "arn",
        tuple(f"arn:aws:iam::{ACCOUNT}:policy/huntaze-github-boundary-{name}" for name in ("prod", "dev")),
    ),
    "kms:RequestAlias": ("string", ("alias/aws/dynamodb", "alias/huntaze-stripe-events-prod")),
    "lambda:FunctionArn": ("arn", tuple(RESOURCES["function"])),
    "sts:ExternalId": ("string", ("huntaze", "stripe")),
    f"{GITHUB}:aud": ("string", ("sts.amazonaws.com",)),
    f"{GITHUB}:sub": (
        "string",
        ("repo:huntaze/stripe-eventbridge:environment:prod", "repo:other/one:pull_request"),
    ),
}
# What the principal and the connection decide: a request does not set them.
NOT_SET: Final = frozenset(
    {"aws:securetransport", "aws:sourceip", "aws:requestedregion", "aws:principalarn", "aws:principalaccount"}
    | {"aws:principaltype"}
)
