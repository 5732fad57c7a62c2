"""Types of settings that no pattern or limit describes: each refuses what would fail later."""

from datetime import datetime
from typing import Annotated, Final
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from functions.shared import names

# CloudWatch Logs takes only these numbers of days (PutRetentionPolicy, retentionInDays).
_LOG_RETENTION_DAYS: Final = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
# S3 keeps an object so many days in Standard-IA before its next transition.
_STANDARD_IA_DAYS: Final = 30
# S3 bills an object in Glacier Flexible Retrieval for so many days, however soon it is deleted.
_GLACIER_DAYS: Final = 90
# Stripe, "Rate limits": reads in a second that it takes in test mode.
_TEST_READS: Final = 25
# What alert_emails holds instead of addresses where nobody shall get the alarms.
NOBODY: Final = "none"


def _https_outside_loopback(value: str) -> str:
    try:
        url = urlsplit(value)
    except ValueError:
        raise ValueError("is no URL") from None
    if "@" in url.netloc:
        raise ValueError("holds credentials, which would end up in the state")
    if url.scheme not in ("https", "http") or not url.hostname or any(sign in value for sign in "?#"):
        raise ValueError("is no URL without query")
    if any(character.isspace() for character in value):
        raise ValueError("has a space in it")
    if not value.isascii():
        raise ValueError("has a character outside ASCII: write the host as xn--…, the path as %…")
    if not _has_usable_port(url):
        raise ValueError("has no port between 1 and 65535")
    if url.scheme == "http" and url.hostname not in names.LOOPBACK_HOSTS:
        raise ValueError("would send the API key in clear text")
    return value.rstrip("/")


def _has_usable_port(url: SplitResult) -> bool:
    """Whether the port is left to the scheme, or one that can be connected to."""
    try:
        return url.port is None or url.port > 0
    except ValueError:
        return False


def _name_of_a_bucket(value: str) -> str:
    if ".." in value or value.replace(".", "").isdecimal():
        raise ValueError("is no name that S3 takes")
    return value


def _somebody_where_live(value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    if NOBODY in value and len(value) > 1:
        raise ValueError(f'holds "{NOBODY}" besides addresses')
    if not value and info.data.get("livemode"):
        # As a setting that is not there: such an environment is left out, not refused, where all are made.
        raise PydanticCustomError("missing", "is not set")
    return value


def _taken_by_stripe(value: int, info: ValidationInfo) -> int:
    if info.data.get("livemode") is False and value > _TEST_READS:
        raise ValueError(f"is more than the {_TEST_READS} reads that Stripe allows where livemode is false")
    return value


def _after_glacier(value: int, info: ValidationInfo) -> int:
    if value and value < info.data.get("ledger_glacier_days", 0) + _GLACIER_DAYS:
        raise ValueError(
            f"is less than {_GLACIER_DAYS} days after ledger_glacier_days; 0 keeps objects for ever"
        )
    if value and value < info.data.get("archive_retention_days", 0):
        raise ValueError("is less than archive_retention_days: a replay would bring what the ledger has lost")
    return value


def _known_to_cloudwatch(value: int) -> int:
    if value not in _LOG_RETENTION_DAYS:
        raise ValueError(f"is none of CloudWatch's {', '.join(map(str, _LOG_RETENTION_DAYS))}")
    return value


def _taken_by_secrets_manager(value: int) -> int:
    if 0 < value < 7:
        raise ValueError("is neither 0 nor between 7 and 30")
    return value


def _never_of_live_events(value: bool, info: ValidationInfo) -> bool:
    if value and info.data.get("livemode"):
        raise ValueError(
            "with livemode = true would keep customers' data in a log; leave it to environments whose events "
            "are test events"
        )
    return value


def _protected(value: int, info: ValidationInfo) -> int:
    if value and not info.data.get("deletion_protection"):
        raise ValueError(
            "with deletion_protection = false can't be: a destroy would stop half-way, at a bucket that "
            "nobody can empty; set deletion_protection = true, or lock no object"
        )
    return value


def _network_is_whole(value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    if bool(value) != bool(info.data.get("audit_subnet_ids")):
        raise ValueError("and audit_subnet_ids go together: set both or none")
    return value


def _after_standard_ia(value: int, info: ValidationInfo) -> int:
    if value < info.data.get("ledger_infrequent_access_days", 0) + _STANDARD_IA_DAYS:
        raise ValueError(f"is less than {_STANDARD_IA_DAYS} days after ledger_infrequent_access_days")
    return value


def _told_in_iso_8601(value: str) -> str:
    try:
        # Digits in a row are a number, but Python would read 20261123 as a day.
        known = not value or (value[4:5] == "-" and bool(datetime.fromisoformat(value)))
    except ValueError:
        known = False
    if not known:
        raise ValueError("is no time such as 2026-11-23T08:00Z")
    return value


# TOML has lists only; the models keep tuples, because they are frozen.
Texts = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False)]
Addresses = Annotated[
    tuple[Annotated[str, Field(pattern=rf"^([^@\s,]+@[^@\s,]+\.[^@\s,.]+|{NOBODY})$")], ...],
    Field(strict=False),
    AfterValidator(_somebody_where_live),
]
KeyArns = Annotated[
    tuple[Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$")], ...],
    Field(strict=False),
]
SecurityGroups = Annotated[Texts, AfterValidator(_network_is_whole)]
BucketName = Annotated[
    str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"), AfterValidator(_name_of_a_bucket)
]
ApiUrl = Annotated[str, AfterValidator(_https_outside_loopback)]
StripeReads = Annotated[int, AfterValidator(_taken_by_stripe)]
LogRetentionDays = Annotated[int, AfterValidator(_known_to_cloudwatch)]
BusLogs = Annotated[bool, AfterValidator(_never_of_live_events)]
ObjectLockDays = Annotated[int, AfterValidator(_protected)]
RecoveryDays = Annotated[int, AfterValidator(_taken_by_secrets_manager)]
Moment = Annotated[str, AfterValidator(_told_in_iso_8601)]
GlacierDays = Annotated[int, AfterValidator(_after_standard_ia)]
ExpirationDays = Annotated[int, AfterValidator(_after_glacier)]
