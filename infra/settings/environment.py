"""What may differ between two environments."""

from datetime import UTC, datetime
from typing import Final, Literal

from pydantic import Field

from functions.shared import names
from infra import settings_source
from infra.settings import checks
from infra.settings.function import (
    AuditSettings,
    CompactionSettings,
    Frozen,
    HandlerSettings,
    ReconciliationSettings,
    RedriveSettings,
)

_FIND_SOURCE_NAME: Final = (
    "run `huntaze-stripe destination create`, which sets it in this file; or copy it, like "
    "aws.partner/stripe.com/ed_…, from the Stripe Dashboard: Workbench > Event destinations > the Amazon "
    "EventBridge destination > Event source name, or export STRIPE_EVENT_SOURCE_NAME"
)
_NAME_SOMEBODY: Final = (
    'set who gets the alarms, like alert_emails = ["oncall@huntaze.com"], or alert_emails = ["none"] if you '
    "read them elsewhere"
)
# Lambda retries an event one and two minutes after its failures, and drops one that is older than this
# setting (AWS Lambda, "How Lambda handles errors and retries with asynchronous invocation"). Its second
# retry begins after two runs of 60 s, the handlers' longest, and these waits: at 300 s. As much again is for
# events that wait while the function is throttled. AWS's own minimum is 60.
_LEAST_EVENT_AGE_SECONDS: Final = 600
# A run that lasts until the next one and waits for a handler must fit into Lambda's maximum of 900 s.
_MOST_REDRIVE_MINUTES: Final = 10
_REDRIVE_LOOKS: Final = 2


class StateSettings(Frozen):
    """Where the Terraform state is stored, and who deploys: what the bootstrap stack needs."""

    state_bucket: checks.BucketName = Field(
        "huntaze-stripe-terraform-state",
        description="S3 bucket of the Terraform state; its name is unique in all of AWS",
        examples=["huntaze-stripe-terraform-state"],
    )
    state_region: str = Field(
        "eu-west-1",
        pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$",
        description="AWS region of that bucket",
        examples=["eu-west-1"],
    )
    github_repository: str = Field(
        "",
        pattern=r"^([A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+)?$",
        description="Repository whose workflows deploy, OWNER/NAME: `bootstrap` creates their roles in AWS, "
        "and every role of a stack has the permissions boundary; empty: neither",
        examples=["huntaze/huntaze-stripe-eventbridge"],
        # GitHub's runners export GITHUB_REPOSITORY: a run there would be another than one from a shell.
        json_schema_extra=settings_source.of_variable("DEPLOYING_REPOSITORY"),
    )
    github_environments: checks.Texts = Field(
        (),
        description="Environments for which `bootstrap` creates those roles, in its account; empty: each "
        "that has a file",
        examples=["live"],
    )
    github_oidc_provider: Literal["create", "existing"] = Field(
        "create",
        description="Whether `bootstrap` creates GitHub's identity provider, or uses the account's own: IAM "
        "allows one for each address",
    )


