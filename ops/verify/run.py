"""One verification: create objects, follow their events, remove the objects, follow those events too."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Final

from functions.stripe_api.client import StripeApi
from ops.dlq.interrupts import interruption
from ops.environment import Environment
from ops.ledger import open_ledger
from ops.local.accounting import Row, SentEvent
from ops.progress import Step, Steps
from ops.verify.following import POLL_SECONDS, Following, Trouble, missing_types
from ops.verify.log_lines import MILLISECONDS
from ops.verify.objects import CREATED, REMOVED, CreatedObjects

RUN_ID_BYTES: Final = 4
# Stripe's clock and this machine's may differ.
CLOCK_SECONDS: Final = 60
PING: Final = "v2.core.event_destination.ping"
# What the API's contract calls an end: the event took effect, or needs none.
GOOD: Final = ("applied", "recorded", "duplicate", "stale", "unrouted")


@dataclass(frozen=True)
class Verification:
    """What a verification found.

    Parameters
    ----------
    run
        The run's id, in the metadata of each object.
    never_made
        Event types that Stripe should have made and did not list.
    left
        Objects that could not be removed.
    """

    run: str
    rows: tuple[Row, ...]
    troubles: dict[str, Trouble]
    never_made: tuple[str, ...]
    left: tuple[str, ...]
    timings: dict[str, float]

    @property
    def passed(self) -> bool:
        """Whether each event was applied or recorded, and audited, and nothing is left in Stripe."""
        good = all(row.accounted and row.outcome in GOOD for row in self.rows)
        return good and not self.never_made and not self.left


def verify(
    environment: Environment, api: StripeApi, account: str | None, seconds: float, steps: Steps
) -> Verification:
    """Verify a deployment.

    Parameters
    ----------
    account
        The connected account; None for the key's own.
    seconds
        How long to follow the events of each half.

    Raises
    ------
    OperatorError
        Stripe or AWS refuses or does not answer; what was created is removed first.
    """
    run = secrets.token_hex(RUN_ID_BYTES)
    objects = CreatedObjects(api.library, run, account)
    following = Following(environment, api, int(time.time()) - CLOCK_SECONDS, objects.ids)
    expected = tuple(chain.from_iterable(CREATED.values()))
    with _removing(objects, steps):
        with steps.step("create in Stripe") as step:
            for number, (name, create) in enumerate(objects.steps.items(), 1):
                step.advance_to(number - 1, len(CREATED), name)
                create()
            step.note = f"test mode, run {run}"
        complete = _follow(following, expected, seconds, steps, "follow the events")
    if complete:
        expected += REMOVED
        _follow(following, expected, seconds, steps, "follow the removal")
    rows = following.rows()
    return Verification(
        run,
        rows,
        following.troubles,
        tuple(missing_types(expected, rows)),
        tuple(objects.left),
        dict(steps.timings),
    )


@contextmanager
def _removing(objects: CreatedObjects, steps: Steps) -> Iterator[None]:
    """Remove the objects at the end, also after Ctrl-C and a failure, and say what is left.

    A signal during the removal waits for its end; a second one ends the command at once.
    """
    try:
        yield
    finally:
        with interruption() as interrupted, steps.step("remove from Stripe") as step:
            objects.remove()
            step.note = f"left: {', '.join(objects.left)}" if objects.left else "nothing is left"
        if interrupted:
            sys.exit(interrupted.exit_code)


def _follow(following: Following, expected: tuple[str, ...], seconds: float, steps: Steps, name: str) -> bool:
    def show(step: Step, ended: int, total: int) -> None:
        step.advance_to(ended, total, "events at their end")

    with steps.step(name) as step:
        deadline = time.monotonic() + seconds
        complete = following.until(expected, deadline, lambda ended, total: show(step, ended, total))
        rows = following.rows()
        step.note = f"{sum(row.accounted for row in rows)} of {len(rows)} events at their end"
    return complete


def ping(environment: Environment, api: StripeApi, seconds: float, steps: Steps) -> Verification:
    """Let Stripe send its ping through the event destination, and follow it to the ledger.

    Raises
    ------
    OperatorError
        Stripe or AWS refuses or does not answer.
    """
    from ops.destination.api import EventDestinations

    # The event source has the name of the destination.
    destination = environment.bus.rpartition("/")[2]
    with steps.step("ping") as step:
        event_id = step.note = EventDestinations(api).ping(destination)
    started = time.time()
    sent = SentEvent(event_id, PING, None, None, "", started * MILLISECONDS)
    with steps.step("follow the ping") as step:
        audited = _until_audited(environment, event_id, started, seconds)
        step.note = "in the ledger" if audited else "not in the ledger"
    row = Row(sent, "unrouted" if audited else None, (), audited, None)
    return Verification(event_id, (row,), {}, (), (), dict(steps.timings))


def _until_audited(environment: Environment, event_id: str, started: float, seconds: float) -> bool:
    since = datetime.fromtimestamp(started - CLOCK_SECONDS, UTC)
    deadline = time.monotonic() + seconds
    while not open_ledger(environment, since).known([event_id]):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
