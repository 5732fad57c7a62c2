"""boto3 clients for an embedded AWS: made-up credentials, never the operator's own, nor any profile."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Self, cast

import boto3
import botocore.session
from botocore.config import Config

# The embedded AWS answers within milliseconds; a retry would hide that it didn't.
CONFIG = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=60, proxies={})


@dataclass(frozen=True)
class Credentials:
    """What an embedded AWS takes; with any other access key it answers 403."""

    access_key_id: str
    secret_access_key: str = field(repr=False)

    @classmethod
    def made_up(cls) -> Self:
        """Make new ones, which no account has and nobody guesses."""
        return cls(f"AKIA{secrets.token_hex(16).upper()}", secrets.token_hex(20))

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """Return those that a process of a run was started with."""
        return cls(environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"])

    def environment(self) -> dict[str, str]:
        """Return the variables in which AWS SDKs and Terraform look for them."""
        return {"AWS_ACCESS_KEY_ID": self.access_key_id, "AWS_SECRET_ACCESS_KEY": self.secret_access_key}


# Of every embedded AWS that this process starts: one run has one process.
CREDENTIALS = Credentials.made_up()


@dataclass(frozen=True)
class Control:
    """The control paths of a server of a run, and the key that they ask for."""

    url: str
    key: str = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """What each request needs."""
        return {"Authorization": f"Bearer {self.key}"}


@dataclass(frozen=True)
class Aws:
    """Where an embedded AWS listens, the region that it plays, and the credentials that it takes."""

    url: str
    region: str
    credentials: Credentials = CREDENTIALS

    @property
    def control(self) -> Control:
        """Its control paths."""
        return Control(self.url, self.credentials.access_key_id)

    def client(self, service: str) -> Any:
        """Return a boto3 client of the named service."""
        make_client = cast(Any, _session().client)  # the stubs want a literal name; here it is the caller's
        return make_client(
            service,
            endpoint_url=self.url,
            region_name=self.region,
            aws_access_key_id=self.credentials.access_key_id,
            aws_secret_access_key=self.credentials.secret_access_key,
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
