"""Servers on loopback: a free port for each, and which requests they accept.

Every user of the machine can reach a server on loopback, and so can every web page in a browser on it. The
requests of a page carry an Origin header; a host name that a page points to loopback shows in Host.
"""

from __future__ import annotations

import hmac
import re
import secrets
import socket
from collections.abc import Mapping
from typing import Final

from functions.shared import names

LOOPBACK: Final = "127.0.0.1"
# Below those that the kernel gives to outgoing connections, from 32768 on Linux and from 49152 on macOS: a
# restored deploy finds its ports free.
PORTS: Final = range(20_000, 32_768)
# The access key of a request signed with AWS Signature Version 4, and of a presigned URL of either version.
_SIGNER: Final = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/,\s]+)/")
_PRESIGNER: Final = re.compile(r"(?:^|&)(?:X-Amz-Credential|AWSAccessKeyId)=([A-Za-z0-9]+)")


def free_port() -> int:
    """Return a free TCP port of the loopback interface.

    Another process may take it before the caller binds it; callers retry with another port.
    """
    tried = (secrets.choice(PORTS) for _ in PORTS)
    return next(filter(is_free, tried))


def is_free(port: int) -> bool:
    """Return whether a server can listen on a TCP port of the loopback interface."""
    with socket.socket() as probe:
        # As the servers do: a connection that has just ended does not keep its port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def refusal(headers: Mapping[str, str]) -> str | None:
    """Return why a request is refused: it comes from a web page or names another host. None if it is not.

    Parameters
    ----------
    headers
        By lower-case name.
    """
    if "origin" in headers:
        return "requests from web pages are refused"
    host = headers.get("host", "")
    # [::1]:8080, or a name with an optional port.
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return None if name.lower() in names.LOOPBACK_HOSTS else "unknown Host header"


def has_bearer(authorization: str, key: str) -> bool:
    """Whether an Authorization header holds the key."""
    return equal(authorization, f"Bearer {key}")


def signer(authorization: str, query: str) -> str:
    """Return the access key that an AWS request names; empty if it names none."""
    found = _SIGNER.match(authorization) or _PRESIGNER.search(query)
    return found[1] if found else ""


def equal(one: str, other: str) -> bool:
    """Compare two keys in constant time; a random access key is as good as a password."""
    return hmac.compare_digest(one.encode(), other.encode())
