"""One deployment for all end-to-end tests: real Terraform, real PostgreSQL, real HTTP, embedded AWS."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest
from rich.console import Console

from ops.local import variants
from ops.local.deployment import ENVIRONMENT, EVENT_SOURCE, shell_exports
from ops.local.folder import run_folder
from ops.local.observer import Observer
from ops.local.start import Wanted, deployed
from ops.progress import Steps
from ops.reference.stripe import ReferenceStripe
from tests.checkout import alone_in_checkout
from tests.e2e.operators import operators
from tests.e2e.pipeline import KEY, Command, Pipeline
from tests.ops.command import Done, run

DEADLINE_SECONDS = 60.0
POLL_SECONDS = 0.25


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """Deploy once, with everything that can be on; everything is removed after the last test."""
    saves = tmp_path_factory.mktemp("saved")
    wanted = Wanted(variants.ALL, with_stripe=True, fresh=True)
    with run_folder() as folder, ExitStack() as servers:
        deployment = servers.enter_context(deployed(folder, wanted, Steps(Console(quiet=True)), saves))
        observer = Observer(deployment.services, deployment.outputs, since=time.time() * 1000)
        known = operators(deployment.services.aws, ENVIRONMENT, EVENT_SOURCE, KEY)
        yield Pipeline(deployment, observer, known, saves, servers.close)


@pytest.fixture(scope="module")
def checkout() -> Iterator[None]:
    """Have the checkout's workspace for the module: what one command plans, another one reads or applies."""
    with alone_in_checkout():
        yield


@pytest.fixture(scope="session")
def closed_subnet(pipeline: Pipeline) -> str:
    """A subnet from which nothing can be reached."""
    ec2 = pipeline.deployment.services.aws.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    subnet: str = ec2.create_subnet(VpcId=vpc, CidrBlock="10.1.1.0/24")["Subnet"]["SubnetId"]
    return subnet


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
    """Run commands with their rights and the exports of a kept run, and without waiting for young events."""
    for name, value in shell_exports(pipeline.deployment).items():
        monkeypatch.setenv(name, value)
    # Stripe's key comes from the deployed secret.
    monkeypatch.delenv("STRIPE_SECRET_KEY", raising=False)
    monkeypatch.setenv("STRIPE_API_URL", stripe.url)
    monkeypatch.setattr("ops.replay.archive.LATENESS", timedelta(0))
    monkeypatch.setattr("ops.reconciliation.GRACE", timedelta(0))
    monkeypatch.setattr("ops.replay.replays.POLL_SECONDS", 0.1)
    return _with_its_rights(pipeline, monkeypatch, capsys)


@pytest.fixture
def dlq(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run `dlq` commands with their rights and the exports of a kept run."""
    for name, value in shell_exports(pipeline.deployment).items():
        monkeypatch.setenv(name, value)
    of_any = _with_its_rights(pipeline, monkeypatch, capsys)
    return lambda *arguments: of_any("dlq", *arguments)


def _with_its_rights(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run each command under a role that has the rights of the command, and no other."""

    def command(*arguments: str) -> Done:
        for name, value in pipeline.operators.variables(arguments).items():
            monkeypatch.setenv(name, value)
        return run([*arguments], monkeypatch, capsys)

    return command


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run last what looks at the calls of all tests, then what changes, destroys and restores everything."""
    last = (
        "test_permissions.py",
        "test_command_rights.py",
        "test_workflows.py",
        "test_deployment_roles.py",
        "test_warm.py",
    )
    items.sort(key=lambda item: last.index(item.path.name) if item.path.name in last else -1)
