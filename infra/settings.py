"""The settings of one environment: what each one means, its unit, its default and its limits.

Values come from `environments/<name>.toml` on top of `environments/bootstrap.toml` (which
names the state bucket), and an environment variable with the upper-case name of a setting
wins over both. This is the only module of `infra` that reads the process environment.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from infra import settings_source
from infra.errors import SettingsError
from infra.names import ENVIRONMENTS
from infra.settings_source import hint

FOLDER: Final = Path(__file__).resolve().parent.parent / "environments"

# CloudWatch Logs takes only these numbers of days (PutRetentionPolicy, retentionInDays).
_LOG_RETENTION_DAYS: Final = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
# The redrive function hands nothing over in less than a handler's time and 20 s; this much more it looks.
_REDRIVE_SPARE_SECONDS: Final = 30
_LOOPBACK_HOSTS: Final = ("127.0.0.1", "::1", "localhost")

_FIND_SOURCE_NAME: Final = (
    "copy the event source name, like aws.partner/stripe.com/ed_…, from the Stripe Dashboard: "
    "Workbench > Event destinations > the Amazon EventBridge destination > Event source name; "
    "then set it in this file or export STRIPE_EVENT_SOURCE_NAME"
)

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
# TOML has lists only; the model keeps tuples, because it is frozen.
TextList = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class FunctionSettings(_Frozen):
    """How one Lambda function runs."""

    memory_mb: int = Field(
        256, ge=128, le=10240, description="Memory in MiB; the CPU share grows with it", examples=[256]
    )
    timeout_seconds: int = Field(30, ge=3, le=900, description="Time-out in seconds", examples=[30])
    reserved_concurrency: int = Field(
        -1,
        ge=-1,
        description="Executions at once; -1 reserves none and sets no limit, 0 stops the function",
        examples=[20],
    )
    log_level: LogLevel = Field("INFO", description="Least severe level that is logged")


class StateSettings(_Frozen):
    """Where the Terraform state lies; all that the bootstrap stack needs."""

    state_bucket: str = Field(
        "huntaze-stripe-terraform-state",
        pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
        description="S3 bucket for the Terraform state; its name is unique in all of AWS",
        examples=["huntaze-stripe-terraform-state"],
    )
    state_region: str = Field(
        "eu-west-1",
        pattern=r"^[a-z]{2}(-[a-z]+)+-\d$",
        description="AWS region of that bucket",
        examples=["eu-west-1"],
    )


class Settings(StateSettings):
    """Everything that may differ between two environments."""

    environment: Literal["dev", "staging", "prod"] = Field(
        description="Name of the environment: the name of its file", exclude=True
    )
    aws_region: str = Field(
        "eu-west-1",
        pattern=r"^[a-z]{2}(-[a-z]+)+-\d$",
        description="AWS region of everything but the state; the Stripe destination names the same one",
        examples=["eu-west-1"],
    )
    aws_account_id: str = Field(
        "",
        pattern=r"^(\d{12})?$",
        description="The only AWS account that may be changed, 12 digits; empty allows any",
        examples=["123456789012"],
    )
    stripe_event_source_name: str = Field(
        pattern=r"^aws\.partner/stripe\.com/ed_[A-Za-z0-9_]{1,200}$",
        description="Partner event source that Stripe made for the destination; also the bus's name",
        json_schema_extra=hint(_FIND_SOURCE_NAME),
    )
    huntaze_api_url: str = Field(
        description="Base URL of the Huntaze API; https, or http on loopback",
        examples=["https://api.dev.huntaze.com"],
    )
    livemode: bool = Field(False, description="Whether the events are live: others are refused")
    order: Literal["watermark", "refetch", "off"] = Field(
        "watermark",
        description="How an old state of an object is kept from overwriting a newer one: watermark skips it, "
        "refetch sends the present one as fetched from Stripe, off sends each as it comes",
    )
    stripe_reads_per_second: int = Field(
        20,
        ge=1,
        le=90,
        description="Objects fetched from Stripe in a second by all functions together; Stripe allows 100 "
        "live and 25 test reads",
        examples=[20],
    )
    lambda_architecture: Literal["arm64", "x86_64"] = Field("arm64", description="Processor of the functions")
    lambda_runtime: str = Field(
        "python3.13",
        pattern=r"^python3\.\d{1,2}$",
        description="Python runtime of the functions",
        examples=["python3.13"],
    )
    lambda_tracing: bool = Field(False, description="Active X-Ray tracing of the functions")
    max_event_age_seconds: int = Field(
        21_600,
        ge=60,
        le=21_600,
        description="Seconds that Lambda keeps an asynchronous event before its dead-letter queue",
        examples=[21_600],
    )
    payments: FunctionSettings = Field(FunctionSettings(), description="The payments function")
    billing: FunctionSettings = Field(FunctionSettings(), description="The billing function")
    audit: FunctionSettings = Field(
        FunctionSettings(memory_mb=512, timeout_seconds=60), description="The audit function"
    )
    auto_redrive: bool = Field(
        False, description="Hand events that failed for a time back by themselves once the API answers again"
    )
    auto_redrive_minutes: int = Field(
        5, ge=1, le=1440, description="Minutes between two looks at the dead-letter queues", examples=[5]
    )
    auto_redrive_attempts: int = Field(
        10, ge=1, le=100, description="How often one event is handed back at most", examples=[10]
    )
    auto_redrive_per_second: int = Field(
        5, ge=1, le=100, description="Events handed back in a second at most", examples=[5]
    )
    redrive: FunctionSettings = Field(
        FunctionSettings(timeout_seconds=240),
        validate_default=True,
        description="The function that hands events back",
    )
    reconcile: Literal["off", "report", "heal"] = Field(
        "off",
        description="Compare Stripe's own list of events with the ledger: report tells what is missing, heal "
        "also hands it to the handlers and the audit; both need STRIPE_SECRET_KEY",
    )
    reconcile_minutes: int = Field(
        60, ge=10, le=1440, description="Minutes between two comparisons with Stripe's list", examples=[60]
    )
    reconciliation: FunctionSettings = Field(
        FunctionSettings(memory_mb=512, timeout_seconds=300),
        description="The function that compares with Stripe's list",
    )
    audit_subnet_ids: TextList = Field(
        (),
        description="Subnets of the audit function; empty runs it outside a VPC",
        examples=["subnet-0a1b2c3d"],
    )
    audit_security_group_ids: TextList = Field(
        (),
        validate_default=True,
        description="Security groups of the audit function in those subnets",
        examples=["sg-0a1b2c3d"],
    )
    archive_retention_days: int = Field(
        30, ge=1, le=3650, description="Days that the archive keeps events for replay", examples=[30]
    )
    log_retention_days: int = Field(30, description="Days that the functions' logs are kept", examples=[30])
    bus_logs: bool = Field(
        False, description="Log every event of the bus whole, personal data included; for a test account"
    )
    create_kms_key: bool = Field(
        False,
        description="Encrypt with a key of our own; turning it on or off later starts an empty archive",
    )
    deletion_protection: bool = Field(
        False, description="Refuse to delete the idempotency table and a ledger that is not empty"
    )
    ledger_object_lock_days: int = Field(
        0,
        ge=0,
        le=36_500,
        description="Days in which no ledger object can be deleted by anybody; 0 locks none",
        examples=[365],
    )
    ledger_infrequent_access_days: int = Field(
        30, ge=30, description="Days until ledger objects move to Standard-IA", examples=[30]
    )
    ledger_glacier_days: int = Field(
        90,
        ge=60,
        validate_default=True,
        description="Days until ledger objects move to Glacier Flexible Retrieval",
        examples=[90],
    )
    secret_version: int = Field(
        1,
        ge=1,
        description="Version of the secret's values; raise it by one to write the exported values anew",
        examples=[2],
    )
    secret_recovery_days: int = Field(
        30,
        ge=0,
        le=30,
        description="Days in which a deleted secret can be restored; 0 or 7 to 30",
        examples=[7],
    )
    alert_emails: TextList = Field(
        (), description="Addresses that get the alarms; each confirms once", examples=["oncall@huntaze.com"]
    )
    heartbeat_minutes: int = Field(
        0,
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

    @field_validator("huntaze_api_url")
    @classmethod
    def _https_outside_loopback(cls, value: str) -> str:
        url = urlsplit(value)
        if url.scheme not in ("https", "http") or not url.hostname or url.query or url.fragment:
            raise ValueError("is no URL without query")
        if url.scheme == "http" and url.hostname not in _LOOPBACK_HOSTS:
            raise ValueError("would send the API key in clear text")
        if url.username or url.password:
            raise ValueError("holds credentials, which would end up in the state")
        return value.rstrip("/")

    @field_validator("redrive")
    @classmethod
    def _has_time_for_a_handler(cls, value: FunctionSettings, info: ValidationInfo) -> FunctionSettings:
        handlers = [found for name in ("payments", "billing") if (found := info.data.get(name))]
        least = max((each.timeout_seconds for each in handlers), default=0) + _REDRIVE_SPARE_SECONDS
        if info.data.get("auto_redrive") and value.timeout_seconds < least:
            raise ValueError(
                f"has timeout_seconds = {value.timeout_seconds}, too little to wait for a handler; write "
                f"{least} or more, or turn auto_redrive off"
            )
        return value

    @field_validator("log_retention_days")
    @classmethod
    def _known_to_cloudwatch(cls, value: int) -> int:
        if value not in _LOG_RETENTION_DAYS:
            raise ValueError(f"is none of CloudWatch's {', '.join(map(str, _LOG_RETENTION_DAYS))}")
        return value

    @field_validator("secret_recovery_days")
    @classmethod
    def _taken_by_secrets_manager(cls, value: int) -> int:
        if 0 < value < 7:
            raise ValueError("is neither 0 nor between 7 and 30")
        return value

    @field_validator("audit_security_group_ids")
    @classmethod
    def _network_is_whole(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if bool(value) != bool(info.data.get("audit_subnet_ids")):
            raise ValueError("and audit_subnet_ids go together: set both or none")
        return value

    @field_validator("ledger_glacier_days")
    @classmethod
    def _after_standard_ia(cls, value: int, info: ValidationInfo) -> int:
        # S3 keeps an object at least 30 days in Standard-IA before its next transition.
        if value < info.data.get("ledger_infrequent_access_days", 0) + 30:
            raise ValueError("is less than 30 days after ledger_infrequent_access_days")
        return value


def load(
    environment: str,
    *,
    folder: Path = FOLDER,
    environ: Mapping[str, str] | None = None,
    fallbacks: Mapping[str, str] = MappingProxyType({}),
) -> Settings:
    """Read the settings of one environment.

    Parameters
    ----------
    fallbacks
        Values of required settings that the caller has no use for, should they not be set.

    Raises
    ------
    SettingsError
        The environment is unknown, or a setting is missing, misspelled or wrong.
    """
    if environment not in ENVIRONMENTS:
        raise SettingsError(f'"{environment}" is no environment; take one of {", ".join(ENVIRONMENTS)}')
    sources = (
        *_state_sources(folder),
        settings_source.Source("fallbacks", fallbacks),
        settings_source.toml_file(folder / f"{environment}.toml"),
    )
    return settings_source.build(
        Settings, *sources, environ=_environ(environ), given={"environment": environment}
    )


def load_state(*, folder: Path = FOLDER, environ: Mapping[str, str] | None = None) -> StateSettings:
    """Read the settings of the bootstrap stack; raises SettingsError as `load` does."""
    return settings_source.build(StateSettings, *_state_sources(folder), environ=_environ(environ))


def default_outdir(environ: Mapping[str, str] | None = None) -> Path:
    """The folder for the synthesised stacks: what cdktf-cli asks for, else cdktf.out."""
    return Path(_environ(environ).get("CDKTF_OUTDIR") or "cdktf.out")


def _state_sources(folder: Path) -> tuple[settings_source.Source, ...]:
    return (settings_source.toml_file(folder / "bootstrap.toml"),)


def _environ(environ: Mapping[str, str] | None) -> Mapping[str, str]:
    return os.environ if environ is None else environ
