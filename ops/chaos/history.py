"""What the chaos suite sends: customer histories, which follow from the seed.

A history has the events of one API generation's shipped samples, about objects of its own, with further
states of the customer and the subscription. Of the deliveries of a slice, a fifth repeat another delivery's
event, and a tenth are second events with another event's effect. The order is shuffled: the newest event may
come first.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ops.chaos.expectations import EXPECTED, Event, Expected, ExpectedRefusal
from ops.errors import OperatorError
from ops.local.envelopes import GENERATIONS, REFUSED, SAMPLES, own_ids
from ops.local.fresh_ids import FreshIds

REPEATED_SHARE: Final = 0.2
SECOND_EVENT_SHARE: Final = 0.1
# The share of repeated deliveries that repeat an event of the previous slice, which ended long ago.
LATE_SHARE: Final = 0.25
# One event in 25 is always refused by the API, and one in 25 is not a valid event.
BAD_EVERY: Final = 25
# Further states of an object after the sample's own, one per minute.
FURTHER_STATES: Final = 3
STATE_SECONDS: Final = 60
REFUSED_STATUS: Final = 422


@dataclass(frozen=True)
class PlannedDelivery:
    """One delivery: the event with its expected outcome, and the Stripe event to put on the bus."""

    event: Event
    detail: dict[str, Any] = field(repr=False)


def plan(seed: int, counts: Sequence[int]) -> list[list[PlannedDelivery]]:
    """Return one slice of deliveries per count; the same seed and counts give the same deliveries.

    Raises
    ------
    ValueError
        A count is less than 1.
    """
    if min(counts) < 1:
        raise ValueError("each slice needs at least one event")
    slices: list[list[PlannedDelivery]] = []
    for number, count in enumerate(counts):
        draw = random.Random(f"{seed}:{number}")  # noqa: S311 - repeatable, not secret
        before = slices[-1] if slices else []
        slices.append(_slice(draw, f"{seed}:{number}", count, before))
    return slices


def unstorable(seed: int) -> PlannedDelivery:
    """Return an event that the API accepts and PostgreSQL can't store: a text with a NUL character."""
    history = _history(f"{seed}:unstorable", GENERATIONS[0])
    delivery = next(delivery for delivery in history if delivery.event.type == "customer.updated")
    detail = copy.deepcopy(delivery.detail)
    detail["data"]["object"]["name"] = "Ada\u0000Lovelace"
    return PlannedDelivery(replace(delivery.event, storable=False), detail)


def two_states_each(seed: int, deliveries: Sequence[PlannedDelivery]) -> list[PlannedDelivery]:
    """Replace two thirds of a slice by customers with two states each.

    The older states come first, then the rest of the slice, then the newer states.
    """
    customers = len(deliveries) // 3
    states = []
    for number in range(customers):
        history = _history(f"{seed}:two states:{number}", GENERATIONS[number % len(GENERATIONS)])
        its = [delivery for delivery in history if delivery.event.type == "customer.updated"]
        states.append(sorted(its, key=lambda delivery: delivery.event.created)[:2])
    unrelated = deliveries[: len(deliveries) - 2 * customers]
    return [*(older for older, _ in states), *unrelated, *(newer for _, newer in states)]


def payment(salt: str) -> PlannedDelivery:
    """Return a payment that no other event is about, and that the API accepts."""
    history = _history(salt, GENERATIONS[0])
    return next(delivery for delivery in history if delivery.event.type == "payment_intent.succeeded")


def _slice(
    draw: random.Random, salt: str, count: int, before: Sequence[PlannedDelivery]
) -> list[PlannedDelivery]:
    repeats = round(count * REPEATED_SHARE)
    seconds = round(count * SECOND_EVENT_SHARE)
    firsts = _firsts(draw, salt, count - repeats - seconds)
    effects = [
        one for one in firsts if one.event.expected.repeat == "once" and one.event.outcome == "applied"
    ]
    second = [_second_event(draw.choice(effects), f"{salt}:{number}") for number in range(seconds) if effects]
    known = firsts + second
    late = before or known
    again = [
        draw.choice(late if number < repeats * LATE_SHARE else known) for number in range(count - len(known))
    ]
    deliveries = known + again
    draw.shuffle(deliveries)
    return deliveries


