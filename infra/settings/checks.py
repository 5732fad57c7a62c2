"""Types of settings with checks beyond a pattern or a limit: each refuses a value that would fail later."""

from datetime import datetime
from fnmatch import fnmatchcase
from typing import Annotated, Final
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from functions.shared import names
from infra.patterns import stripe_event_types

# The only retentions of CloudWatch Logs, in days (PutRetentionPolicy, retentionInDays).
_RETENTIONS: Final = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
LOG_RETENTIONS: Final = ", ".join(map(str, _RETENTIONS))
# The fewest days in Standard-IA before the next transition.
_STANDARD_IA_DAYS: Final = 30
# The fewest days for which S3 bills an object in Glacier Flexible Retrieval.
_GLACIER_DAYS: Final = 90
# Reads a second in test mode (Stripe, "Rate limits").
_TEST_READS: Final = 25
# The value of alert_emails where nobody is to get the alarms.
NOBODY: Final = "none"


def _https_outside_loopback(value: str) -> str:
    try:
        url = urlsplit(value)
    except ValueError:
        raise ValueError("is not a URL") from None
    if "@" in url.netloc:
        raise ValueError("contains credentials, which would be stored in the Terraform state")
    if url.scheme not in ("https", "http") or not url.hostname or any(sign in value for sign in "?#"):
        raise ValueError("must be an http or https URL without query or fragment")
    if any(character.isspace() for character in value):
        raise ValueError("contains a space")
    if not value.isascii():
        raise ValueError("contains a character outside ASCII: write the host as xn--…, the path as %…")
    if not _has_usable_port(url):
        raise ValueError("must have a port between 1 and 65535")
    if url.scheme == "http" and url.hostname not in names.LOOPBACK_HOSTS:
        raise ValueError("would send the API key unencrypted: use https")
    return value.rstrip("/")


def _has_usable_port(url: SplitResult) -> bool:
    """Whether the URL has no port, or one that a client can connect to."""
    try:
        return url.port is None or url.port > 0
    except ValueError:
        return False


def _name_of_a_bucket(value: str) -> str:
    if ".." in value or value.replace(".", "").isdecimal():
        raise ValueError("is not a valid S3 bucket name")
    return value


def _somebody_where_live(value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    if NOBODY in value and len(value) > 1:
        raise ValueError(f'contains "{NOBODY}" and addresses: keep one of them')
    if not value and info.data.get("livemode"):
        # Reported as missing: a synth of all environments leaves this one out and does not fail.
        raise PydanticCustomError("missing", "is not set")
    return value


def _within_stripes_limit(value: int, info: ValidationInfo) -> int:
    if info.data.get("livemode") is False and value > _TEST_READS:
        raise ValueError(f"must be at most {_TEST_READS}, Stripe's limit where livemode is false")
    return value


def _after_glacier(value: int, info: ValidationInfo) -> int:
    if value and value < info.data.get("ledger_glacier_days", 0) + _GLACIER_DAYS:
        raise ValueError(
            f"must be at least {_GLACIER_DAYS} days after ledger_glacier_days; 0 keeps objects for ever"
        )
    if value and value < info.data.get("archive_retention_days", 0):
        raise ValueError(
            "must be at least archive_retention_days, or a replay brings events that the ledger has deleted"
        )
    return value


def _is_retention(value: int) -> int:
    if value not in _RETENTIONS:
        raise ValueError(f"must be a CloudWatch retention: {LOG_RETENTIONS}")
    return value


def _is_recovery_window(value: int) -> int:
    if 0 < value < 7:
        raise ValueError("must be 0 or between 7 and 30")
    return value


def _only_of_test_events(value: bool, info: ValidationInfo) -> bool:
    if value and info.data.get("livemode"):
        raise ValueError(
            "would log customers' data, because livemode is true; set it where events are test events"
        )
    return value


def _protected(value: int, info: ValidationInfo) -> int:
    if value and not info.data.get("deletion_protection"):
        raise ValueError(
            "needs deletion_protection = true: otherwise a destroy stops at a bucket that nobody can empty"
        )
    return value


def _network_is_whole(value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    if bool(value) != bool(info.data.get("audit_subnet_ids")):
        raise ValueError("must be set together with audit_subnet_ids: set both or neither")
    return value


def _after_standard_ia(value: int, info: ValidationInfo) -> int:
    if value < info.data.get("ledger_infrequent_access_days", 0) + _STANDARD_IA_DAYS:
        raise ValueError(f"must be at least {_STANDARD_IA_DAYS} days after ledger_infrequent_access_days")
    return value


def _is_iso_8601(value: str) -> str:
    try:
        # Python would read 20261123 as a day.
        valid = not value or (value[4:5] == "-" and bool(datetime.fromisoformat(value)))
    except ValueError:
        valid = False
    if not valid:
        raise ValueError("must be a time such as 2026-11-23T08:00Z")
    return value


def _match_a_type(value: tuple[str, ...]) -> tuple[str, ...]:
    known = stripe_event_types()
    for pattern in value:
        if not any(fnmatchcase(event_type, pattern.removeprefix("!")) for event_type in known):
            raise ValueError(f'contains "{pattern}", which matches none of Stripe\'s event types')
    return value


# TOML has only lists; frozen models need tuples.
def _are_accounts(value: tuple[str, ...]) -> tuple[str, ...]:
    if value == (names.ALL_ACCOUNTS,):
        return value
    for account in value:
        if not names.ACCOUNT_ID.fullmatch(account):
            raise ValueError(f'must be ["all"], or ids like acct_1Nv0FGQ9RKHgCVdK, not {account!r}')
    return value


Texts = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False)]
EventTypes = Annotated[
    tuple[Annotated[str, Field(pattern=r"^!?[a-z0-9_.*]+$")], ...],
    Field(strict=False),
    AfterValidator(_match_a_type),
]
Addresses = Annotated[
    tuple[Annotated[str, Field(pattern=rf"^([^@\s,]+@[^@\s,]+\.[^@\s,.]+|{NOBODY})$")], ...],
    Field(strict=False),
    AfterValidator(_somebody_where_live),
]
KeyArns = Annotated[
    tuple[Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$")], ...],
    Field(strict=False),
]
Accounts = Annotated[Texts, AfterValidator(_are_accounts)]
SecurityGroups = Annotated[Texts, AfterValidator(_network_is_whole)]
BucketName = Annotated[
    str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"), AfterValidator(_name_of_a_bucket)
]
ApiUrl = Annotated[str, AfterValidator(_https_outside_loopback)]
StripeReads = Annotated[int, AfterValidator(_within_stripes_limit)]
LogRetentionDays = Annotated[int, AfterValidator(_is_retention)]
BusLogs = Annotated[bool, AfterValidator(_only_of_test_events)]
ObjectLockDays = Annotated[int, AfterValidator(_protected)]
RecoveryDays = Annotated[int, AfterValidator(_is_recovery_window)]
Time = Annotated[str, AfterValidator(_is_iso_8601)]
GlacierDays = Annotated[int, AfterValidator(_after_standard_ia)]
ExpirationDays = Annotated[int, AfterValidator(_after_glacier)]
