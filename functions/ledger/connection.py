"""The connection to the ledger's PostgreSQL: encrypted, and only to the server that the URL names.

libpq's default is `sslmode=prefer`: it sends the password and then every event in clear text to any server,
or anyone in between, that claims to have no TLS (PostgreSQL, "SSL Support", table 32.1).
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any, Final

import certifi
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from functions.shared import names
from functions.shared.errors import ConfigurationError

VERIFIED: Final = "verify-full"
# These modes do not encrypt, or stop encrypting if the other side asks for it.
PLAIN_MODES: Final = frozenset({"disable", "allow", "prefer"})
# The certificate authorities of a database that uses no public one, such as Amazon RDS.
OWN_AUTHORITIES: Final = Path(__file__).with_name("database-ca.pem")


def connect(database_url: str, **options: Any) -> psycopg.Connection:
    """Connect to PostgreSQL.

    Raises
    ------
    ConfigurationError
        The URL leaves the connection without TLS.
    psycopg.Error
        The connection failed.
    """
    return psycopg.connect(make_conninfo(database_url, **encryption(database_url)), **options)


def encryption(database_url: str) -> dict[str, str]:
    """Return the TLS parameters for libpq that the URL leaves open; none on loopback.

    The certificate is checked against `database-ca.pem` beside this module if that file exists, and against
    the public authorities otherwise, because psycopg's own OpenSSL does not find those of the machine. An
    `sslmode=require` or `sslmode=verify-ca` in the URL is kept.

    Raises
    ------
    ConfigurationError
        The URL leaves the connection without TLS.
    """
    parameters = conninfo_to_dict(database_url)
    if _is_loopback(parameters):
        return {}
    mode = parameters.get("sslmode")
    if mode in PLAIN_MODES:
        raise ConfigurationError(
            f"{names.DATABASE_URL} has sslmode={mode}, which may send events in clear text: remove sslmode "
            f"for {VERIFIED}, or use require if the server's certificate can't be checked"
        )
    wanted = {} if mode else {"sslmode": VERIFIED}
    if mode != "require" and not parameters.get("sslrootcert"):
        wanted["sslrootcert"] = str(OWN_AUTHORITIES) if OWN_AUTHORITIES.is_file() else certifi.where()
    return wanted


def _is_loopback(parameters: dict[str, Any]) -> bool:
    """Whether every server is on this machine; a server that a service file names counts as remote."""
    servers = str(parameters.get("hostaddr") or parameters.get("host") or "")
    return bool(servers) and all(_is_local(server) for server in servers.split(","))


def _is_local(server: str) -> bool:
    # A Unix socket: its folder or its abstract name.
    if server == "localhost" or server.startswith(("/", "@")):
        return True
    try:
        return ipaddress.ip_address(server).is_loopback
    except ValueError:
        return False