class Settings(StateSettings):
    """Everything that may differ between two environments."""

    environment: str = Field(description="Name of the environment: the name of its file", exclude=True)
    aws_region: str = Field(
        "eu-west-1",
        pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$",
        description="AWS region of everything but the state: the region of the Stripe event destination",
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
        description="Partner event source of the Stripe event destination; also the name of the bus",
        json_schema_extra=settings_source.hint(_FIND_SOURCE_NAME),
    )
    huntaze_api_url: checks.ApiUrl = Field(
        description="Base URL of the Huntaze API; https, or http on loopback",
        examples=["https://api.dev.huntaze.com"],
        json_schema_extra=settings_source.may_hold_credentials(),
    )
    livemode: bool = Field(False, description="Whether the events are live; others are refused")
    order: Literal["watermark", "refetch", "off"] = Field(
        "watermark",
        description="What keeps an old state of an object from overwriting a newer one: watermark skips the "
        "old state, refetch sends the current one as fetched from Stripe, off sends each state as it arrives",
    )
    stripe_reads_per_second: checks.StripeReads = Field(
        20,
        ge=1,
        le=90,
        description="Objects that all functions together fetch from Stripe in a second; at most 25 where "
        "livemode is false. Stripe allows 100 reads in live mode and 25 in test mode",
        examples=[20],
    )
    thin_events: bool = Field(
        False,
        description="Whether the event destination sends thin events: both handlers then read "
        "STRIPE_SECRET_KEY and fetch the object of each. Without it, payments can apply no thin event: it "
        "ends in the dead-letter queue",
    )
    ledger_event_types: checks.EventTypes = Field(
        ("*",),
        description="Event types that Stripe sends for the ledger, besides the routed ones: names, or "
        'patterns such as "invoice.*"; "!" in front leaves out what a pattern matches. '
        "`huntaze-stripe destination` subscribes to them",
        examples=["*"],
    )
    lambda_architecture: Literal["arm64", "x86_64"] = Field("arm64", description="Processor of the functions")
    # The handlers need 3.11, and version 5.100 of the AWS provider allows 3.13 at most.
    lambda_runtime: Literal["python3.11", "python3.12", "python3.13"] = Field(
        "python3.13", description="Python runtime of the functions"
    )
    lambda_tracing: bool = Field(
        False,
        description="Active X-Ray tracing: Lambda's own two segments of each invocation, without the "
        "function's calls to AWS, Stripe or the API",
    )
    max_event_age_seconds: int = Field(
        21_600,
        ge=_LEAST_EVENT_AGE_SECONDS,
        le=21_600,
        description="Seconds that Lambda keeps an asynchronous event before it sends it to the dead-letter "
        f"queue; in less than {_LEAST_EVENT_AGE_SECONDS} its two retries might not fit",
        examples=[21_600],
    )
    payments: HandlerSettings = Field(HandlerSettings(), description="The payments function")
    billing: HandlerSettings = Field(HandlerSettings(), description="The billing function")
    audit: AuditSettings = Field(AuditSettings(), description="The audit function")
    auto_redrive: bool = Field(
        False, description="Redrive transient failures automatically once the API answers again"
    )
    auto_redrive_minutes: int = Field(
        5,
        ge=1,
        le=_MOST_REDRIVE_MINUTES,
        description="Minutes between two runs of the redrive; a run may last until the next one begins",
        examples=[5],
    )
    auto_redrive_attempts: int = Field(
        10,
        ge=1,
        le=100,
        description="Redrives of one event that may fail while others of its type are applied; then it waits "
        "for an operator",
        examples=[10],
    )
    auto_redrive_per_second: int = Field(
        5,
        ge=1,
        le=100,
        description="API calls for redriven events in a second; 100 need redrive.memory_mb = 1024",
        examples=[5],
    )
    redrive: RedriveSettings = Field(RedriveSettings(), description="The redrive function")
    reconcile: Literal["off", "report", "heal"] = Field(
        "off",
        description="Compare Stripe's list of events with the ledger: report reports what is missing, heal "
        "also sends it to the handlers and the audit; both need STRIPE_SECRET_KEY",
    )
    reconcile_minutes: int = Field(
        60, ge=10, le=1440, description="Minutes between two comparisons with Stripe's list", examples=[60]
    )
    reconcile_from: checks.Time = Field(
        "",
        description="Time, like 2026-11-23T08:00Z, before which scheduled runs compare no event. The first "
        "run begins there; raising it gives up what is still missing from before. Empty is the first deploy",
        examples=["2026-11-23T08:00Z"],
    )
    reconcile_accounts: checks.Accounts = Field(
        (),
        description="Connected accounts whose events scheduled runs compare, too: their ids, or all. A run "
        "begins behind the account at which the last one ended, and compares as many as it has time for",
        examples=["all", "acct_1Nv0FGQ9RKHgCVdK"],
    )
    reconciliation: ReconciliationSettings = Field(
        ReconciliationSettings(), description="The reconcile function"
    )
    audit_high_throughput: bool = Field(
        True,
        description="Whether each message group of the audit queue has SQS's 300 messages a second for "
        "itself, and not all groups together",
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
        description="Days that the archive keeps events for a replay. Handlers remember an event for the "
        "days that were set when it came: after this was raised, a replay of older events applies them again",
        examples=[30],
    )
    log_retention_days: checks.LogRetentionDays = Field(
        30,
        description=f"Days that CloudWatch keeps the functions' logs: {checks.LOG_RETENTIONS}",
        examples=[30],
    )
    bus_logs: checks.BusLogs = Field(
        False,
        description="Log every event whole, personal data included; only where livemode is false. It uses "
        "one of the 10 resource policies that CloudWatch Logs allows per region",
    )
    create_kms_key: bool = Field(
        False,
        description="Encrypt with a customer managed key. What it encrypted needs it for ever: to turn it "
        'off, follow docs/operations.md, "Turning the key off"',
    )
    former_kms_key_arns: checks.KeyArns = Field(
        (),
        description="Keys that encrypted before, with which the functions still read older data",
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
        description="Days in which nobody, the owner of the account included, can delete a new ledger "
        "object, not even after a mistyped number; 0 locks none. Needs deletion_protection",
        examples=[365],
    )
    ledger_infrequent_access_days: int = Field(
        30,
        ge=30,
        description="Days until ledger objects move to Standard-IA; S3 moves no object under 128 KB, and "
        "most have a few",
        examples=[30],
    )
    ledger_glacier_days: checks.GlacierDays = Field(
        90,
        ge=60,
        validate_default=True,
        description="Days until ledger objects move to Glacier Flexible Retrieval, at least 30 after "
        "ledger_infrequent_access_days",
        examples=[90],
    )
    ledger_expiration_days: checks.ExpirationDays = Field(
        0,
        ge=0,
        description="Days until ledger objects are deleted, at least 90 after ledger_glacier_days; 0 keeps "
        "them for ever. Rows in PostgreSQL stay",
        examples=[2557],
    )
    ledger_compaction: bool = Field(
        False,
        description="Compact the ledger: after a day is over, few sorted objects replace its small ones, "
        "which stay as former versions for a year. Worth it from some thousand objects a day",
    )
    compaction: CompactionSettings = Field(CompactionSettings(), description="The compact function")
    athena_table: bool = Field(
        False,
        description="Describe the ledger as a table of the Glue Data Catalog, which Athena can query; it "
        "holds no data and gives nobody a right",
    )
    secret_version: int = Field(
        1,
        ge=1,
        description="Version of the secrets' values; raise it by one to write the exported values again",
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
        description="Addresses that get the alarms; each confirms once. Required where livemode is true: "
        'write ["none"] if nobody is to get them',
        examples=["oncall@huntaze.com"],
        json_schema_extra=settings_source.hint(_NAME_SOMEBODY),
    )
    repository_url: str = Field(
        "",
        # Without credentials, query, fragment or trailing slash: many people read the alarms.
        pattern=r"^(https://[^\s@?#]+[^\s@?#/])?$",
        description="Web address of this repository, https without a trailing slash, for links from alarms "
        "to runbooks; empty: alarms name the path in the checkout",
        examples=["https://github.com/huntaze/huntaze-stripe-eventbridge"],
    )
    heartbeat_minutes: int = Field(
        1_440,
        ge=0,
        le=1440,
        description="Minutes without an event from Stripe before an alarm; 0 turns the alarm off",
        examples=[60],
    )
    audit_backlog_messages: int = Field(
        1_000, ge=1, description="Events that wait for the audit function before an alarm", examples=[1000]
    )
    audit_backlog_seconds: int = Field(
        900,
        ge=60,
        description="Seconds that an event waits for the audit function before an alarm",
        examples=[900],
    )

    @property
    def deployed_by_github(self) -> bool:
        """Whether `bootstrap` creates roles and a boundary for this environment."""
        named = self.github_environments
        return bool(self.github_repository) and (not named or self.environment in named)

    @property
    def reconcile_from_seconds(self) -> int | None:
        """`reconcile_from` in Unix seconds; a time without a zone is UTC."""
        if not self.reconcile_from:
            return None
        begin = datetime.fromisoformat(self.reconcile_from)
        return int((begin if begin.tzinfo else begin.replace(tzinfo=UTC)).timestamp())

    @property
    def reads_stripe(self) -> bool:
        """Whether a function needs STRIPE_SECRET_KEY."""
        return self.reconcile != names.OFF or self.order == names.REFETCH or self.thin_events

    @property
    def handled_within_seconds(self) -> int:
        """Seconds after which an event without a record at any handler has reached none.

        By then Lambda has sent an event that it could not run to the dead-letter queue, and the redrive has
        read that queue twice.
        """
        redrives = _REDRIVE_LOOKS * self.auto_redrive_minutes * 60 if self.auto_redrive else 0
        return self.max_event_age_seconds + redrives

    @property
    def alert_addresses(self) -> tuple[str, ...]:
        """The addresses that get the alarms."""
        return () if self.alert_emails == (checks.NOBODY,) else self.alert_emails
