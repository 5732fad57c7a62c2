"""boto3 clients for an embedded AWS: dummy credentials, never the operator's own, nor any profile."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import boto3
import botocore.session
from botocore.config import Config

DUMMY_CREDENTIAL = "test"
# The embedded AWS answers within milliseconds; a retry would hide that it didn't.
CONFIG = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=60, proxies={})


@dataclass(frozen=True)
class Aws:
    """Where an embedded AWS listens, and the region that it plays."""

    url: str
    region: str

    def client(self, service: str) -> Any:
        """Return a boto3 client of the named service."""
        make_client = cast(Any, _session().client)  # the stubs want a literal name; here it is the caller's
        return make_client(
            service,
            endpoint_url=self.url,
            region_name=self.region,
            aws_access_key_id=DUMMY_CREDENTIAL,
            aws_secret_access_key=DUMMY_CREDENTIAL,
            config=CONFIG,
        )


@cache
def _session() -> boto3.Session:
    """A session that reads neither AWS_PROFILE nor a configuration file: a wrong one must not matter here."""
    # Each is told by its name in a configuration file, its variable, its default, and its conversion.
    nothing = (None, None, os.devnull, None)
    variables = {"profile": (None, None, None, None), "config_file": nothing, "credentials_file": nothing}
    make_session = cast(Any, botocore.session.Session)  # untyped
    return boto3.Session(botocore_session=make_session(session_vars=variables))
