"""The deployed pipeline of the end-to-end tests, and what they do with it."""

from __future__ import annotations

import copy
import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from ops import ROOT
from ops.as_role import AS_ROLE
from ops.local import drive
from ops.local.accounting import Row
from ops.local.deployment import EVENT_SOURCE, Deployment, shell_exports
from ops.local.envelopes import GENERATIONS, SAMPLES
from ops.local.observations import FinishedEvent, ParkedMessage
from ops.local.observer import Observer
from tests.e2e.operators import Operators
from tests.ops.command import Done

Command = Callable[..., Done]
DEADLINE_SECONDS = 60.0
POLL_SECONDS = 0.25
PAYMENTS_RULE = "huntaze-stripe-payments-dev"
KEY = "alias/huntaze-stripe-events-dev"
# Commands that run Terraform, which has rights of its own.
OF_TERRAFORM = ("plan", "deploy", "destroy")


@dataclass(frozen=True)
class Pipeline:
    """The deployed pipeline, and what the tests do to it.

    Parameters
    ----------
    saves
        The folder in which its deploy was saved.
    stop
        Stops its servers, so that a restored deploy can have their ports.
    """

    deployment: Deployment
    observer: Observer
    operators: Operators
    saves: Path
    stop: Callable[[], None]

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
        """Inject a fault into the reference API."""
        self._control("POST", "faults", json=fault)

    def clear_faults(self) -> None:
        """Remove all faults from the reference API."""
        self._control("DELETE", "faults")

    def requests(self, event_id: str) -> list[dict[str, Any]]:
        """Return the requests that the reference API received for an event."""
        everything = self._control("GET", "requests", params={"since": 0}).json()["requests"]
        return [request for request in everything if request["idempotency_key"] == event_id]

    def _control(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.deployment.services.api_control.ask(method, f"/_control/{path}", **options)

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """Delete every message of a queue, in-flight ones included, and return them."""
        sqs = self.deployment.services.aws.client("sqs")
        url = self.deployment.outputs.queues[queue]
        removed: list[dict[str, Any]] = []

        def is_empty() -> bool:
            batch = sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=10,
                AttributeNames=["All"],
                MessageAttributeNames=["All"],
            ).get("Messages", [])
            for message in batch:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            removed.extend(batch)
            return self.observer.queue_depths()[queue] == 0

        wait_for(is_empty, f"{queue} is empty")
        return removed


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
    """Return each shipped sample that the API accepts, with its generation."""
    return [
        (path.parent.name, path) for name in GENERATIONS for path in sorted((SAMPLES / name).glob("*.json"))
    ]


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Wait until a condition holds; fail with `what` after DEADLINE_SECONDS."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE_SECONDS:.0f} s: {what}"
        time.sleep(POLL_SECONDS)


@contextmanager
def target_gone(pipeline: Pipeline, rule: str = PAYMENTS_RULE) -> Iterator[None]:
    """Let a rule point to something that does not exist."""
    events = pipeline.deployment.services.aws.client("events")
    bus = pipeline.deployment.outputs.bus
    targets = events.list_targets_by_rule(Rule=rule, EventBusName=bus)["Targets"]
    broken = [{**target, "Arn": f"{target['Arn'].removesuffix('.fifo')}-gone"} for target in targets]
    events.put_targets(Rule=rule, EventBusName=bus, Targets=broken)
    try:
        yield
    finally:
        events.put_targets(Rule=rule, EventBusName=bus, Targets=targets)


def second() -> str:
    """Wait for the next full second and return it: replays are exact to a second."""
    time.sleep(1.05 - time.time() % 1)
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def ledger_records(pipeline: Pipeline) -> Iterator[dict[str, Any]]:
    """Read every record of the ledger's bucket; each key contains its day."""
    s3 = pipeline.deployment.services.aws.client("s3")
    bucket = pipeline.deployment.outputs.ledger_bucket
    now = datetime.now(UTC)
    days = [f"audit/dt={day:%Y-%m-%d}/" for day in (now, now - timedelta(days=1))]
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="audit/"):
        for item in page.get("Contents", []):
            assert item["Key"].startswith(tuple(days)), item["Key"]
            body = s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
            yield from map(json.loads, gzip.decompress(body).splitlines())


def run_ops(pipeline: Pipeline, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, with its rights, or with all if it runs Terraform or AS_ROLE."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME")}
    of_all = arguments[0] in OF_TERRAFORM or AS_ROLE in settings
    rights = {} if of_all else pipeline.operators.variables(arguments)
    return subprocess.run(
        [sys.executable, "-m", "ops", *arguments],
        cwd=ROOT,
        env=kept | shell_exports(pipeline.deployment) | rights | settings,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
