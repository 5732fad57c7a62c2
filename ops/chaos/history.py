"""What the chaos suite sends: histories of customers, by seed.

A history is the story that the shipped samples of one API generation tell, about objects of its own, with
further states of the customer and the subscription. Of the deliveries of a slice, a fifth are deliveries of
an event that is delivered anyway, and a tenth are second events for an effect that another event brings
about. The order is shuffled, so that what Stripe made last may come first.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ops.chaos.expectations import KINDS, Event, Refusal
from ops.local.envelopes import GENERATIONS, REFUSED, SAMPLES, own_ids
from ops.local.fresh_ids import FreshIds

REPEATED_SHARE = 0.2
SECOND_EVENT_SHARE = 0.1
# Of the repeated deliveries, how many repeat an event of the slice before: it was settled long ago.
LATE_SHARE = 0.25
# One event in so many is one that the API refuses for good, and one is no valid event.
BAD_EVERY = 25
# Further states of an object after the sample's own, one a minute.
FURTHER_STATES = 3
STATE_SECONDS = 60
REFUSED_STATUS = 422


@dataclass(frozen=True)
class Sending:
    """One delivery: the event as planned, and the Stripe event that is put on the bus."""

    event: Event
    detail: dict[str, Any] = field(repr=False)


def plan(seed: int, counts: Sequence[int]) -> list[list[Sending]]:
    """Return one slice of deliveries per count; the same seed and counts give the same deliveries.

    Raises
    ------
    ValueError
        When a count is less than 1.
    """
    if min(counts) < 1:
        raise ValueError("each slice needs at least one event")
    slices: list[list[Sending]] = []
    for number, count in enumerate(counts):
        draw = random.Random(f"{seed}:{number}")  # noqa: S311 - a plan to repeat, not a secret
        before = slices[-1] if slices else []
        slices.append(_slice(draw, f"{seed}:{number}", count, before))
    return slices


def unstorable(seed: int) -> Sending:
    """Return an event that the API takes and that PostgreSQL can't hold: a text with a NUL character."""
    story = _story(f"{seed}:unstorable", GENERATIONS[0])
    sending = next(sending for sending in story if sending.event.type == "customer.updated")
    detail = copy.deepcopy(sending.detail)
    detail["data"]["object"]["name"] = "Ada\u0000Lovelace"
    return Sending(replace(sending.event, storable=False), detail)


def two_states_each(seed: int, sendings: Sequence[Sending]) -> list[Sending]:
    """Put customers with two states each in the place of two thirds of a slice.

    The older states come first, then what is left of the slice, then the newer states, a third of all.
    """
    customers = len(sendings) // 3
    states = []
    for number in range(customers):
        story = _story(f"{seed}:two states:{number}", GENERATIONS[number % len(GENERATIONS)])
        its = [sending for sending in story if sending.event.type == "customer.updated"]
        states.append(sorted(its, key=lambda sending: sending.event.created)[:2])
    unrelated = sendings[: len(sendings) - 2 * customers]
    return [*(older for older, _ in states), *unrelated, *(newer for _, newer in states)]


def payment(salt: str) -> Sending:
    """Return a payment that nothing else tells of, and that the API takes."""
    story = _story(salt, GENERATIONS[0])
    return next(sending for sending in story if sending.event.type == "payment_intent.succeeded")


def _slice(draw: random.Random, salt: str, count: int, before: Sequence[Sending]) -> list[Sending]:
    repeats = round(count * REPEATED_SHARE)
    seconds = round(count * SECOND_EVENT_SHARE)
    firsts = _firsts(draw, salt, count - repeats - seconds)
    effects = [one for one in firsts if one.event.kind.repeat == "once" and one.event.fate == "applied"]
    second = [_second_event(draw.choice(effects), f"{salt}:{number}") for number in range(seconds) if effects]
    known = firsts + second
    late = before or known
    again = [
        draw.choice(late if number < repeats * LATE_SHARE else known) for number in range(count - len(known))
    ]
    sendings = known + again
    draw.shuffle(sendings)
    return sendings


def _firsts(draw: random.Random, salt: str, count: int) -> list[Sending]:
    bad = max(1, count // BAD_EVERY) if count > 1 else 0
    sendings = [_refused(f"{salt}:refused:{number}") for number in range(bad)]
    sendings += [_invalid(draw, f"{salt}:invalid:{number}") for number in range(bad)]
    customer = 0
    while len(sendings) < count:
        story = _story(f"{salt}:{customer}", GENERATIONS[customer % len(GENERATIONS)])
        draw.shuffle(story)
        sendings += story
        customer += 1
    return sendings[:count]


def _story(salt: str, generation: str) -> list[Sending]:
    """Return a customer's events in the order in which Stripe made them."""
    samples = {
        path.stem: json.loads(path.read_text()) for path in sorted((SAMPLES / generation).glob("*.json"))
    }
    fresh = FreshIds(f"chaos {salt}", (name for sample in samples.values() for name in own_ids(sample)))
    story = []
    for name, sample in samples.items():
        first = _sending(name, fresh.rewritten(sample["detail"]))
        story += [first, *(_further_states(first, name) if KINDS[name].repeat == "latest" else ())]
    return story


def _further_states(first: Sending, name: str) -> Iterator[Sending]:
    for number in range(1, FURTHER_STATES + 1):
        detail = copy.deepcopy(first.detail)
        detail["id"] = FreshIds(f"state {number}").rewritten(first.event.id)
        detail["created"] += number * STATE_SECONDS
        detail["data"]["object"]["metadata"] = {"state": str(number)}
        yield _sending(name, detail)


def _second_event(first: Sending, salt: str) -> Sending:
    """Return another event about the same object and effect, made a second later, with a body of its own."""
    detail = copy.deepcopy(first.detail)
    told = detail["data"]["object"]
    told["metadata"] = {**(told.get("metadata") or {}), "told": "again"}
    detail["id"] = FreshIds(f"second {salt}").rewritten(first.event.id)
    detail["created"] += 1
    event = replace(first.event, id=detail["id"], created=detail["created"])
    return Sending(event, detail)


def _refused(salt: str) -> Sending:
    """Return a payment in a currency that the API refuses for good."""
    (path,) = (SAMPLES / REFUSED).glob("*.json")
    sample = json.loads(path.read_text())
    detail = FreshIds(f"chaos {salt}", own_ids(sample)).rewritten(sample["detail"])
    return _sending("payment_intent.succeeded", detail, Refusal("PermanentError", REFUSED_STATUS))


def _invalid(draw: random.Random, salt: str) -> Sending:
    """Return an event that breaks Stripe's contract, or that is none of this environment's."""
    name = draw.choice(("payment_intent.succeeded", "invoice.paid", "customer.updated"))
    sample = json.loads((SAMPLES / GENERATIONS[0] / f"{name}.json").read_text())
    detail = FreshIds(f"chaos {salt}", own_ids(sample)).rewritten(sample["detail"])
    if draw.random() < 0.5:
        detail["livemode"] = True
        return _sending(name, detail, Refusal("LivemodeMismatchError"))
    detail["data"]["object"]["metadata"] = "no object"
    return _sending(name, detail, Refusal("InvalidEventError"))


def _sending(name: str, detail: dict[str, Any], refusal: Refusal | None = None) -> Sending:
    event = Event(
        id=detail["id"],
        type=detail["type"],
        object_id=detail["data"]["object"]["id"],
        created=detail["created"],
        kind=KINDS[name],
        refusal=refusal,
    )
    return Sending(event, detail)
