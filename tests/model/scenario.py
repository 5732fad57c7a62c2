"""A model: its events, what can go wrong, and how much of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from functions.pipeline import replay_names
from functions.shared import names
from ops.reference.huntaze.dialects import CODED, Dialect
from tests.model import api

# When Stripe created the events, in Unix seconds; long before the model's time begins.
CREATED = 900_000


@dataclass(frozen=True)
class Event:
    """One event, which may be delivered several times.

    Parameters
    ----------
    name
        What it is called in a schedule.
    id
        Two events of one id are two deliveries of one event.
    object
        `data.object`. Its metadata's `rank` is the place of its state in the order in which Stripe made
        them, which the API gets to see with the body.
    created
        Unix seconds.
    previous
        `data.previous_attributes`, or None.
    again
        `data.object` of every delivery but the first, where that is another one.
    forced
        Whether it comes by the forced replay.
    tries
        How often the adversary may deliver it.
    stripe
        Stripe makes the event when it makes this one of the scenario's states.
    """

    name: str
    id: str
    type: str
    object: Mapping[str, Any]
    created: int = CREATED
    previous: Mapping[str, Any] | None = None
    again: Mapping[str, Any] | None = None
    forced: bool = False
    tries: int = 2
    stripe: int = 0

    @property
    def rank(self) -> int:
        """The place of its state in the order in which Stripe created them."""
        return int(self.object["metadata"]["rank"])

    def envelope(self, number: int, replay: float | None) -> str:
        """Return the event as EventBridge delivers it.

        Parameters
        ----------
        number
            Of the delivery; the first is 1.
        replay
            When the forced replay was started, in Unix seconds.
        """
        data = {"object": self.again if self.again is not None and number > 1 else self.object}
        if self.previous is not None:
            data["previous_attributes"] = self.previous
        envelope = {
            "id": f"envelope-{self.name}",
            "detail-type": self.type,
            "source": "aws.partner/stripe.com/ed_1",
            "detail": {
                "id": self.id,
                "object": "event",
                "type": self.type,
                "api_version": "2025-03-31.basil",
                "created": self.created,
                "livemode": False,
                "data": data,
            },
        }
        if self.forced:
            assert replay is not None
            began = datetime.fromtimestamp(replay, UTC)
            envelope["replay-name"] = replay_names.new_name("dev", began, forced=True)
        return json.dumps(envelope)


@dataclass(frozen=True)
class Scenario:
    """A model with its bounds.

    Parameters
    ----------
    name, about
        What it is called, and what it is for.
    switches, faults
        How often an invocation may be left for another one that could go on, and how much may go wrong.
    api_faults, table_faults, queue_faults, stripe_faults
        What may go wrong there.
    waits
        Seconds that may pass before a delivery where something is left over.
    skews
        How far the clock of an invocation may be ahead, besides not at all; seconds.
    overrun
        How long an invocation may outlive its time; seconds.
    oversleep
        The shortest sleep on a busy machine, in seconds: long sleeps leave time for few attempts.
    orders
        The setting of that name, and what it may be changed to, one after the other.
    stripe
        The states that Stripe makes of the object, one after the other.
    stripe_key
        Whether the secret holds a key for Stripe's API.
    ordered
        Whether states must come in order. False where the clocks go wrong by more than the pipeline allows:
        then only what does not depend on clocks must hold.
    left
        Whether events may be left undone, because only the API's data shows their outcome.
    """

    name: str
    about: str
    events: tuple[Event, ...]
    switches: int = 1
    faults: int = 1
    dialect: Dialect = CODED
    api_faults: tuple[str, ...] = (
        api.LOST,
        api.FAILED,
        api.STRANGER_404,
        api.STRANGER_422,
        api.REJECTED,
        api.LIMITED,
        api.UNAUTHORISED,
        api.KILLED_AFTER,
    )
    table_faults: tuple[str, ...] = ("killed before", "killed after", "throttled", "done, but not answered")
    queue_faults: tuple[str, ...] = ()
    stripe_faults: tuple[str, ...] = ()
    waits: tuple[float, ...] = (1, 61)
    skews: tuple[float, ...] = ()
    overrun: float = 0
    oversleep: float = 6
    orders: tuple[str, ...] = (names.WATERMARK,)
    stripe: tuple[Mapping[str, Any], ...] = ({},)
    stripe_key: bool = False
    ordered: bool = True
    left: bool = False


def customer(rank: int, **values: Any) -> dict[str, Any]:
    """Return a customer in the state of a rank."""
    return {"id": "cus_1", "object": "customer", "name": f"name {rank}", **_ranked(rank), **values}


def subscription(rank: int, status: str = "active", **values: Any) -> dict[str, Any]:
    """Return a subscription in the state of a rank."""
    return {"id": "sub_1", "object": "subscription", "status": status, **_ranked(rank), **values}


def payment(**values: Any) -> dict[str, Any]:
    """Return a payment intent."""
    return {"id": "pi_1", "object": "payment_intent", "amount": 1, "currency": "usd", **_ranked(1), **values}


def invoice(**values: Any) -> dict[str, Any]:
    """Return an invoice."""
    return {"id": "in_1", "object": "invoice", **_ranked(1), **values}


def _ranked(rank: int) -> dict[str, Any]:
    return {"metadata": {"rank": str(rank)}}
