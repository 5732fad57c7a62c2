"""One deployment for all end-to-end tests: real Terraform, real PostgreSQL, real HTTP, embedded AWS."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from rich.console import Console

from ops.local import drive, variants
from ops.local.deployment import EVENT_SOURCE, deploy, shell_exports
from ops.local.folder import run_folder
from ops.local.observer import Observer
from ops.local.services import running_services
from ops.progress import Steps
from ops.reference.stripe import ReferenceStripe
from tests.e2e.pipeline import Command, Pipeline
from tests.ops.command import run

DEADLINE_SECONDS = 60.0
POLL_SECONDS = 0.25


@pytest.fixture(scope="session")
def pipeline() -> Iterator[Pipeline]:
    """Deploy once, with everything that can be on; everything is removed after the last test."""
    with run_folder() as folder, running_services(folder, with_stripe=True) as services:
        drive.register_source(services.aws, EVENT_SOURCE)
        settings = variants.settings(variants.ALL, services.aws)
        deployment = deploy(services, Steps(Console(quiet=True)), settings)
        yield Pipeline(deployment, Observer(services, deployment.outputs, since=time.time() * 1000))


@pytest.fixture
def working_api(pipeline: Pipeline) -> Iterator[None]:
    """Remove the faults that a test injected."""
    yield
    pipeline.clear_faults()


@pytest.fixture
def stripe(pipeline: Pipeline) -> Iterator[ReferenceStripe]:
    with ReferenceStripe(pipeline.deployment.services.secrets.stripe_secret_key) as server:
        yield server


@pytest.fixture
def command(
    pipeline: Pipeline,
    stripe: ReferenceStripe,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """Run commands with the exports of a kept run, without the waiting times for young events."""
    for name, value in shell_exports(pipeline.deployment).items():
        monkeypatch.setenv(name, value)
    # Stripe's key comes from the deployed secret.
    monkeypatch.delenv("STRIPE_SECRET_KEY", raising=False)
    monkeypatch.setenv("STRIPE_API_URL", stripe.url)
    monkeypatch.setattr("ops.replay.archive.LATENESS", timedelta(0))
    monkeypatch.setattr("ops.commands.reconcile.GRACE", timedelta(0))
    monkeypatch.setattr("ops.replay.replays.POLL_SECONDS", 0.1)
    return lambda *arguments: run([*arguments], monkeypatch, capsys)


@pytest.fixture
def dlq(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run `dlq` commands with the exports of a kept run."""
    for name, value in shell_exports(pipeline.deployment).items():
        monkeypatch.setenv(name, value)
    return lambda *arguments: run(["dlq", *arguments], monkeypatch, capsys)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run last what looks at the calls of all tests, and then what destroys everything."""
    last = ("test_permissions.py", "test_deployment_roles.py")
    items.sort(key=lambda item: last.index(item.path.name) if item.path.name in last else -1)
