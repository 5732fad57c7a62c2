"""The webhook peer under load: uvicorn serves it in one process, and clients post signed events to it."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

import httpx

from bench import packages, path, report, sides
from bench.endpoint import API_KEY, Endpoint
from functions.shared import names
from ops.bundles import host_target
from ops.local.loopback import LOOPBACK, free_port

SIGNING_SECRET: Final = f"whsec_{token_hex(16)}"
CLIENTS: Final = 4
START_SECONDS: Final = 30
POLL_SECONDS: Final = 0.05
STOP_SECONDS: Final = 10
TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Webhook:
    """The running application: its process, its URL, and the size of its package in bytes."""

    process: subprocess.Popen[bytes]
    url: str
    zip_bytes: int
    secret: str = field(default=SIGNING_SECRET, repr=False)

    def post(self, client: httpx.Client, envelope: Mapping[str, Any]) -> httpx.Response:
        """Post an envelope's event as Stripe does."""
        body = json.dumps(envelope["detail"])
        now = int(time.time())
        signature = hmac.new(self.secret.encode(), f"{now}.{body}".encode(), hashlib.sha256).hexdigest()
        return client.post(
            f"{self.url}/stripe", content=body, headers={"Stripe-Signature": f"t={now},v1={signature}"}
        )

    def cpu_ms(self) -> float:
        """Return the CPU time that the process has taken, in milliseconds."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * 1000 / TICKS


@contextmanager
def running(
    folder: Path, endpoint: Endpoint, variables: Mapping[str, str] | None = None
) -> Iterator[Webhook]:
    """Deploy the application below a folder, and serve it until the block ends.

    Raises
    ------
    OperatorError
        Pip can't install its packages.
    RuntimeError
        It does not answer.
    """
    task = packages.deployed("webhook", packages.installed(host_target()), folder / "webhook")
    path.compiled(task, path.interpreter())
    function = path.function("", task, endpoint, "webhook")
    port = free_port()
    command = [function.command[0], "-S", "-m", "uvicorn", "bench.peers.webhook:application"]
    command += ["--host", LOOPBACK, "--port", str(port), "--no-access-log", "--log-level", "warning"]
    environment = {
        **function.environment,
        names.HUNTAZE_API_KEY: API_KEY,
        **(variables or {}),
        "STRIPE_SIGNING_SECRET": SIGNING_SECRET,
    }
    with subprocess.Popen(command, env=environment, cwd=task, stdin=subprocess.DEVNULL) as process:
        try:
            _wait(process, f"http://{LOOPBACK}:{port}")
            yield Webhook(process, f"http://{LOOPBACK}:{port}", sides.zipped(task))
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def measure(webhook: Webhook, warm_up: Sequence[Any], events: Sequence[Any]) -> report.Webhook:
    """Post events and return what one takes.

    Raises
    ------
    RuntimeError
        The application did not apply an event.
    """
    _post_all(webhook, warm_up)
    before = webhook.cpu_ms()
    _post_all(webhook, events)
    cpu_ms = (webhook.cpu_ms() - before) / len(events)
    return report.Webhook(cpu_ms=cpu_ms, zip_bytes=webhook.zip_bytes)


def _post_all(webhook: Webhook, events: Sequence[Any]) -> None:
    with ThreadPoolExecutor(CLIENTS) as clients:
        list(
            clients.map(
                lambda share: _post(webhook, share), [events[each::CLIENTS] for each in range(CLIENTS)]
            )
        )


def _post(webhook: Webhook, events: Sequence[Any]) -> None:
    with httpx.Client(timeout=START_SECONDS) as client:
        for event in events:
            response = webhook.post(client, event)
            if response.json() != {"outcome": "applied"}:
                raise RuntimeError(f"the webhook answered {response.status_code}: {response.text}")


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            httpx.get(url, trust_env=False)
        except httpx.TransportError:
            time.sleep(POLL_SECONDS)
        else:
            return
    raise RuntimeError(f"the webhook's application did not start (exit code {process.poll()})")
