"""What may differ between two environments, in the order of their files."""

from datetime import UTC, datetime
from typing import Final, Literal

from pydantic import Field

from infra import settings_source
from infra.settings import checks
from infra.settings.function import (
    AuditSettings,
    Frozen,
    HandlerSettings,
    ReconciliationSettings,
    RedriveSettings,
)

_FIND_SOURCE_NAME: Final = (
    "copy the event source name, like aws.partner/stripe.com/ed_…, from the Stripe Dashboard: "
    "Workbench > Event destinations > the Amazon EventBridge destination > Event source name; "
    "then set it in this file or export STRIPE_EVENT_SOURCE_NAME"
)
_NAME_SOMEBODY: Final = (
    'write who gets the alarms, like alert_emails = ["oncall@huntaze.com"]; where they are read otherwise, '
    'write alert_emails = ["none"]'
)
# Lambda retries an event one and two minutes after its failures, and drops one that is older than this
# setting ("How Lambda handles errors and retries with asynchronous invocation"). Its second retry begins
# after two runs of 60 s, the handlers' longest, and these waits: at 300 s; as much again is for events that
# waited while the function was throttled. AWS itself takes 60.
_LEAST_EVENT_AGE_SECONDS: Final = 600
# Lambda's own maximum of 900 s must hold a run that lasts until the next one, and that waits for a handler.
_MOST_REDRIVE_MINUTES: Final = 10
_REDRIVE_LOOKS: Final = 2


class StateSettings(Frozen):
    """Where the Terraform state lies; all that the bootstrap stack needs."""

    state_bucket: checks.BucketName = Field(
        "huntaze-stripe-terraform-state",
        description="S3 bucket for the Terraform state; its name is unique in all of AWS",
        examples=["huntaze-stripe-terraform-state"],
    )
    state_region: str = Field(
        "eu-west-1",
        pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$",
        description="AWS region of that bucket",
        examples=["eu-west-1"],
    )


