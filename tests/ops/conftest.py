"""What tests of commands share: an AWS account that holds an environment's dead-letter queues."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.local.clients import Aws
from ops.local.services import REGION, isolated_environment, running_emulator
from tests.ops import dead_letters
from tests.ops.dead_letters import World

SOURCE = "aws.partner/stripe.com/ed_test_dead_letters"


@pytest.fixture(scope="session")
def dead_letter_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running_emulator(tmp_path_factory.mktemp("dlq-aws")) as url:
        yield dead_letters.make(Aws(url, REGION))


@pytest.fixture
def world(dead_letter_world: World) -> World:
    dead_letter_world.clear()
    return dead_letter_world


@pytest.fixture
def variables(dead_letter_world: World, tmp_path: Path) -> dict[str, str]:
    """A person's environment that reaches the account."""
    return isolated_environment(tmp_path) | {
        "AWS_ENDPOINT_URL": dead_letter_world.aws.url,
        "STRIPE_EVENT_SOURCE_NAME": SOURCE,
    }


@pytest.fixture
def person(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The same in this process; `monkeypatch`, to change it. The embedded SQS needs no long polling."""
    monkeypatch.setattr("functions.dead_letters.queue.WAIT_SECONDS", 0)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    # A worker of pytest-xdist gives tables 80 columns.
    monkeypatch.delenv("COLUMNS", raising=False)
    return monkeypatch
