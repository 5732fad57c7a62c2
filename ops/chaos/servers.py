"""The servers of a chaos run: each can be stopped, and started again on its port with its data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from ops.local.clients import Aws, Control
from ops.local.loopback import free_port
from ops.local.postgres import running_postgres
from ops.local.services import REGION, Secrets, Services, running_emulator, running_reference_api
from ops.local.watch import Watch

# Lambda retries after one and two minutes; here after two and four seconds, a thirtieth of that. The record
# of a killed handler stays in progress until the function's time-out. In the phase that kills handlers that
# is four seconds, so as in AWS it has passed before the last retry.
RETRY_BASE_SECONDS: Final = "2"
CONTROL_SECONDS: Final = 30.0


class Server:
    """One server that can be started and stopped any number of times."""

    def __init__(self, run: Callable[[], AbstractContextManager[str]]) -> None:
        self._run = run
        self._running: ExitStack | None = None

    def start(self) -> str:
        """Start it and return its URL."""
        if self._running is not None:
            raise RuntimeError("the server is already running")
        running = ExitStack()
        url = running.enter_context(self._run())
        self._running = running
        return url

    def stop(self) -> None:
        """Stop it with SIGTERM; do nothing if it isn't running."""
        running, self._running = self._running, None
        if running is not None:
            running.close()


@dataclass(frozen=True)
class Servers:
    """The three servers; faults can be injected into two of them."""

    services: Services
    emulator: Server
    api: Server
    postgres: Server

    def inject_api_fault(self, fault: Mapping[str, Any]) -> None:
        """Inject a failure into the reference API; see `ops.reference.huntaze.Fault`."""
        _control("POST", self.services.api_control, fault)

    def inject_aws_fault(self, fault: Mapping[str, Any]) -> None:
        """Inject a failure into the embedded AWS; see `ops.emulator.faults.AwsFault`."""
        _control("POST", self.services.aws.control, fault)

    def use_dialect(self, dialect: str) -> None:
        """Let the reference API use an idempotency dialect; see `ops.reference.huntaze.dialects`."""
        _control("PUT", self.services.api_control, {"dialect": dialect}, "dialect")

    def remove_faults(self) -> tuple[list[int], list[int]]:
        """Remove all faults; return how often each struck, in order: those of the API, those of the AWS."""
        struck = []
        for control in (self.services.api_control, self.services.aws.control):
            listed = _control("GET", control).json()["faults"]
            struck.append([entry["struck"] for entry in listed])
            _control("DELETE", control)
        return struck[0], struck[1]

    def restart_emulator(self) -> None:
        """Restart the embedded AWS, which keeps its state: every function starts cold."""
        self.emulator.stop()
        self.emulator.start()


@contextmanager
def running_servers(folder: Path) -> Iterator[Servers]:
    """Start PostgreSQL, the embedded AWS and the reference API; stop what still runs afterwards.

    Raises
    ------
    OperatorError
        One of them does not start.
    """
    created, watch = Secrets(), Watch()
    ports = {name: free_port() for name in ("postgres", "aws", "api")}
    postgres = Server(lambda: running_postgres(folder / "postgres", ports["postgres"], watch))
    emulator = Server(lambda: running_emulator(folder / "aws", ports["aws"], RETRY_BASE_SECONDS, watch))
    api = Server(lambda: running_reference_api(folder / "api", created.huntaze_api_key, ports["api"], watch))
    with ExitStack() as stack:
        for server in (postgres, emulator, api):
            stack.callback(server.stop)
        database_url = postgres.start()
        services = Services(folder, Aws(emulator.start(), REGION), api.start(), database_url, created, watch)
        yield Servers(services, emulator, api, postgres)


def _control(
    method: str, control: Control, body: Mapping[str, Any] | None = None, path: str = "faults"
) -> httpx.Response:
    return control.ask(method, f"/_control/{path}", json=body, timeout=CONTROL_SECONDS)
