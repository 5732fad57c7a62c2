"""boto3 clients for an embedded AWS: with random credentials, never the operator's own or a profile."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, Self, cast

import boto3
import botocore.session
import httpx
from botocore.config import Config

# The embedded AWS answers within milliseconds; a retry would hide a failure.
CONFIG: Final = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=60, proxies={})


@dataclass(frozen=True)
class Credentials:
    """The credentials of an embedded AWS, which answers 403 to any other access key."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)

    @classmethod
    def random(cls) -> Self:
        """Return new random ones, which no account has."""
        return cls(f"AKIA{secrets.token_hex(16).upper()}", secrets.token_hex(20))

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """Return the credentials in a process environment."""
        return cls(
            environment["AWS_ACCESS_KEY_ID"],
            environment["AWS_SECRET_ACCESS_KEY"],
            environment.get("AWS_SESSION_TOKEN"),
        )

    def environment(self) -> dict[str, str]:
        """Return the variables that AWS SDKs and Terraform read."""
        keys = {"AWS_ACCESS_KEY_ID": self.access_key_id, "AWS_SECRET_ACCESS_KEY": self.secret_access_key}
        return keys | ({"AWS_SESSION_TOKEN": self.session_token} if self.session_token else {})


# The same for every embedded AWS that this process starts; a run is one process.
CREDENTIALS: Final = Credentials.random()


@dataclass(frozen=True)
class Control:
    """The control paths of a run's server, and the key that they require."""

    url: str
    key: str = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """The headers that each request needs."""
        return {"Authorization": f"Bearer {self.key}"}

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request to a control path, never through a proxy; the options are those of httpx.

        Raises
        ------
        httpx.HTTPError
            The server does not answer, or answers with an error.
        """
        url = f"{self.url}{path}"
        return _http().request(method, url, headers=self.headers, **options).raise_for_status()


@dataclass(frozen=True)
class Aws:
    """An embedded AWS: its URL, region and credentials."""

    url: str
    region: str
    credentials: Credentials = CREDENTIALS

    @property
    def control(self) -> Control:
        """Its control paths."""
        return Control(self.url, self.credentials.access_key_id)

    def client(self, service: str, config: Config = CONFIG) -> Any:
        """Return a boto3 client of the named service."""
        make_client = cast(Any, _session().client)  # the stubs want a literal name
        return make_client(
            service,
            endpoint_url=self.url,
            region_name=self.region,
            aws_access_key_id=self.credentials.access_key_id,
            aws_secret_access_key=self.credentials.secret_access_key,
            aws_session_token=self.credentials.session_token,
            config=config,
        )


@cache
def _http() -> httpx.Client:
    """Return the client of all control paths.

    To make one takes longer than a request, because it reads the certificate authorities. It keeps no
    connection: a server may be killed between two requests.
    """
    return httpx.Client(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))


@cache
def _session() -> boto3.Session:
    """Return a session that ignores AWS_PROFILE and configuration files, which may be invalid."""
    # Name in a configuration file, environment variable, default, conversion.
    nothing = (None, None, os.devnull, None)
    variables = {"profile": (None, None, None, None), "config_file": nothing, "credentials_file": nothing}
    make_session = cast(Any, botocore.session.Session)  # untyped
    return boto3.Session(botocore_session=make_session(session_vars=variables))
