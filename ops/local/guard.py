"""Who may ask a server of a local run: what this run started, and nobody else on the machine.

A server on loopback is reached by every user of the machine, and by every web page that a browser on it
shows: a page's own requests have an Origin, and a name of the page's that it lets point to loopback shows in
Host.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping

from functions.shared import names

# Of a request that is signed with AWS Signature Version 4; and of a presigned address, by either version.
_SIGNER = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/,\s]+)/")
_PRESIGNER = re.compile(r"(?:^|&)(?:X-Amz-Credential|AWSAccessKeyId)=([A-Za-z0-9]+)")


def foreign(headers: Mapping[str, str]) -> str | None:
    """Say why a request comes from a web page or for another host; None where it does not.

    Parameters
    ----------
    headers
        By their names in lower case.
    """
    if "origin" in headers:
        return "no web page may ask this server"
    host = headers.get("host", "")
    # [::1]:8080, or a name and perhaps a port.
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return None if name.lower() in names.LOOPBACK_HOSTS else "this server has another Host"


def has_bearer(authorization: str, key: str) -> bool:
    """Whether an Authorization header holds the key."""
    return _equal(authorization, f"Bearer {key}")


def is_signed_by(authorization: str, query: str, access_key_id: str) -> bool:
    """Whether a request of AWS names the access key; a made-up one is a password by itself."""
    found = _SIGNER.match(authorization) or _PRESIGNER.search(query)
    return found is not None and _equal(found[1], access_key_id)


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
