"""The TLS context that all connections of a function share: reading the trusted certificates is expensive."""

from __future__ import annotations

import os
import ssl
from functools import cache
from pathlib import Path
from typing import Final

# The certificates of certifi, one per file, which the build writes into a bundle (ops.bundles.authorities).
# OpenSSL reads those that a connection needs.
AUTHORITIES: Final = Path(__file__).with_name("authorities")


@cache
def context() -> ssl.SSLContext:
    """Return the context that trusts the public certificate authorities, whatever the environment says."""
    if AUTHORITIES.is_dir():
        return ssl.create_default_context(capath=AUTHORITIES)
    # Outside a bundle.
    import certifi

    return ssl.create_default_context(cafile=certifi.where())


@cache
def aws_context() -> ssl.SSLContext:
    """Return the context for AWS: if AWS_CA_BUNDLE is set, it trusts that file alone, as boto3 does."""
    own = os.environ.get("AWS_CA_BUNDLE")
    return ssl.create_default_context(cafile=own) if own else context()
