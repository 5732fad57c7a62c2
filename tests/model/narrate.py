"""Describe a schedule, one step a line."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model import api, code, table, world
from tests.model.code import Step
from tests.model.explorer import Path, follow
from tests.model.world import Action, Rules, World


def schedule(rules: Rules, path: Path) -> Iterator[str]:
    """Yield the lines of a schedule, and what follows when nothing fails any more."""
    last = rules.first()
    for before, action, after in follow(rules, path):
        yield from _lines(rules, before, action, after)
        last = after
    if last.flaws:
        yield from (f"  ** {flaw}" for flaw in last.flaws)
        return
    yield "Nothing fails any more; time passes; what is not done is delivered again, in rounds."
    yield from _ending(rules, last)


def _lines(rules: Rules, before: World, action: Action, after: World) -> Iterator[str]:
    yield f"[{after.clock - world.BEGIN:g} s] {_describe(rules, before, action, after)}"
    for place, event in enumerate(after.events):
        was = before.events[place]
        ended = was.live and not event.live
        if ended or (action.kind == world.DELIVER and action.place == place and not event.live):
            yield f"    {rules.scenario.events[place].name}, delivery {event.number}, ended: {event.outcome}"
    for applied in after.api.journal[len(before.api.journal) :]:
        yield f"    the API applies {applied.call.path} of {applied.call.key}, state {applied.call.rank}"


def _describe(rules: Rules, before: World, action: Action, after: World) -> str:
    kind, place, how = action
    if kind == world.END_CALL:
        call = before.api.open[place].call
        return f"the API ends the open call of {call.key}: {'applied' if how else 'rolled back'}"
    if kind == world.SET_ORDER:
        return f"a deploy sets order to {rules.scenario.orders[how]}"
    if kind == world.STRIPE_MOVES:
        return f"Stripe creates state {after.stripe} of the object"
    if kind == world.START_REPLAY:
        return "a forced replay is started"
    name = rules.scenario.events[place].name
    if kind == world.DELIVER:
        skew = how[1] if how else 0
        clock = f", on a machine whose clock is {skew:g} s ahead" if skew else ""
        return f"{name} is delivered, number {after.events[place].number}{clock}"
    step = rules.next(before, place)
    assert isinstance(step, Step)
    what = _step(step)
    return f"{name}: {what}" if how in (world.GO, api.OK) else f"{name}: {what} <-- {how}"


def _step(step: Step) -> str:
    if step.kind == code.TABLE:
        return f"writes {table.describe(step.call)}"
    if step.kind == code.API:
        return "calls the API"
    return {
        code.QUEUE: "parks the message",
        code.STRIPE: "reads the object from Stripe",
        code.SLEEP: "sleeps",
    }[step.kind]


def _ending(rules: Rules, ending: World) -> Iterator[str]:
    after = rules.end(ending)
    for place, event in enumerate(after.events):
        name = rules.scenario.events[place].name
        yield f"    {name} after {event.number} deliveries: {event.outcome}"
    for applied in after.api.journal[len(ending.api.journal) :]:
        yield f"    the API has applied {applied.call.path} of {applied.call.key}, state {applied.call.rank}"
    yield from (f"  ** {flaw}" for flaw in after.flaws)