def _firsts(draw: random.Random, salt: str, count: int) -> list[PlannedDelivery]:
    bad = max(1, count // BAD_EVERY) if count > 1 else 0
    deliveries = [_refused(f"{salt}:refused:{number}") for number in range(bad)]
    deliveries += [_invalid(draw, f"{salt}:invalid:{number}") for number in range(bad)]
    customer = 0
    while len(deliveries) < count:
        history = _history(f"{salt}:{customer}", GENERATIONS[customer % len(GENERATIONS)])
        draw.shuffle(history)
        deliveries += history
        customer += 1
    return deliveries[:count]


def _history(salt: str, generation: str) -> list[PlannedDelivery]:
    """Return a customer's events in the order in which Stripe created them."""
    samples = {
        path.stem: json.loads(path.read_text()) for path in sorted((SAMPLES / generation).glob("*.json"))
    }
    fresh = FreshIds(f"chaos {salt}", (name for sample in samples.values() for name in own_ids(sample)))
    history = []
    for name, sample in samples.items():
        first = _sending(name, fresh.rewritten(sample["detail"]))
        history += [first, *(_further_states(first, name) if _expected(name).repeat == "latest" else ())]
    return history


def _further_states(first: PlannedDelivery, name: str) -> Iterator[PlannedDelivery]:
    for number in range(1, FURTHER_STATES + 1):
        detail = copy.deepcopy(first.detail)
        detail["id"] = FreshIds(f"state {number}").rewritten(first.event.id)
        detail["created"] += number * STATE_SECONDS
        detail["data"]["object"]["metadata"] = {"state": str(number)}
        yield _sending(name, detail)


def _second_event(first: PlannedDelivery, salt: str) -> PlannedDelivery:
    """Return another event about the same object and effect, made a second later, with a body of its own."""
    detail = copy.deepcopy(first.detail)
    stripe_object = detail["data"]["object"]
    stripe_object["metadata"] = {**(stripe_object.get("metadata") or {}), "sent": "again"}
    detail["id"] = FreshIds(f"second {salt}").rewritten(first.event.id)
    detail["created"] += 1
    event = replace(first.event, id=detail["id"], created=detail["created"])
    return PlannedDelivery(event, detail)


def _refused(salt: str) -> PlannedDelivery:
    """Return a payment in a currency that the API always refuses."""
    (path,) = (SAMPLES / REFUSED).glob("*.json")
    sample = json.loads(path.read_text())
    detail = FreshIds(f"chaos {salt}", own_ids(sample)).rewritten(sample["detail"])
    return _sending("payment_intent.succeeded", detail, ExpectedRefusal("PermanentError", REFUSED_STATUS))


def _invalid(draw: random.Random, salt: str) -> PlannedDelivery:
    """Return an event that breaks Stripe's contract, or belongs to the other mode."""
    name = draw.choice(("payment_intent.succeeded", "invoice.paid", "customer.updated"))
    sample = json.loads((SAMPLES / GENERATIONS[0] / f"{name}.json").read_text())
    detail = FreshIds(f"chaos {salt}", own_ids(sample)).rewritten(sample["detail"])
    if draw.random() < 0.5:
        detail["livemode"] = True
        return _sending(name, detail, ExpectedRefusal("LivemodeMismatchError"))
    detail["data"]["object"]["metadata"] = "not an object"
    return _sending(name, detail, ExpectedRefusal("InvalidEventError"))


def _sending(name: str, detail: dict[str, Any], refusal: ExpectedRefusal | None = None) -> PlannedDelivery:
    event = Event(
        id=detail["id"],
        type=detail["type"],
        object_id=detail["data"]["object"]["id"],
        created=detail["created"],
        expected=_expected(name),
        refusal=refusal,
    )
    return PlannedDelivery(event, detail)


def _expected(name: str) -> Expected:
    """Return what a sample's event must lead to.

    Raises
    ------
    OperatorError
        The sample's type is neither routed nor written down.
    """
    if name not in EXPECTED:
        raise OperatorError(
            f"no expectation for the sample {name!r}: add a row to WRITTEN in ops/chaos/expectations.py, or "
            "route its type"
        )
    return EXPECTED[name]
