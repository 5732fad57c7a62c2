"""What each plan of the test data changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.plans import edits
from tests.plans.edits import Edit, put, put_in, remove, statement, statements, together

PLAIN: Final = {
    "HUNTAZE_API_URL": "https://api.dev.huntaze.com",
    "ALERT_EMAILS": "on-call@huntaze.com,lead@huntaze.com",
    "ARCHIVE_RETENTION_DAYS": "30",
    "LOG_RETENTION_DAYS": "30",
    "AUTO_REDRIVE": "true",
    "PAYMENTS_RESERVED_CONCURRENCY": "20",
    "BILLING_RESERVED_CONCURRENCY": "20",
    "SECRET_RECOVERY_DAYS": "30",
    "LEDGER_EXPIRATION_DAYS": "2557",
    "DELETION_PROTECTION": "true",
}
BASES: Final[Mapping[str, Mapping[str, str]]] = {
    "plain": PLAIN,
    "keyed": {**PLAIN, "CREATE_KMS_KEY": "true", "LEDGER_OBJECT_LOCK_DAYS": "30", "BUS_LOGS": "true"},
}
HOSTILE: Final = (
    "`` @huntaze/everyone ``` https://evil.example #1 <img src=x onerror=y> --> | [a](b) </details> ![c](d)"
)
# The digests of no code.
DIGEST: Final = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
SHA: Final = "0a1b2c3d"
EVENTS_POLICY: Final = "aws_sqs_queue_policy.events_queue_policy"
BUCKET: Final = "aws_s3_bucket.ledger_bucket"
RULE: Final = "aws_cloudwatch_event_rule.payments_rule"
TARGET: Final = "aws_cloudwatch_event_target.payments_rule_target"
QUEUE: Final = "aws_cloudcontrolapi_resource.events_queue"
ARCHIVE: Final = "aws_cloudcontrolapi_resource.events_archive"


@dataclass(frozen=True)
class Variant:
    """One change: of settings, of the synthesised Terraform, or a destroy."""

    name: str
    settings: Mapping[str, str] = field(default_factory=dict)
    edit: Edit = edits.nothing
    base: str = "plain"
    destroy: bool = False


SAFE: Final = (
    Variant("nothing"),
    Variant("memory-and-logs", {"PAYMENTS_MEMORY_MB": "512", "LOG_RETENTION_DAYS": "90"}),
    Variant("links", {"REPOSITORY_URL": "https://github.com/huntaze/pipeline"}, edits.widget),
    Variant(
        "more-alarms",
        {"HEARTBEAT_MINUTES": "60", "ALERT_EMAILS": "a@x.com,on-call@huntaze.com,lead@huntaze.com"},
    ),
    Variant(
        "rewritten",
        edit=together(
            edits.reorder(EVENTS_POLICY),
            edits.reorder("aws_iam_role_policy.payments_role_policy"),
            put("aws_iam_role.audit_role", tags={"Owner": HOSTILE}, description=HOSTILE),
        ),
    ),
)
DANGEROUS: Final = (
    Variant("unrouted-and-archive", {"ARCHIVE_RETENTION_DAYS": "3"}, edits.route("charge.failed")),
    Variant("object-lock", {"LEDGER_OBJECT_LOCK_DAYS": "365"}),
    Variant(
        "another-source",
        {"STRIPE_EVENT_SOURCE_NAME": "aws.partner/stripe.com/ed_test_61Another00000000000000000"},
        edits.unprotected,
    ),
    Variant(
        "live-elsewhere",
        {
            "LIVEMODE": "true",
            "HUNTAZE_API_URL": "https://api.huntaze.example",
            "ORDER": "off",
        },
    ),
    Variant(
        "open-policies",
        edit=together(
            statement(
                EVENTS_POLICY, Principal="*", Action=["sqs:SendMessage", "sqs:ReceiveMessage"], Condition={}
            ),
            statements(
                "aws_s3_bucket_policy.ledger_bucket_policy",
                lambda found: found.append(
                    {
                        "Sid": "Partner",
                        "Effect": "Allow",
                        "Principal": {"AWS": "arn:aws:iam::999999999999:root"},
                        "Action": "s3:GetObject",
                        "Resource": "arn:aws:s3:::huntaze-stripe-ledger-dev-000000000000/*",
                    }
                ),
            ),
            statement("aws_iam_role_policy.billing_role_policy", Action="logs:*", Resource="*"),
        ),
    ),
)
OTHERS: Final = (
    Variant(
        "disabled", edit=together(put(RULE, state="DISABLED"), edits.route("charge.refunded", "billing"))
    ),
    Variant(
        "moved",
        edit=together(
            edits.route("charge.succeeded", "billing"), edits.route("customer.created", "billing", "/x")
        ),
    ),
    Variant(
        "twice",
        edit=edits.types("billing", lambda found: [*found, "charge.succeeded"]),
    ),
    Variant(
        "filtered",
        edit=together(
            put_in(RULE, "event_pattern", detail={"livemode": [True]}),
            edits.types("billing", lambda _found: [{"prefix": "invoice."}]),
            edits.types("audit_payments", lambda _found: [{"wildcard": "charge.*"}]),
        ),
    ),
    Variant(
        "removed",
        edit=together(
            edits.unprotected,
            remove(
                TARGET,
                "aws_lambda_permission.billing_rule_permission",
                "aws_cloudwatch_metric_alarm.alarm_redrive_left",
                "aws_sns_topic_subscription.alerts_email_lead_huntaze_com_4f8086d8",
                "aws_s3_bucket_lifecycle_configuration.ledger_bucket_lifecycle",
                "aws_lambda_event_source_mapping.audit_function_source",
                "aws_s3_bucket_public_access_block.ledger_bucket_public_access",
                "aws_lambda_function_event_invoke_config.billing_function_async",
            ),
            put("aws_cloudwatch_event_target.billing_rule_target", dead_letter_config=None),
            put("aws_cloudwatch_metric_alarm.alarm_payments_errors", actions_enabled=False),
            put("aws_cloudwatch_metric_alarm.alarm_billing_errors", alarm_actions=[]),
            edits.deaf,
        ),
    ),
    Variant(
        "retentions",
        {"LOG_RETENTION_DAYS": "7", "LEDGER_EXPIRATION_DAYS": "365", "SECRET_RECOVERY_DAYS": "7"},
        together(
            put_in(QUEUE, "desired_state", MessageRetentionPeriod=3600, SqsManagedSseEnabled=False),
            put_in(ARCHIVE, "desired_state", EventPattern={"detail-type": ["invoice.paid"]}),
            put(
                "aws_dynamodb_table.idempotency",
                point_in_time_recovery={"enabled": False},
                deletion_protection_enabled=False,
                ttl={"enabled": False, "attribute_name": "expires_at"},
            ),
            put(
                "aws_s3_bucket_versioning.ledger_bucket_versioning",
                versioning_configuration={"status": "Suspended"},
            ),
            put(BUCKET, force_destroy=True),
            put("aws_secretsmanager_secret.secret_database", recovery_window_in_days=0),
        ),
    ),
    Variant(
        "retries",
        {"MAX_EVENT_AGE_SECONDS": "900"},
        together(
            put_in(TARGET, "retry_policy", maximum_retry_attempts=0, maximum_event_age_in_seconds=60),
            put("aws_lambda_function_event_invoke_config.billing_function_async", maximum_retry_attempts=0),
            put_in(QUEUE, "desired_state", VisibilityTimeout=30),
            edits.fewer_receives,
            put("aws_lambda_function.audit_function", timeout=10),
        ),
    ),
    Variant(
        "receives", edit=put_in(QUEUE, "desired_state", RedrivePolicy=None, FifoThroughputLimit="perQueue")
    ),
    Variant(
        "concurrency",
        {"PAYMENTS_RESERVED_CONCURRENCY": "0", "BILLING_RESERVED_CONCURRENCY": "9"},
        put("aws_lambda_event_source_mapping.audit_function_source", enabled=False),
    ),
    Variant(
        "rights",
        edit=together(
            statements(
                "aws_iam_role.payments_role",
                lambda found: found[0]["Principal"].update({"AWS": "arn:aws:iam::999999999999:root"}),
                "assume_role_policy",
            ),
            statements(
                "aws_iam_role_policy.payments_role_policy",
                lambda found: found.append(
                    {
                        "Sid": "More",
                        "Effect": "Allow",
                        "Action": ["dynamodb:Scan"],
                        "Resource": "${aws_dynamodb_table.idempotency.arn}",
                    }
                ),
            ),
            edits.without("aws_s3_bucket_policy.ledger_bucket_policy", "DenyPlainText"),
            edits.without("aws_sqs_queue_policy.payments_dlq_policy", "AllowEventBridge"),
            put("aws_lambda_permission.billing_rule_permission", principal="*", source_arn=None),
            statement(
                EVENTS_POLICY,
                Condition={"ArnLike": {"aws:SourceArn": "arn:aws:events:eu-west-1:000000000000:rule/*"}},
            ),
        ),
    ),
    Variant("key-on", {"CREATE_KMS_KEY": "true"}),
    Variant("boundary-off", {"DEPLOYING_REPOSITORY": ""}),
    Variant("unprotected", {"DELETION_PROTECTION": "false"}),
    Variant(
        "forgetful",
        {"ARCHIVE_RETENTION_DAYS": "90"},
        lambda document: document["resource"]["aws_lambda_function"]["payments_function"]["environment"][
            "variables"
        ].update({"IDEMPOTENCY_EXPIRY_SECONDS": "86400"}),
    ),
    Variant(
        "platform",
        edit=put("aws_lambda_function.billing_function", runtime="python3.12", architectures=["arm64"]),
    ),
    Variant(
        "renamed",
        edit=together(
            edits.unprotected,
            put("aws_dynamodb_table.idempotency", name="huntaze-stripe-seen-dev"),
            put_in(QUEUE, "desired_state", QueueName="huntaze-stripe-incoming-dev.fifo"),
            put(BUCKET, bucket="huntaze-stripe-ledger-two-dev"),
        ),
    ),
    Variant(
        "code",
        edit=edits.recode(
            "handlers",
            DIGEST,
            **{
                "functions.pipeline.routing_table": SHA,
                "functions.pipeline.new_module": SHA,
                "functions.shared.retry": None,
                "stripe": "99.0.0",
            },
        ),
    ),
    Variant("rebuilt", edit=edits.recode("audit", DIGEST)),
    Variant(
        "hostile",
        edit=together(
            edits.route("charge.refunded", "billing", path=HOSTILE),
            put("aws_cloudwatch_log_group.audit_function_logs", tags={HOSTILE: HOSTILE}, retention_in_days=1),
            edits.add("aws_cloudwatch_log_group.new", name="/hostile/x", tags={"x": HOSTILE}),
            edits.recode("handlers", DIGEST, **{HOSTILE: HOSTILE}),
        ),
    ),
    Variant(
        "secrets",
        {"SECRET_VERSION": "2"},
        together(
            edits.unprotected,
            remove("aws_secretsmanager_secret_version.secret_database_version"),
            put("aws_secretsmanager_secret.secret_stripe", name="huntaze/stripe-eventbridge/dev/renamed"),
        ),
    ),
    Variant("destroyed", edit=edits.unprotected, destroy=True),
    Variant("key-off", {"CREATE_KMS_KEY": "false"}, edits.unprotected, base="keyed"),
    Variant(
        "key-removed",
        base="keyed",
        edit=together(
            statements(
                "aws_kms_key.key",
                lambda found: found.append(
                    {
                        "Sid": "Partner",
                        "Effect": "Allow",
                        "Principal": {"AWS": "arn:aws:iam::999999999999:root"},
                        "Action": "kms:Decrypt",
                        "Resource": "*",
                    }
                ),
            ),
            put("aws_kms_key.key", deletion_window_in_days=7, enable_key_rotation=False, is_enabled=False),
        ),
    ),
    Variant("key-deleted", base="keyed", edit=edits.unprotected, destroy=True),
    Variant("unlocked", {"LEDGER_OBJECT_LOCK_DAYS": "10", "BUS_LOGS": "false"}, base="keyed"),
)
VARIANTS: Final = (*SAFE, *DANGEROUS, *OTHERS)
