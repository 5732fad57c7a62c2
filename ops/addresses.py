"""The exported addresses of AWS, proxies and the database, checked before a command does anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from functions.shared import names
from functions.shared.errors import ConfigurationError
from ops.errors import OperatorError

ENDPOINT: Final = "AWS_ENDPOINT_URL"
PROXIES: Final = frozenset({"ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"})
DATABASES: Final = frozenset({names.DATABASE_URL, f"TF_VAR_{names.DATABASE_URL}"})


def check(environment: Mapping[str, str]) -> None:
    """Refuse an invalid address; an empty variable counts as unset.

    Raises
    ------
    OperatorError
        An address is invalid. The message leaves out a value that may hold credentials.
    """
    for name, value in sorted(environment.items()):
        if not value:
            continue
        if (name == ENDPOINT or name.startswith(f"{ENDPOINT}_")) and not is_endpoint(value):
            raise OperatorError(
                f"invalid {name}={_shown(value)}: expected a URL such as http://127.0.0.1:4566; unset it to "
                "reach AWS itself",
                usage=True,
            )
        if name.upper() in PROXIES and not _is_proxy(value):
            raise OperatorError(
                f"invalid {name}={_shown(value)}: expected the URL of a proxy such as http://127.0.0.1:3128, "
                "or unset it",
                usage=True,
            )
        if name in DATABASES:
            _check_database(value)


def is_endpoint(value: str) -> bool:
    """Return whether botocore accepts an address as an endpoint."""
    # Most commands run without an endpoint of their own, and Terraform needs no botocore.
    from botocore.utils import is_valid_endpoint_url, is_valid_ipv6_endpoint_url

    if value.partition("://")[0] not in ("http", "https") or not _has_host_and_port(value):
        return False
    return bool(is_valid_endpoint_url(value) or is_valid_ipv6_endpoint_url(value))


def _check_database(url: str) -> None:
    # Few commands run with a database, and the driver is slow to load.
    import psycopg

    from functions.ledger.connection import encryption

    try:
        encryption(url)
    except ConfigurationError as error:
        raise OperatorError(error.reason, usage=True) from None
    except (psycopg.Error, UnicodeError):
        # The connection reports it.
        return


def _is_proxy(value: str) -> bool:
    return _has_host_and_port(value if "://" in value else f"http://{value}")


def _has_host_and_port(value: str) -> bool:
    """Return whether there is a host that can be looked up, and a usable port or none."""
    try:
        url = urlsplit(value)
        usable = url.port is None or url.port > 0
        (url.hostname or "").encode("idna")
    except ValueError:
        return False
    return usable and bool(url.hostname) and not any(character.isspace() for character in value)


def _shown(value: str) -> str:
    return "***" if "@" in value else repr(value)
