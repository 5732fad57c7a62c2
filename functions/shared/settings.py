"""The functions' settings, from environment variables and the secret, read once per cold start.

A value comes from the environment variable of its name if that is set and not empty. Otherwise
HUNTAZE_API_KEY, STRIPE_SECRET_KEY and DATABASE_URL come from a secret. A failure is not cached: the next
invocation reads again.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final
from urllib.parse import urlsplit

from functions.shared import aws, names
from functions.shared.errors import ConfigurationError

# The characters that an HTTP header may hold without quoting.
_HEADER_VALUE: Final = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """What the payments and billing functions need.

    Parameters
    ----------
    livemode
        Whether this environment handles Stripe's live events, or its test events.
    api_url
        Base URL of the Huntaze API, without a trailing slash.
    idempotency_expiry_seconds
        How long a record is kept: longer than the archive keeps events, so that a replay of the oldest event
        still finds its record.
    dead_letter_queue_url
        The handler's own dead-letter queue, where it parks events that no retry can help.
    order
        One of `functions.shared.names.ORDERS`.
    stripe_reads_per_second
        Most objects that all functions of the environment together may fetch from Stripe per second.
    """

    livemode: bool
    api_url: str
    api_key: str = field(repr=False)
    idempotency_table: str
    idempotency_expiry_seconds: int
    dead_letter_queue_url: str
    order: str
    stripe_reads_per_second: int


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """What the audit function needs; without `database_url` the ledger is in S3 only.

    Parameters
    ----------
    dead_letter_queue_url
        The audit's FIFO dead-letter queue, where it parks messages that cannot be stored.
    """

    bucket: str
    dead_letter_queue_url: str
    database_url: str | None = field(repr=False)


@cache
def delivery_settings() -> DeliverySettings:
    """Read the settings of the payments and billing functions.

    Raises
    ------
    ConfigurationError
        Names the variable or secret key that is missing or wrong, without its value.
    TransientError
        Secrets Manager did not answer.
    """
    return DeliverySettings(
        livemode=livemode(),
        api_url=url(names.HUNTAZE_API_URL),
        api_key=_header_value(names.HUNTAZE_API_KEY),
        idempotency_table=required(names.IDEMPOTENCY_TABLE),
        idempotency_expiry_seconds=positive(names.IDEMPOTENCY_EXPIRY_SECONDS),
        dead_letter_queue_url=url(names.DEAD_LETTER_QUEUE_URL),
        order=one_of(names.ORDER, names.ORDERS),
        stripe_reads_per_second=positive(names.STRIPE_READS_PER_SECOND),
    )


def livemode() -> bool:
    """Whether the environment handles live events.

    Raises
    ------
    ConfigurationError
        LIVEMODE is missing or wrong.
    """
    return one_of(names.LIVEMODE, ("true", "false")) == "true"


@cache
def ledger_settings() -> LedgerSettings:
    """Read the settings of the audit function.

    Raises
    ------
    ConfigurationError
        Names the variable or secret key that is missing or wrong, without its value.
    TransientError
        Secrets Manager did not answer.
    """
    return LedgerSettings(
        bucket=required(names.LEDGER_BUCKET),
        dead_letter_queue_url=url(names.DEAD_LETTER_QUEUE_URL),
        database_url=secret(names.DATABASE_URL),
    )


def forget_settings() -> None:
    """Clear the cache, so that the next attempt reads all settings: a refused key may have been rotated."""
    delivery_settings.cache_clear()
    ledger_settings.cache_clear()
    _secret_document.cache_clear()


def secret(key: str) -> str | None:
    """Read a secret value; None if neither the environment nor a secret of the function has one.

    Raises
    ------
    ConfigurationError
        Names the variable or secret key that is missing or wrong, without its value.
    TransientError
        Secrets Manager did not answer.
    """
    value = _variable(key)
    ids = required(names.SECRET_IDS).split(",") if not value else []
    # Most functions never need their second secret.
    for secret_id in ids:
        value = _secret_document(secret_id).get(key, "").strip()
        if value:
            break
    return value or None


@cache
def _secret_document(secret_id: str) -> Mapping[str, str]:
    try:
        answer = aws.client("secretsmanager").get_secret_value(SecretId=secret_id)
    except aws.AwsError as error:
        raise aws.fault("Secrets Manager", error) from error
    try:
        document = json.loads(answer["SecretString"])
    except (KeyError, ValueError):
        # Without the cause: a JSON error quotes what it read.
        raise ConfigurationError(f"a secret of {names.SECRET_IDS} is not valid JSON; deploy again") from None
    if not isinstance(document, dict) or not all(isinstance(value, str) for value in document.values()):
        raise ConfigurationError(f"a secret of {names.SECRET_IDS} must be a JSON object of strings")
    return document


def _variable(name: str) -> str:
    return os.environ.get(name, "").strip()


def required(name: str) -> str:
    """Read a variable that must be set. This and the functions below raise ConfigurationError."""
    value = _variable(name)
    if not value:
        raise ConfigurationError(f"{name} is not set; deploy the environment's stack again")
    return value


def one_of(name: str, values: Sequence[str]) -> str:
    """Read a variable that must be one of `values`."""
    value = required(name)
    if value not in values:
        raise ConfigurationError(f"{name} must be one of {', '.join(values)}")
    return value


def positive(name: str) -> int:
    """Read a variable that is a whole number above 0."""
    value = required(name)
    if not value.isdecimal() or int(value) == 0:
        raise ConfigurationError(f"{name} must be a whole number above 0")
    return int(value)


def by_handler(name: str) -> Mapping[str, str]:
    """Read a variable that is a JSON object with a string for each handler."""
    try:
        value = json.loads(required(name))
    except ValueError:
        value = None
    if not isinstance(value, dict) or any(not isinstance(value.get(each), str) for each in names.HANDLERS):
        raise ConfigurationError(f"{name} must be a JSON object of {', '.join(names.HANDLERS)}")
    return value


def url(name: str) -> str:
    """Read a variable that is a URL without a query: https, or http on loopback."""
    value = required(name).rstrip("/")
    try:
        parts = urlsplit(value)
        # A path that is appended after "?" or "#" would not be part of the path.
        plain = bool(parts.hostname) and "@" not in parts.netloc and not any(sign in value for sign in "?#")
        private = parts.scheme == "https" or (
            parts.scheme == "http" and parts.hostname in names.LOOPBACK_HOSTS
        )
        valid = private and plain and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid or not _HEADER_VALUE.fullmatch(value):
        raise ConfigurationError(f"{name} must be a URL like https://api.example.com, without a query")
    return value


def _header_value(name: str) -> str:
    value = secret(name)
    if value is None:
        raise ConfigurationError(f"{name} is not set, and not in the secret; export it and deploy again")
    if not _HEADER_VALUE.fullmatch(value):
        raise ConfigurationError(f"{name} contains a space, a line break or a non-ASCII character")
    return value
