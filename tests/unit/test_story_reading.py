"""What a story is read from: a source that can't be asked is named, and stops nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from ops.console import PlainConsole
from ops.environment import Environment
from ops.errors import OperatorError
from ops.progress import Steps
from ops.story import reading
from ops.story.composition import compose
from ops.story.facts import Facts
from tests.unit.event_lists import World, end, paid


class _Partial(World):
    """An environment of which only some services answer; no secret can be read."""

    bus = "aws.partner/stripe.com/ed_test"
    region = "eu-west-1"

    def __init__(self, *services: str) -> None:
        super().__init__()
        self.services = services

    def client(self, service: str) -> Any:
        if service not in self.services:
            raise OperatorError(f"AWS denied {service}")
        return super().client(service)

    def secret(self, _key: str) -> str:
        raise OperatorError("AWS denied secretsmanager")


@pytest.fixture(autouse=True)
def _nothing_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STRIPE_SECRET_KEY", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)


def read(world: _Partial) -> Facts:
    since = datetime.now(UTC) - timedelta(days=3650)
    (facts,) = reading.read(cast("Environment", world), ["evt_1"], since, Steps(PlainConsole(quiet=True)))
    return facts


def test_sources_that_are_denied_are_named_and_the_others_say_what_they_know() -> None:
    world = _Partial("logs", "s3")
    world.log(70, **end(), correlation_id="evt_1")
    world.audit(90, paid())
    facts = read(world)
    assert [delivery.id for delivery in facts.deliveries] == ["delivery-evt_1"]
    assert facts.unknown == (
        "what Stripe keeps of it is unknown: AWS denied secretsmanager",
        "what dead-letter queues hold of it is unknown: AWS denied sqs",
        "whether its rules are paused is unknown: AWS denied events",
        "whether the archive keeps it, and which replays there were, is unknown: AWS denied events",
        "what the idempotency table holds of it is unknown: AWS denied dynamodb",
    )
    assert compose(facts).outcome == "applied"


def test_event_is_found_in_the_ledger_although_no_log_names_its_object() -> None:
    world = _Partial("logs", "s3")
    world.audit(90, paid())
    world.logs.groups.clear()
    facts = read(world)
    assert facts.event is not None
    assert facts.event["id"] == "evt_1"


def test_nothing_that_answers_is_an_error_with_the_first_reason() -> None:
    with pytest.raises(OperatorError, match="AWS denied secretsmanager"):
        read(_Partial())
