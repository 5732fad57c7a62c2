"""One deployment for all end-to-end scenarios: real Terraform, real PostgreSQL, real HTTP, embedded AWS."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from ops.local import drive
from ops.local.accounting import Row
from ops.local.deployment import EVENT_SOURCE, Deployment, deploy
from ops.local.envelopes import GENERATIONS, SAMPLES
from ops.local.folder import run_folder
from ops.local.observations import FinishedEvent, ParkedMessage
from ops.local.observer import Observer
from ops.local.services import running_services
from ops.progress import Steps

DEADLINE_SECONDS = 60.0
POLL_SECONDS = 0.25
# What runs on a schedule is deployed, as seldom as may be, and runs when a scenario says so.
SETTINGS = {
    "AUTO_REDRIVE": "true",
    "AUTO_REDRIVE_MINUTES": "10",
    "RECONCILE": "heal",
    "RECONCILE_MINUTES": "1440",
}


@dataclass(frozen=True)
class Pipeline:
    """The deployed pipeline, with what the scenarios do to it."""

    deployment: Deployment
    observer: Observer

    def drive(self, *envelopes: dict[str, Any]) -> tuple[Row, ...]:
        """Put the envelopes on the bus and wait until each delivery is accounted for."""
        sent = drive.send(self.deployment.services.aws, EVENT_SOURCE, envelopes)
        return drive.wait_until_accounted(sent, self.observer)

    def outcomes(self, *event_ids: str) -> list[str]:
        """Return the outcomes of the events so far, in order; a parked event counts while it is parked."""
        seen = self.observer.look()
        everything: list[FinishedEvent | ParkedMessage] = [*seen.finished, *seen.parked]
        found = [one for one in everything if one.event_id in event_ids]
        return [one.outcome for one in sorted(found, key=lambda one: one.at)]

    def fail(self, **fault: Any) -> None:
        """Order a failure from the reference API."""
        self._control("POST", "faults", json=fault)

    def clear_faults(self) -> None:
        """Let the reference API answer rightly again."""
        self._control("DELETE", "faults")

    def requests(self, event_id: str) -> list[dict[str, Any]]:
        """Return the requests that the reference API received for an event."""
        everything = self._control("GET", "requests", params={"since": 0}).json()["requests"]
        return [request for request in everything if request["idempotency_key"] == event_id]

    def _control(self, method: str, path: str, **options: Any) -> httpx.Response:
        control = self.deployment.services.api_control
        url = f"{control.url}/_control/{path}"
        return httpx.request(
            method, url, headers=control.headers, trust_env=False, **options
        ).raise_for_status()

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """Take every message out of a queue, those that an observer still hides included, and return them."""
        sqs = self.deployment.services.aws.client("sqs")
        url = self.deployment.outputs.queues[queue]
        taken: list[dict[str, Any]] = []

        def is_empty() -> bool:
            batch = sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=10,
                AttributeNames=["All"],
                MessageAttributeNames=["All"],
            ).get("Messages", [])
            for message in batch:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            taken.extend(batch)
            return self.observer.queue_depths()[queue] == 0

        wait_for(is_empty, f"{queue} is empty")
        return taken


@pytest.fixture(scope="session")
def pipeline() -> Iterator[Pipeline]:
    """Deploy once; everything is gone when the last scenario has run."""
    with run_folder() as folder, running_services(folder) as services:
        drive.register_source(services.aws, EVENT_SOURCE)
        deployment = deploy(services, Steps(Console(quiet=True)), SETTINGS)
        yield Pipeline(deployment, Observer(services, deployment.outputs, since=time.time() * 1000))


@pytest.fixture
def working_api(pipeline: Pipeline) -> Iterator[None]:
    """Clear the faults that a scenario ordered."""
    yield
    pipeline.clear_faults()


def sample(generation: str, name: str) -> dict[str, Any]:
    """Return a shipped sample envelope."""
    envelope: dict[str, Any] = json.loads((SAMPLES / generation / f"{name}.json").read_text())
    return envelope


def fresh(envelope: dict[str, Any], event_id: str) -> dict[str, Any]:
    """Return the envelope with another event id, about an object of its own."""
    renamed = copy.deepcopy(envelope)
    renamed["detail"]["id"] = event_id
    renamed["detail"]["data"]["object"]["id"] += event_id.removeprefix("evt_")
    return renamed


def all_samples() -> Sequence[tuple[str, Path]]:
    """Return each shipped sample that the API takes, with its generation."""
    return [
        (path.parent.name, path) for name in GENERATIONS for path in sorted((SAMPLES / name).glob("*.json"))
    ]


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Wait until a condition holds; fail with `what` after DEADLINE_SECONDS."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE_SECONDS:.0f} s: {what}"
        time.sleep(POLL_SECONDS)
