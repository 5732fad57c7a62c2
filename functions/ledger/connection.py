"""The connection to the ledger's PostgreSQL: encrypted, and to nobody but the server that the URL names.

libpq's own default is ``sslmode=prefer``: a server, or whoever stands before it, that says it has no TLS is
given the password in clear text and then every event (PostgreSQL, "SSL Support", table 32.1).
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
# These encrypt nothing, or stop encrypting where the other side asks for it.
PLAIN_MODES: Final = frozenset({"disable", "allow", "prefer"})
# Certificate authorities of a database whose own is not among the public ones, such as Amazon RDS.
OWN_AUTHORITIES: Final = Path(__file__).with_name("database-ca.pem")


def connect(database_url: str, **options: Any) -> psycopg.Connection:
    """Connect to PostgreSQL.

    Raises
    ------
    ConfigurationError
        The URL leaves the connection without TLS.
    psycopg.Error
        The connection did not come about.
    """
    return psycopg.connect(make_conninfo(database_url, **encryption(database_url)), **options)


def encryption(database_url: str) -> dict[str, str]:
    """Return what libpq has to be told besides the URL: nothing on loopback, else what the URL leaves open.

    The certificate is checked against ``database-ca.pem`` beside this module where that file is, and against
    the public authorities otherwise: the certificates of the machine are not where psycopg's own OpenSSL
    looks. ``sslmode=require`` and ``sslmode=verify-ca`` in the URL are its owner's word.

    Raises as :func:`connect` does.
    """
    parameters = conninfo_to_dict(database_url)
    if _is_loopback(parameters):
        return {}
    mode = parameters.get("sslmode")
    if mode in PLAIN_MODES:
        raise ConfigurationError(
            f"{names.DATABASE_URL} has sslmode={mode}, which may send events in clear text: leave sslmode "
            f"out for {VERIFIED}, or give require where the server's certificate can't be checked"
        )
    wanted = {} if mode else {"sslmode": VERIFIED}
    if mode != "require" and not parameters.get("sslrootcert"):
        wanted["sslrootcert"] = str(OWN_AUTHORITIES) if OWN_AUTHORITIES.is_file() else certifi.where()
    return wanted


def _is_loopback(parameters: dict[str, Any]) -> bool:
    """Whether every server is on this machine; one that only a service file names counts as elsewhere."""
    servers = str(parameters.get("hostaddr") or parameters.get("host") or "")
    return bool(servers) and all(_is_here(server) for server in servers.split(","))


def _is_here(server: str) -> bool:
    # The folder or the abstract name of a Unix socket.
    if server == "localhost" or server.startswith(("/", "@")):
        return True
    try:
        return ipaddress.ip_address(server).is_loopback
    except ValueError:
        return False
