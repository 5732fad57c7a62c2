"""The servers of a chaos run: each can be stopped and started again on its port, with what it remembers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from ops.local.clients import Aws, Control
from ops.local.loopback import free_port
from ops.local.postgres import running_postgres
from ops.local.services import REGION, Secrets, Services, running_emulator, running_reference_api
from ops.local.watch import Watch

# Lambda retries after one and two minutes; here after two and four seconds, a thirtieth of it. A killed
# handler's record stays in progress until its function's time-out: of four seconds, where handlers are
# killed, as in AWS it is over before the last retry.
RETRY_BASE_SECONDS = "2"
CONTROL_SECONDS = 30.0


class Server:
    """One server: runs from `start` to `stop`, any number of times."""

    def __init__(self, run: Callable[[], AbstractContextManager[str]]) -> None:
        self._run = run
        self._running: ExitStack | None = None

    def start(self) -> str:
        """Start it and return its URL; what runs goes on."""
        if self._running is not None:
            raise RuntimeError("the server runs already")
        running = ExitStack()
        url = running.enter_context(self._run())
        self._running = running
        return url

    def stop(self) -> None:
        """End it as SIGTERM does; nothing happens where it does not run."""
        running, self._running = self._running, None
        if running is not None:
            running.close()


@dataclass(frozen=True)
class World:
    """The three servers, and the faults that can be ordered from two of them."""

    services: Services
    emulator: Server
    api: Server
    postgres: Server

    def fail_api(self, fault: Mapping[str, Any]) -> None:
        """Order a failure from the reference API; see `ops.reference.huntaze.Fault`."""
        _ask("POST", self.services.api_control, fault)

    def fail_aws(self, fault: Mapping[str, Any]) -> None:
        """Order a failure from the embedded AWS; see `ops.emulator.faults.AwsFault`."""
        _ask("POST", self.services.aws.control, fault)

    def speak(self, dialect: str) -> None:
        """Let the reference API answer in a dialect; see `ops.reference.huntaze.dialects`."""
        _ask("PUT", self.services.api_control, {"dialect": dialect}, "dialect")

    def lift_faults(self) -> tuple[list[int], list[int]]:
        """Lift all faults; return how often each of the API and each of the AWS struck, in their order."""
        struck = []
        for control in (self.services.api_control, self.services.aws.control):
            listed = _ask("GET", control).json()["faults"]
            struck.append([entry["struck"] for entry in listed])
            _ask("DELETE", control)
        return struck[0], struck[1]

    def restart_emulator(self) -> None:
        """Stop the embedded AWS, which keeps its state, and start it again: every function starts cold."""
        self.emulator.stop()
        self.emulator.start()


@contextmanager
def running_world(folder: Path) -> Iterator[World]:
    """Start PostgreSQL, the embedded AWS and the reference API; end what still runs afterwards.

    Raises
    ------
    OperatorError
        When one of them does not start.
    """
    made_up, watch = Secrets(), Watch()
    ports = {name: free_port() for name in ("postgres", "aws", "api")}
    postgres = Server(lambda: running_postgres(folder / "postgres", ports["postgres"], watch))
    emulator = Server(lambda: running_emulator(folder / "aws", ports["aws"], RETRY_BASE_SECONDS, watch))
    api = Server(lambda: running_reference_api(folder / "api", made_up.huntaze_api_key, ports["api"], watch))
    with ExitStack() as stack:
        for server in (postgres, emulator, api):
            stack.callback(server.stop)
        database_url = postgres.start()
        services = Services(folder, Aws(emulator.start(), REGION), api.start(), database_url, made_up, watch)
        yield World(services, emulator, api, postgres)


def _ask(
    method: str, control: Control, order: Mapping[str, Any] | None = None, about: str = "faults"
) -> httpx.Response:
    return httpx.request(
        method,
        f"{control.url}/_control/{about}",
        json=order,
        headers=control.headers,
        trust_env=False,
        timeout=CONTROL_SECONDS,
    ).raise_for_status()
