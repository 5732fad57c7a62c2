"""The servers of a local run: embedded AWS, PostgreSQL, the reference Huntaze API, the reference Stripe API.

All listen on free loopback ports, write below the run's folder, and end with the run.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx

from ops import ROOT
from ops.errors import OperatorError
from ops.local.clients import CREDENTIALS, Aws, Control
from ops.local.loopback import LOOPBACK, free_port
from ops.local.ports import Ports
from ops.local.postgres import running_postgres
from ops.local.watch import ServerEndedError, Watch

REGION: Final = "eu-west-1"
START_DEADLINE_SECONDS: Final = 60.0
STOP_DEADLINE_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.05
START_ATTEMPTS: Final = 3
ASYNC_RETRY_BASE_SECONDS: Final = "1"
JOURNAL: Final = "journal.jsonl"


class ServiceError(OperatorError):
    """A server of the run did not start; the message names its log."""


@dataclass(frozen=True)
class Secrets:
    """What an operator exports before a deploy; random in each run, so that a leak can be searched for."""

    huntaze_api_key: str = field(default_factory=lambda: "hk_" + secrets.token_hex(16), repr=False)
    stripe_secret_key: str = field(default_factory=lambda: "sk_test_" + secrets.token_hex(16), repr=False)


@dataclass(frozen=True)
class Services:
    """Where the servers of a run listen.

    Parameters
    ----------
    folder
        The run's folder.
    aws
        The embedded AWS.
    api_url
        Base URL of the reference Huntaze API.
    database_url
        The ledger's PostgreSQL; contains its password.
    watch
        Notices when one of them ends.
    stripe_url
        Base URL of the reference Stripe API; empty if it doesn't run.
    """

    folder: Path
    aws: Aws
    api_url: str
    database_url: str = field(repr=False)
    secrets: Secrets = field(repr=False)
    watch: Watch = field(default_factory=Watch, repr=False)
    stripe_url: str = ""

    @property
    def api_control(self) -> Control:
        """The control paths of the reference API."""
        return Control(self.api_url, self.secrets.huntaze_api_key)

    def urls(self) -> dict[str, str]:
        """Return where the servers listen, by name and without credentials."""
        database = self.database_url.rpartition("@")[2]
        found = {"embedded AWS": self.aws.url, "reference API": self.api_url, "PostgreSQL": database}
        return found | ({"reference Stripe API": self.stripe_url} if self.stripe_url else {})

    def ports(self) -> Ports:
        """Return the ports of the servers whose addresses are part of a deploy."""
        aws, api, database = (urlsplit(url).port for url in (self.aws.url, self.api_url, self.database_url))
        return Ports(aws, api, database)

    def environment(self) -> dict[str, str]:
        """Return the process environment in which AWS SDKs and Terraform reach the embedded AWS only."""
        return isolated_environment(self.folder) | {"AWS_ENDPOINT_URL": self.aws.url}


@contextmanager
def running_services(
    folder: Path, *, with_stripe: bool = False, ports: Ports | None = None, created: Secrets | None = None
) -> Iterator[Services]:
    """Start the servers, yield where they listen, and stop them in reverse order.

    Parameters
    ----------
    with_stripe
        Whether to start the reference Stripe API too.
    ports, created
        Those of a saved deploy, whose files are in `folder`; None for free ports and random secrets.

    Raises
    ------
    ServiceError, PostgresError
        One of them doesn't answer in time.
    """
    given, watch = created or Secrets(), Watch()
    at = ports or Ports()
    with ExitStack() as stack:
        database_url, aws_url, api_url = _together(
            stack,
            running_postgres(folder / "postgres", at.database, watch),
            running_emulator(folder / "aws", at.aws, watch=watch),
            running_reference_api(folder / "api", given.huntaze_api_key, at.api, watch),
        )
        stripe_url = ""
        if with_stripe:
            stripe_url = stack.enter_context(
                running_reference_stripe(
                    folder / "stripe", given.stripe_secret_key, watch=watch, aws_url=aws_url
                )
            )
        yield Services(folder, Aws(aws_url, REGION), api_url, database_url, given, watch, stripe_url)


def _together(stack: ExitStack, *servers: AbstractContextManager[str]) -> list[str]:
    """Start servers at the same time; the stack stops those that started, also if another one did not."""
    with ThreadPoolExecutor(len(servers)) as pool:
        starts = [pool.submit(server.__enter__) for server in servers]
    for server, start in zip(servers, starts, strict=True):
        if start.exception() is None:
            stack.push(server)
    return [start.result() for start in starts]


@contextmanager
def running_emulator(
    folder: Path,
    port: int | None = None,
    retry_base_seconds: str = ASYNC_RETRY_BASE_SECONDS,
    watch: Watch | None = None,
) -> Iterator[str]:
    """Run the embedded AWS with its state below `folder`; yield its URL.

    Parameters
    ----------
    retry_base_seconds
        Delay before Lambda's first retry of an asynchronous invocation; the next is twice as long.
    """
    environment = isolated_environment(folder) | {
        "LAMBDA_ASYNC_RETRY_BASE_SECONDS": retry_base_seconds,
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }
    command = ["-m", "ops.emulator", "--state-dir", str(folder)]
    health, key = "/_ministack/health", CREDENTIALS.access_key_id
    with _server("embedded AWS", command, folder, environment, health, key, port, watch) as url:
        yield url


@contextmanager
def running_reference_api(
    folder: Path, api_key: str, port: int | None = None, watch: Watch | None = None
) -> Iterator[str]:
    """Run the reference Huntaze API with its journal below `folder`; yield its URL."""
    more = ["--journal", str(folder / JOURNAL)]
    with _reference_server("reference API", "huntaze", more, folder, api_key, port, watch) as url:
        yield url


@contextmanager
def running_reference_stripe(
    folder: Path, secret_key: str, port: int | None = None, watch: Watch | None = None, aws_url: str = ""
) -> Iterator[str]:
    """Run the reference Stripe API; yield its URL.

    Parameters
    ----------
    aws_url
        The embedded AWS in which event destinations have their event sources; empty for none.
    """
    more = ["--aws-url", aws_url, "--aws-region", REGION] if aws_url else []
    with _reference_server("reference Stripe API", "stripe", more, folder, secret_key, port, watch) as url:
        yield url


@contextmanager
def _reference_server(
    name: str,
    module: str,
    more: list[str],
    folder: Path,
    key: str,
    port: int | None,
    watch: Watch | None,
) -> Iterator[str]:
    folder.mkdir(parents=True, exist_ok=True)
    key_file = folder / "key"
    key_file.touch(mode=0o600)
    key_file.write_text(key)
    command = ["-m", f"ops.reference.{module}", "--key-file", str(key_file), *more]
    environment = isolated_environment(folder)
    with _server(name, command, folder, environment, "/_control/requests", key, port, watch) as url:
        yield url


def isolated_environment(folder: Path) -> dict[str, str]:
    """Return this environment without the operator's settings for AWS and Terraform, and without secrets.

    It has random credentials, no instance metadata and no profile files: nothing can reach the real AWS.
    """
    dropped = ("AWS_", "TF_", "HUNTAZE_API", "STRIPE_", "DATABASE_URL", "POWERTOOLS_")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(dropped) or name in ("TF_PLUGIN_MIRROR", "AWS_CA_BUNDLE")
    }
    no_proxy = ",".join(filter(None, [kept.get("NO_PROXY"), LOOPBACK, "localhost"]))
    return kept | {
        **CREDENTIALS.environment(),
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "CHECKPOINT_DISABLE": "1",
        "NO_PROXY": no_proxy,
        "no_proxy": no_proxy,
        "TMPDIR": str(_temporary(folder)),
    }


def _temporary(folder: Path) -> Path:
    path = folder / "tmp"
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def _server(
    name: str,
    command: list[str],
    folder: Path,
    environment: Mapping[str, str],
    health_path: str,
    key: str,
    port: int | None,
    watch: Watch | None = None,
) -> Iterator[str]:
    """Start one Python server on a loopback port, wait until it answers, and stop it afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    log_path = folder / "server.log"
    for attempt in range(START_ATTEMPTS):
        chosen = port or free_port()
        url = f"http://{LOOPBACK}:{chosen}"
        with log_path.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *command, "--port", str(chosen)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env=dict(environment),
                start_new_session=True,
            )
        try:
            if _answers(process, health_path, Control(url, key)):
                with (watch or Watch()).over(f"the {name}", process, log_path):
                    yield url
                return
        except ServerEndedError:
            # The run is lost, so an orderly end of the other servers is not worth waiting for.
            process.kill()
            raise
        finally:
            stop(process)
        if port is not None or attempt == START_ATTEMPTS - 1:
            break
    raise not_started(f"the {name}", log_path)


def _answers(process: subprocess.Popen[bytes], health_path: str, control: Control) -> bool:
    deadline = time.monotonic() + START_DEADLINE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            control.ask("GET", health_path, timeout=START_DEADLINE_SECONDS)
        except httpx.HTTPError:
            time.sleep(POLL_SECONDS)
        else:
            return True
    return False


def not_started(name: str, log: Path) -> ServiceError:
    """Return the error of a server that did not start, with the last line of its log."""
    lines = log.read_text(errors="replace").strip().splitlines() or ["it wrote nothing"]
    return ServiceError(f"{name} did not start: {lines[-1]} (log: {log})")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server, and wait until it has ended."""
    process.terminate()
    try:
        process.wait(STOP_DEADLINE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
