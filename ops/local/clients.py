"""boto3 clients for an embedded AWS: dummy credentials, never the operator's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import boto3
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
        make_client = cast(Any, boto3.client)  # the stubs want a literal name; here it is the caller's
        return make_client(
            service,
            endpoint_url=self.url,
            region_name=self.region,
            aws_access_key_id=DUMMY_CREDENTIAL,
            aws_secret_access_key=DUMMY_CREDENTIAL,
            config=CONFIG,
        )