class Settings(StateSettings):
    """Everything that may differ between two environments."""

    environment: str = Field(description="Name of the environment: the name of its file", exclude=True)
    aws_region: str = Field(
        "eu-west-1",
        pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$",
        description="AWS region of everything but the state; the Stripe destination names the same one",
        examples=["eu-west-1"],
    )
    aws_account_id: str = Field(
        "",
        pattern=r"^([0-9]{12})?$",
        description="The only AWS account that may be changed, 12 digits; empty allows any",
        examples=["123456789012"],
    )
    stripe_event_source_name: str = Field(
        pattern=r"^aws\.partner/stripe\.com/ed_[A-Za-z0-9_]{1,200}$",
        description="Partner event source that Stripe made for the destination; also the bus's name",
        json_schema_extra=settings_source.hint(_FIND_SOURCE_NAME),
    )
    huntaze_api_url: checks.ApiUrl = Field(
        description="Base URL of the Huntaze API; https, or http on loopback",
        examples=["https://api.dev.huntaze.com"],
        json_schema_extra=settings_source.may_hold_credentials(),
    )
    livemode: bool = Field(False, description="Whether the events are live: others are refused")
    order: Literal["watermark", "refetch", "off"] = Field(
        "watermark",
        description="How an old state of an object is kept from overwriting a newer one: watermark skips it, "
        "refetch sends the present one as fetched from Stripe, off sends each as it comes",
    )
    stripe_reads_per_second: checks.StripeReads = Field(
        20,
        ge=1,
        le=90,
        description="Objects fetched from Stripe in a second by all functions together, 90 at most and 25 "
        "where livemode is false; Stripe allows 100 live and 25 test reads",
        examples=[20],
    )
    lambda_architecture: Literal["arm64", "x86_64"] = Field("arm64", description="Processor of the functions")
    # The handlers' code runs on 3.11, and version 5.100 of the AWS provider knows no newer runtime than 3.13.
    lambda_runtime: Literal["python3.11", "python3.12", "python3.13"] = Field(
        "python3.13", description="Python runtime of the functions"
    )
    lambda_tracing: bool = Field(
        False,
        description="Active X-Ray tracing: Lambda's own two segments of each invocation, and no calls of the "
        "functions to AWS, Stripe or the API",
    )
    max_event_age_seconds: int = Field(
        21_600,
        ge=_LEAST_EVENT_AGE_SECONDS,
        le=21_600,
        description="Seconds that Lambda keeps an asynchronous event before its dead-letter queue; with less "
        f"than {_LEAST_EVENT_AGE_SECONDS} its two retries might not fit",
        examples=[21_600],
    )
    payments: HandlerSettings = Field(HandlerSettings(), description="The payments function")
    billing: HandlerSettings = Field(HandlerSettings(), description="The billing function")
    audit: AuditSettings = Field(AuditSettings(), description="The audit function")
    auto_redrive: bool = Field(
        False, description="Redrive events that failed for a time by themselves once the API answers again"
    )
    auto_redrive_minutes: int = Field(
        5,
        ge=1,
        le=_MOST_REDRIVE_MINUTES,
        description="Minutes between two runs of the redrive; a run may work until the next one begins",
        examples=[5],
    )
    auto_redrive_attempts: int = Field(
        10,
        ge=1,
        le=100,
        description="Redrives of one event that may fail while others of its type are applied; then it is "
        "left to a person",
        examples=[10],
    )
    auto_redrive_per_second: int = Field(
        5,
        ge=1,
        le=100,
        description="Redriven events that may call the API in a second; 100 take redrive.memory_mb = 1024",
        examples=[5],
    )
    redrive: RedriveSettings = Field(RedriveSettings(), description="The function that redrives events")
    reconcile: Literal["off", "report", "heal"] = Field(
        "off",
        description="Compare Stripe's own list of events with the ledger: report tells what is missing, heal "
        "also hands it to the handlers and the audit; both need STRIPE_SECRET_KEY",
    )
    reconcile_minutes: int = Field(
        60, ge=10, le=1440, description="Minutes between two comparisons with Stripe's list", examples=[60]
    )
    reconcile_from: checks.Moment = Field(
        "",
        description="Time, as 2026-11-23T08:00Z, before which no event is compared on schedule: the first "
        "comparison begins there, and raised later it gives up what still lacks from before; empty is the "
        "first deploy",
        examples=["2026-11-23T08:00Z"],
    )
    reconciliation: ReconciliationSettings = Field(
        ReconciliationSettings(), description="The function that compares with Stripe's list"
    )
    audit_high_throughput: bool = Field(
        True,
        description="Let each lane of the audit's queue take SQS's 300 messages a second by itself; false: "
        "all lanes together",
    )
    audit_subnet_ids: checks.Texts = Field(
        (),
        description="Subnets of the audit function, with a NAT gateway or endpoints for S3, Secrets Manager "
        "and SQS; empty runs it outside a VPC",
        examples=["subnet-0a1b2c3d"],
    )
    audit_security_group_ids: checks.SecurityGroups = Field(
        (),
        validate_default=True,
        description="Security groups of the audit function in those subnets",
        examples=["sg-0a1b2c3d"],
    )
    archive_retention_days: int = Field(
        30,
        ge=1,
        le=3650,
        description="Days that the archive keeps events for replay; an event is remembered by the value of "
        "its time: after this was raised, a replay of older events applies them again",
        examples=[30],
    )
    log_retention_days: checks.LogRetentionDays = Field(
        30, description="Days that the functions' logs are kept", examples=[30]
    )
    bus_logs: checks.BusLogs = Field(
        False,
        description="Log every event of the bus whole, personal data included; only where livemode is false. "
        "CloudWatch Logs allows 10 resource policies per region, of which each environment takes one",
    )
    create_kms_key: bool = Field(
        False,
        description="Encrypt with a key of our own; what it encrypted needs it for ever, so turn it off by "
        'the steps of docs/operations.md, "Turning the key off"',
    )
    former_kms_key_arns: checks.KeyArns = Field(
        (),
        description="Keys that encrypted before, and that the functions still read older data with",
        examples=["arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"],
    )
    deletion_protection: bool = Field(
        False,
        description="Refuse each plan that would delete bus, archive, a queue, idempotency table, ledger, "
        "key or secret",
    )
    ledger_object_lock_days: checks.ObjectLockDays = Field(
        0,
        ge=0,
        le=2_557,
        description="Days in which no new ledger object can be deleted by anybody, the account's owner "
        "included, not even after a typing error: 2,557, seven years, at most; 0 locks none",
        examples=[365],
    )
    ledger_infrequent_access_days: int = Field(
        30,
        ge=30,
        description="Days until ledger objects move to Standard-IA; S3 moves none under 128 KB, and most of "
        "the ledger's have a few",
        examples=[30],
    )
    ledger_glacier_days: checks.GlacierDays = Field(
        90,
        ge=60,
        validate_default=True,
        description="Days until ledger objects move to Glacier Flexible Retrieval; S3 moves none under "
        "128 KB, and most of the ledger's have a few",
        examples=[90],
    )
    ledger_expiration_days: checks.ExpirationDays = Field(
        0,
        ge=0,
        description="Days until ledger objects are deleted, from the table of PostgreSQL none; 0 keeps them "
        "for ever",
        examples=[2557],
    )
    secret_version: int = Field(
        1,
        ge=1,
        description="Version of the secret's values; raise it by one to write the exported values anew",
        examples=[2],
    )
    secret_recovery_days: checks.RecoveryDays = Field(
        30,
        ge=0,
        le=30,
        description="Days in which a deleted secret can be restored; 0 or 7 to 30",
        examples=[7],
    )
    alert_emails: checks.Addresses = Field(
        (),
        validate_default=True,
        description="Addresses that get the alarms; each confirms once. Where livemode is true, none do "
        'only by ["none"]',
        examples=["oncall@huntaze.com"],
        json_schema_extra=settings_source.hint(_NAME_SOMEBODY),
    )
    repository_url: str = Field(
        "",
        # Without credentials, query, fragment or trailing slash; the alarms are read by many.
        pattern=r"^(https://[^\s@?#]+[^\s@?#/])?$",
        description="Web address of this repository, https without a trailing slash; alarms link to their "
        "runbook there. Empty: they name the path docs/runbooks/…",
        examples=["https://github.com/huntaze/huntaze-stripe-eventbridge"],
    )
    heartbeat_minutes: int = Field(
        1_440,
        ge=0,
        le=1440,
        description="Alarm after so many minutes without one event from Stripe; 0 turns the alarm off",
        examples=[60],
    )
    audit_backlog_messages: int = Field(
        1_000, ge=1, description="Alarm at so many events waiting for the audit function", examples=[1000]
    )
    audit_backlog_seconds: int = Field(
        900,
        ge=60,
        description="Alarm when an event waits for the audit function so many seconds",
        examples=[900],
    )

    @property
    def reconcile_from_seconds(self) -> int | None:
        """The time that ``reconcile_from`` tells, UTC where it names no zone, in Unix seconds."""
        if not self.reconcile_from:
            return None
        told = datetime.fromisoformat(self.reconcile_from)
        return int((told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp())

    @property
    def handled_within_seconds(self) -> int:
        """Seconds after which an event that no handler has a record of has reached none.

        Lambda has put an event that it could not run into the dead-letter queue by then, and the redrive has
        looked there twice.
        """
        redrives = _REDRIVE_LOOKS * self.auto_redrive_minutes * 60 if self.auto_redrive else 0
        return self.max_event_age_seconds + redrives

    @property
    def alert_addresses(self) -> tuple[str, ...]:
        """Who gets the alarms; nobody where the setting says so."""
        return () if self.alert_emails == (checks.NOBODY,) else self.alert_emails
