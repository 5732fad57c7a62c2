"""Wait until AWS has the partner event source of a destination."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final

from ops.destination.api import Destination, EventDestinations
from ops.environment import Environment, aws_errors, if_exists
from ops.errors import OperatorError
from ops.progress import Steps

# Stripe creates the source within seconds.
DEADLINE_SECONDS: Final = 120.0
POLL_SECONDS: Final = 2.0
ACTIVE, PENDING = "ACTIVE", "PENDING"
# Amazon deletes a source that no bus is associated with (Stripe, "Send events to Amazon EventBridge").
DAYS_TO_ASSOCIATE: Final = 7


def named(destinations: EventDestinations, found: Destination, steps: Steps) -> Destination:
    """Return the destination once Stripe has named its event source.

    Raises
    ------
    OperatorError
        It does not within DEADLINE_SECONDS.
    """
    deadline = time.monotonic() + DEADLINE_SECONDS
    if found.source_name:
        return found
    with steps.step("wait for Stripe's event source"):
        while not found.source_name:
            _wait(deadline, f"Stripe has not named the event source of {found.id}")
            found = destinations.retrieve(found.id)
    return found


def wait(environment: Environment, source_name: str, steps: Steps) -> str:
    """Wait until AWS has the event source; return ACTIVE or PENDING.

    Raises
    ------
    OperatorError
        It has not within DEADLINE_SECONDS, or the source was deleted.
    """
    started = time.monotonic()
    with steps.step("wait for the event source") as step:
        while (found := state(environment, source_name)) is None:
            where = f"account {environment.account_id} and region {environment.region}"
            _wait(started + DEADLINE_SECONDS, f"AWS has no event source {source_name} in {where}")
            step.advance_to(int(time.monotonic() - started), int(DEADLINE_SECONDS))
        step.note = found.lower()
    if found not in (ACTIVE, PENDING):
        raise OperatorError(
            f"the event source {source_name} is {found.lower()}: run `huntaze-stripe destination delete "
            f"--env {environment.name}`, then create the destination again"
        )
    return found


def state(environment: Environment, source_name: str) -> str | None:
    """Return the state of an event source in AWS; None if there is none.

    Raises
    ------
    OperatorError
        AWS refuses or does not answer.
    """
    with aws_errors(f"the event source {source_name}"):
        answer = if_exists(environment.client("events").describe_event_source, Name=source_name)
        return None if answer is None else str(answer["State"])


def _wait(deadline: float, problem: str) -> None:
    if time.monotonic() > deadline:
        raise OperatorError(f"{problem} after {DEADLINE_SECONDS:.0f} s: repeat the command in a few minutes")
    time.sleep(POLL_SECONDS)


def days_left(expiration: datetime, now: datetime) -> float:
    """Return in how many days AWS deletes a pending source."""
    return (expiration.astimezone(UTC) - now).total_seconds() / 86_400
