"""AWS's limits: one row for each, with what the embedded AWS makes of it. docs/limits.md has the table.

The fixes take their numbers from these rows. A row with a `shape` takes its range from the published model
of the service's API (botocore's), unless it names another.

`EMULATOR_LIMITS`, a JSON object of row keys and numbers, changes what an account can have raised, or what a
test can't wait for: `{"lambda/concurrency": 150}`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from functions.shared.names import EVENT_BYTES
from ops.emulator import EmulatorError

VARIABLE: Final = "EMULATOR_LIMITS"
SERVICES: Final[Mapping[str, str]] = {
    "events": "EventBridge",
    "lambda": "Lambda",
    "sqs": "SQS",
    "dynamodb": "DynamoDB",
    "logs": "CloudWatch Logs",
    "cloudwatch": "CloudWatch",
    "scheduler": "EventBridge Scheduler",
    "secretsmanager": "Secrets Manager",
    "s3": "S3",
    "iam": "IAM",
}

EVENTS_PAGE: Final = "Amazon EventBridge quotas"
LAMBDA_PAGE: Final = "Lambda quotas"
MESSAGES_PAGE: Final = "Amazon SQS message quotas"
DYNAMODB_PAGE: Final = "Quotas in Amazon DynamoDB"
METRICS_PAGE: Final = "CloudWatch service quotas"
BUCKETS_PAGE: Final = "General purpose bucket naming rules"
IAM_PAGE: Final = "IAM and AWS STS quotas"
EMF_PAGE: Final = "Specification: Embedded metric format"

MINISTACK: Final = "MiniStack"
SIZES: Final = "`sizes`"
LIMITS_FIX: Final = "`limits`"
IN_FLIGHT_FIX: Final = "`in-flight`"
CONCURRENCY_FIX: Final = "`concurrency`"
VALIDATION: Final = "ValidationException"
LIMIT_EXCEEDED: Final = "LimitExceededException"
INVALID_VALUE: Final = "InvalidParameterValueException"
SQS_INVALID: Final = "InvalidParameterValue"
LOGS_INVALID: Final = "InvalidParameterException"
METRICS_INVALID: Final = "ValidationError"
WRONG_METRICS: Final = "InvalidParameterValue"
BUCKET_NAME: Final = "InvalidBucketName"
IAM_LIMIT: Final = "LimitExceeded"
IAM_INVALID: Final = "ValidationError"


@dataclass(frozen=True, kw_only=True)
class Limit:
    """One limit.

    Parameters
    ----------
    key
        Service, slash, name; unique.
    what
        What is limited.
    most, lowest
        The range of what is accepted, in `unit`; without `most` it is that of the `shape`.
    unit
        What is counted: bytes, seconds, …; empty if `what` says it.
    shape
        The name of the shape in the model of the service's API that this limit bounds.
    page
        Title of the page of AWS that states it.
    error
        The error code or error type with which AWS refuses what exceeds it; empty if it refuses nothing.
    by
        What enforces it here: MiniStack, or a fix in `ops/emulator/fixes`; empty if nothing does.
    note
        Why it is not enforced, or how far.
    """

    key: str
    what: str
    page: str
    most: int | None = None
    lowest: int | None = None
    unit: str = ""
    shape: str = ""
    error: str = ""
    by: str = LIMITS_FIX
    note: str = ""

    @property
    def service(self) -> str:
        """The service as in the names of botocore."""
        return self.key.partition("/")[0]

    @property
    def value(self) -> int:
        """The most that is accepted in this process, in `unit`.

        Raises
        ------
        EmulatorError
            EMULATOR_LIMITS is not a JSON object of row keys and numbers.
        """
        assert self.most is not None, f"{self.key} has the range of its shape"
        return changed().get(self.key, self.most)


_rows: list[Limit] = []


def _row(key: str, what: str, page: str, **rest: str | int) -> Limit:
    """Add a row to LIMITS."""
    row = Limit(key=key, what=what, page=page, **rest)  # type: ignore[arg-type] # mypy can't match ** to fields
    _rows.append(row)
    return row


@cache
def changed() -> Mapping[str, int]:
    """Return the numbers that EMULATOR_LIMITS changes, by row key; see `Limit.value` for the errors."""
    text = os.environ.get(VARIABLE) or "{}"
    try:
        values = json.loads(text)
        known = {row.key for row in LIMITS}
        right = all(key in known and type(value) is int for key, value in values.items())
    except (ValueError, AttributeError):
        right = False
    if not right:
        raise EmulatorError(f"invalid {VARIABLE} {text}: expected a JSON object of row keys and numbers")
    return dict(values)


# Events

ENTRY: Final = _row(
    "events/entry",
    "an entry of PutEvents, and the entries of one request",
    "Calculating PutEvents event entry size",
    most=EVENT_BYTES,
    unit="bytes",
    error=VALIDATION,
    by=SIZES,
)
_row(
    "events/entries",
    "entries of one PutEvents",
    "PutEvents",
    shape="PutEventsRequestEntryList",
    error=VALIDATION,
    by=MINISTACK,
)
PATTERN: Final = _row(
    "events/pattern",
    "an event pattern",
    EVENTS_PAGE,
    most=2_048,
    unit="characters",
    error=LIMIT_EXCEEDED,
    note="AWS documents the quota, and LimitExceededException for what exceeds a quota",
)
TARGETS: Final = _row("events/targets", "targets of a rule", EVENTS_PAGE, most=5, error=LIMIT_EXCEEDED)
BUS_RULES: Final = _row("events/rules", "rules of an event bus", EVENTS_PAGE, most=300, error=LIMIT_EXCEEDED)
_row(
    "events/rule-name", "the name of a rule", "PutRule", shape="RuleName", unit="characters", error=VALIDATION
)
_row(
    "events/target-retries",
    "retries of a target",
    "RetryPolicy",
    shape="MaximumRetryAttempts",
    error=VALIDATION,
)
_row(
    "events/target-age",
    "the age of an event that is tried again",
    "RetryPolicy",
    shape="MaximumEventAgeInSeconds",
    unit="seconds",
    error=VALIDATION,
)
_row(
    "events/throughput",
    "PutEvents and invocations per second",
    EVENTS_PAGE,
    by="",
    note="AWS delays what exceeds it; a rate of this machine would prove nothing about AWS's",
)

# Lambda

SYNCHRONOUS: Final = _row(
    "lambda/request",
    "the payload of a synchronous invocation",
    LAMBDA_PAGE,
    most=6 * 1024 * 1024,
    unit="bytes",
    error="RequestTooLargeException",
    by=SIZES,
)
RESPONSE: Final = _row(
    "lambda/response",
    "the response of a function",
    LAMBDA_PAGE,
    # What Lambda's error message states: 6 MiB and 100 bytes.
    most=6 * 1024 * 1024 + 100,
    unit="bytes",
    error="Function.ResponseSizeTooLarge",
    by=SIZES,
)
ASYNCHRONOUS: Final = _row(
    "lambda/event",
    "the payload of an asynchronous invocation",
    LAMBDA_PAGE,
    most=EVENT_BYTES,
    unit="bytes",
    error="RequestTooLargeException",
    by=SIZES,
)
ENVIRONMENT: Final = _row(
    "lambda/environment",
    "environment variables of a function, as JSON",
    LAMBDA_PAGE,
    most=4_096,
    unit="bytes",
    error=INVALID_VALUE,
)
ZIPPED: Final = _row(
    "lambda/zipped",
    "a .zip file in CreateFunction and UpdateFunctionCode",
    LAMBDA_PAGE,
    most=52_428_800,
    unit="bytes",
    error=INVALID_VALUE,
)
_row(
    "lambda/unzipped",
    "the code of a function and its layers, unzipped",
    LAMBDA_PAGE,
    most=262_144_000,
    unit="bytes",
    error=INVALID_VALUE,
    by=MINISTACK,
)
CONCURRENCY: Final = _row(
    "lambda/concurrency",
    "concurrent executions of an account (L-B99A9384)",
    LAMBDA_PAGE,
    most=1_000,
    error="TooManyRequestsException",
    by=CONCURRENCY_FIX,
    note="GetAccountSettings and Service Quotas give it; this machine runs fewer at once",
)
UNRESERVED: Final = _row(
    "lambda/unreserved",
    "executions that no function may reserve (the quota, if that is smaller)",
    "Configuring reserved concurrency for a function",
    most=100,
    error=INVALID_VALUE,
    by=CONCURRENCY_FIX,
)
FUNCTION_NAME: Final = _row(
    "lambda/name",
    "the name of a function",
    "CreateFunction",
    most=64,
    unit="characters",
    error=VALIDATION,
)
_row(
    "lambda/timeout",
    "the time-out of a function",
    LAMBDA_PAGE,
    # The model's number is that of functions on Lambda Managed Instances.
    lowest=1,
    most=900,
    shape="Timeout",
    unit="seconds",
    error=VALIDATION,
)
_row(
    "lambda/memory",
    "the memory of a function",
    LAMBDA_PAGE,
    # As above.
    lowest=128,
    most=10_240,
    shape="MemorySize",
    unit="MB",
    error=VALIDATION,
)
_row(
    "lambda/event-age",
    "the age of an asynchronous event",
    "PutFunctionEventInvokeConfig",
    shape="MaximumEventAgeInSeconds",
    unit="seconds",
    error=VALIDATION,
)
_row(
    "lambda/event-retries",
    "retries of an asynchronous event",
    "PutFunctionEventInvokeConfig",
    shape="MaximumRetryAttempts",
    error=VALIDATION,
)
_row(
    "lambda/batch",
    "the batch size of an event source mapping",
    "CreateEventSourceMapping",
    shape="BatchSize",
    error=VALIDATION,
)
SHORT_BATCH: Final = _row(
    "lambda/batch-without-window",
    "messages of a queue in a batch without batching window",
    "CreateEventSourceMapping",
    most=10,
    error=INVALID_VALUE,
)
FIFO_BATCH: Final = _row(
    "lambda/fifo-batch",
    "the batch size of an event source mapping of a FIFO queue",
    "CreateEventSourceMapping",
    most=10,
    error=INVALID_VALUE,
)
FIFO_WINDOW: Final = _row(
    "lambda/fifo-window",
    "the batching window of an event source mapping of a FIFO queue",
    "CreateEventSourceMapping",
    most=0,
    unit="seconds",
    error=INVALID_VALUE,
)
_row(
    "lambda/visibility",
    "the time-out of a function that a queue invokes",
    "Creating and configuring an Amazon SQS event source mapping",
    error=INVALID_VALUE,
    note="the queue's visibility timeout, when the mapping or the function is created or changed",
)
_row(
    "lambda/window",
    "the batching window of an event source mapping",
    "CreateEventSourceMapping",
    shape="MaximumBatchingWindowInSeconds",
    unit="seconds",
    error=VALIDATION,
)
_row(
    "lambda/mapping-concurrency",
    "the maximum concurrency of an event source mapping",
    "Configuring scaling behavior for SQS event source mappings",
    shape="MaximumConcurrency",
    error=VALIDATION,
    by=MINISTACK,
)
_row(
    "lambda/memory-used",
    "memory that a function uses",
    "Lambda quotas, Configure Lambda function memory",
    error="Runtime.OutOfMemory",
    by="`workers`",
    note="the memory that it is configured with, looked at every 50 ms",
)
POLICY: Final = _row(
    "lambda/policy",
    "the resource policy of a function, as JSON",
    LAMBDA_PAGE,
    most=20_480,
    unit="bytes",
    error="PolicyLengthExceededException",
)

# SQS

_row(
    "sqs/maximum",
    "MaximumMessageSize of a queue",
    MESSAGES_PAGE,
    lowest=1_024,
    most=EVENT_BYTES,
    unit="bytes",
    error="InvalidAttributeValue",
    by=MINISTACK,
)
_row(
    "sqs/message",
    "a message: body, and name, type and value of its attributes",
    MESSAGES_PAGE,
    most=EVENT_BYTES,
    unit="bytes, or MaximumMessageSize",
    error=SQS_INVALID,
    by=SIZES,
)
BATCH: Final = _row(
    "sqs/batch",
    "the messages of one SendMessageBatch",
    MESSAGES_PAGE,
    most=EVENT_BYTES,
    unit="bytes",
    error="BatchRequestTooLong",
    by=SIZES,
)
_row(
    "sqs/batch-entries",
    "messages of one batch",
    MESSAGES_PAGE,
    lowest=1,
    most=10,
    error="TooManyEntriesInBatchRequest",
    by=MINISTACK,
)
ATTRIBUTES: Final = _row(
    "sqs/attributes", "attributes of a message", MESSAGES_PAGE, most=10, error=SQS_INVALID, by=IN_FLIGHT_FIX
)
IN_FLIGHT: Final = _row(
    "sqs/in-flight",
    "messages in flight of a standard queue",
    "Amazon SQS standard queue quotas",
    most=120_000,
    error="OverLimit",
    by=IN_FLIGHT_FIX,
    note="with long polling the answer is empty",
)
FIFO_IN_FLIGHT: Final = _row(
    "sqs/fifo-in-flight",
    "messages in flight of a FIFO queue",
    "Amazon SQS FIFO queue quotas",
    most=120_000,
    by=IN_FLIGHT_FIX,
    note="the answer is empty; the quota was 20,000 before",
)
_row(
    "sqs/group",
    "a message group while a message of it is in flight",
    "FIFO queue delivery logic in Amazon SQS",
    by=MINISTACK,
    note="its other messages wait",
)
VISIBILITY: Final = _row(
    "sqs/visibility",
    "the visibility timeout, from the receipt",
    "Amazon SQS visibility timeout",
    lowest=0,
    most=43_200,
    unit="seconds",
    error=SQS_INVALID,
    by=IN_FLIGHT_FIX,
    note="of a queue: InvalidAttributeValue",
)
WAIT: Final = _row(
    "sqs/wait", "the wait of a long poll", "ReceiveMessage", lowest=0, most=20, unit="seconds",
    error=SQS_INVALID, by=IN_FLIGHT_FIX,
)  # fmt: skip
DELAY: Final = _row(
    "sqs/delay",
    "the delay of a message",
    MESSAGES_PAGE,
    lowest=0,
    most=900,
    unit="seconds",
    error=SQS_INVALID,
    by=IN_FLIGHT_FIX,
    note="of a queue: InvalidAttributeValue",
)
_row(
    "sqs/retention",
    "the retention of a queue",
    MESSAGES_PAGE,
    lowest=60,
    most=1_209_600,
    unit="seconds",
    error="InvalidAttributeValue",
    by=MINISTACK,
)
_row(
    "sqs/receives",
    "maxReceiveCount of a redrive policy",
    "SetQueueAttributes",
    lowest=1,
    most=1_000,
    error="InvalidAttributeValue",
    by=MINISTACK,
)
QUEUE_NAME: Final = _row(
    "sqs/name",
    "the name of a queue",
    "Amazon SQS standard queue quotas",
    most=80,
    unit="characters",
    error=SQS_INVALID,
    by=IN_FLIGHT_FIX,
)
QUEUE_POLICY: Final = _row(
    "sqs/policy",
    "the policy of a queue",
    "Amazon SQS policy quotas",
    most=8_192,
    unit="bytes",
    error="InvalidAttributeValue",
    by=IN_FLIGHT_FIX,
)

# DynamoDB

_row(
    "dynamodb/item",
    "an item: names and values of its attributes",
    DYNAMODB_PAGE,
    most=409_600,
    unit="bytes",
    error=VALIDATION,
    by=MINISTACK,
)
_row(
    "dynamodb/actions",
    "actions of a transaction",
    DYNAMODB_PAGE,
    lowest=1,
    most=100,
    error=VALIDATION,
    by=MINISTACK,
)
_row(
    "dynamodb/transaction",
    "the items of a transaction",
    DYNAMODB_PAGE,
    most=4 * 1024 * 1024,
    unit="bytes",
    error=VALIDATION,
    by=MINISTACK,
    note="measured on the request, which is about 1 % larger",
)
_row(
    "dynamodb/condition",
    "a write whose condition fails",
    "PutItem, TransactWriteItems",
    error="ConditionalCheckFailedException, TransactionCanceledException",
    by=MINISTACK,
    note="with the item, if ReturnValuesOnConditionCheckFailure asks for it",
)
_row(
    "dynamodb/conflict",
    "a write during a transaction on the same item",
    "Transactional read and write API operations",
    error="TransactionConflictException",
    by="",
    note="the embedded AWS does one request after the other; tests/functions/test_claims.py injects it",
)
EXPIRY: Final = _row(
    "dynamodb/expiry",
    "the time from an item's expiry to its deletion",
    "Using time to live (TTL) in DynamoDB",
    # "Within a few days of their expiration".
    most=48 * 3600,
    unit="seconds",
    by="`expiry`",
    note="it is read until then",
)
_row(
    "dynamodb/throughput",
    "capacity of a table and of a partition",
    DYNAMODB_PAGE,
    error="ProvisionedThroughputExceededException",
    by="",
    note="the table is on demand; chaos injects the error",
)

# CloudWatch Logs

LOG_EVENT: Final = _row(
    "logs/event",
    "a log event: its message and 26 bytes",
    "CloudWatch Logs quotas",
    most=1_048_576,
    unit="bytes",
    error=LOGS_INVALID,
    note="a longer line of a function becomes several",
)
LOG_BATCH: Final = _row(
    "logs/batch",
    "the log events of one PutLogEvents, each with 26 bytes more",
    "PutLogEvents",
    most=1_048_576,
    unit="bytes",
    error=LOGS_INVALID,
)
_row(
    "logs/events",
    "log events of one PutLogEvents",
    "PutLogEvents",
    shape="InputLogEvents",
    error=LOGS_INVALID,
)
_row(
    "logs/retention",
    "the retention of a log group (one of 22 numbers)",
    "PutRetentionPolicy",
    lowest=1,
    most=3_653,
    unit="days",
    error=LOGS_INVALID,
    by=MINISTACK,
)
_row(
    "logs/policy",
    "a resource policy",
    "PutResourcePolicy",
    shape="PolicyDocument",
    unit="characters",
    error=LOGS_INVALID,
)

# CloudWatch

METRICS: Final = _row(
    "cloudwatch/metrics", "metrics of one PutMetricData", METRICS_PAGE, most=1_000, error=WRONG_METRICS
)
DIMENSIONS: Final = _row(
    "cloudwatch/dimensions", "dimensions of a metric", METRICS_PAGE, most=30, error=WRONG_METRICS
)
EMF_METRICS: Final = _row(
    "cloudwatch/embedded-metrics",
    "metrics of a directive in a log line",
    EMF_PAGE,
    most=100,
    by="`metrics`",
    note="the line gives no metric",
)
EMF_DIMENSIONS: Final = _row(
    "cloudwatch/embedded-dimensions",
    "dimensions of a metric in a log line",
    EMF_PAGE,
    most=30,
    by="`metrics`",
    note="the line gives no metric",
)
_row(
    "cloudwatch/alarm-name",
    "the name of an alarm",
    "PutMetricAlarm",
    shape="AlarmName",
    unit="characters",
    error=METRICS_INVALID,
)
_row(
    "cloudwatch/actions",
    "actions of an alarm for one state",
    METRICS_PAGE,
    shape="ResourceList",
    error=METRICS_INVALID,
)
DAY: Final = _row(
    "cloudwatch/evaluation",
    "periods times period of an alarm with a period below an hour",
    "PutMetricAlarm",
    most=86_400,
    unit="seconds",
    error=METRICS_INVALID,
)
WEEK: Final = _row(
    "cloudwatch/long-evaluation",
    "periods times period of an alarm with a longer period",
    "PutMetricAlarm",
    most=604_800,
    unit="seconds",
    error=METRICS_INVALID,
)
MATH: Final = _row(
    "cloudwatch/expression",
    "metrics of an alarm on a metric math expression",
    "Limits (of CloudWatch alarms)",
    most=10,
    error=METRICS_INVALID,
)
_row(
    "cloudwatch/rule",
    "the rule of a composite alarm",
    "PutCompositeAlarm",
    shape="AlarmRule",
    unit="characters",
    error=METRICS_INVALID,
)
CHILDREN: Final = _row(
    "cloudwatch/children",
    "alarms in the rule of a composite alarm",
    METRICS_PAGE,
    most=100,
    error=METRICS_INVALID,
)

# EventBridge Scheduler

_row(
    "scheduler/name",
    "the name of a schedule",
    "CreateSchedule",
    shape="Name",
    unit="characters",
    error=VALIDATION,
)
_row(
    "scheduler/retries",
    "retries of a schedule",
    "RetryPolicy (EventBridge Scheduler)",
    shape="MaximumRetryAttempts",
    error=VALIDATION,
)
_row(
    "scheduler/age",
    "the age of an invocation of a schedule",
    "RetryPolicy (EventBridge Scheduler)",
    shape="MaximumEventAgeInSeconds",
    unit="seconds",
    error=VALIDATION,
)
EXPRESSION: Final = _row(
    "scheduler/expression",
    "a schedule expression: `rate(…)`, `cron(…)` or `at(…)`",
    "Schedule types in EventBridge Scheduler",
    most=256,
    unit="characters, and its syntax",
    error=VALIDATION,
)
_row(
    "scheduler/input",
    "the input of a schedule's target",
    "Target (EventBridge Scheduler)",
    by="",
    note="AWS's pages state no size",
)

# Secrets Manager

_row(
    "secretsmanager/value",
    "the value of a secret",
    "AWS Secrets Manager quotas",
    shape="SecretStringType",
    unit="bytes",
    error=VALIDATION,
)
_row(
    "secretsmanager/name",
    "the name of a secret",
    "CreateSecret",
    shape="NameType",
    unit="characters",
    error=VALIDATION,
)
RECOVERY: Final = _row(
    "secretsmanager/recovery",
    "the recovery window, in which the name of a deleted secret is taken",
    "DeleteSecret",
    lowest=7,
    most=30,
    unit="days",
    error="InvalidRequestException",
)

# S3

_row(
    "s3/name",
    "the name of a bucket, and its characters",
    BUCKETS_PAGE,
    lowest=3,
    most=63,
    unit="characters",
    error=BUCKET_NAME,
    by=MINISTACK,
)
_row(
    "s3/reserved",
    "reserved prefixes and suffixes of the name of a bucket",
    BUCKETS_PAGE,
    error=BUCKET_NAME,
)

# IAM

INLINE_POLICIES: Final = _row(
    "iam/inline",
    "the inline policies of a role, together",
    IAM_PAGE,
    most=10_240,
    unit="characters without white space",
    error=IAM_LIMIT,
)
MANAGED_POLICY: Final = _row(
    "iam/managed",
    "a managed policy",
    IAM_PAGE,
    most=6_144,
    unit="characters without white space",
    error=IAM_LIMIT,
)
ATTACHED_POLICIES: Final = _row(
    "iam/attached", "managed policies of a role", IAM_PAGE, most=10, error=IAM_LIMIT
)
TRUST_POLICY: Final = _row(
    "iam/trust",
    "the trust policy of a role",
    IAM_PAGE,
    most=2_048,
    unit="characters without white space",
    error=IAM_LIMIT,
)

LIMITS: Final = tuple(_rows)
