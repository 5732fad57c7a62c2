"""The promises that must hold in every world.

=============  =================================================================================
TWICE          an effect was applied twice (a forced replay may apply it once more)
OLDER          an older state was applied over a newer one, although the setting orders them
OVER THE END   a state was applied over its object's end
LOST           an event ended as applied, duplicate or stale, but the API does not have it
STUCK          nothing fails any more and time has passed, but an event is not done
NOT REPEATED   a forced replay did not apply an event again
UNEXPECTED     an error that no code path expects, or a refused setting
MUTE           a parked message has no reason
=============  =================================================================================
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from functions.pipeline.route import EACH, LATEST, ONCE
from functions.pipeline.routing_table import ROUTES
from functions.shared import errors, names

if TYPE_CHECKING:
    from tests.model.code import Ended, Step
    from tests.model.scenario import Event, Scenario
    from tests.model.world import World

Flaws = tuple[str, ...]


def journal(scenario: Scenario, world: World) -> Flaws:
    """Check what the API has applied so far, in its order."""
    return (*_twice(scenario, world), *_order(scenario, world))


def ended(scenario: Scenario, place: int, end: Ended) -> Flaws:
    """Check how an invocation ended."""
    name = scenario.events[place].name
    if end.unexpected or end.outcome == errors.ConfigurationError.__name__:
        return (f"UNEXPECTED: {name} ends with {end.outcome}: {end.reason}",)
    return ()


def message(event: Event, step: Step) -> Flaws:
    """Check a message that is put into the dead-letter queue."""
    _, call = json.loads(step.call)
    body: dict[str, Any] = json.loads(call["MessageBody"])
    attributes = {name: value["StringValue"] for name, value in call["MessageAttributes"].items()}
    parked = body.get("parked", {})
    explained = (
        bool(attributes.get("reason"))
        and parked.get("reason") == attributes["reason"]
        and isinstance(getattr(errors, attributes.get("error", ""), None), type)
        and attributes.get("event_id") == event.id
        and attributes.get("event_type") == event.type
        and attributes.get("status", "").isdecimal()
        and body.get("envelope", {}).get("detail", {}).get("id") == event.id
    )
    return () if explained else (f"MUTE: the message of {event.name} has {attributes}",)


def ending(scenario: Scenario, world: World) -> Flaws:
    """Check a world in which nothing fails any more and enough time has passed."""
    flaws: list[str] = []
    for place, event in enumerate(scenario.events):
        delivered = world.events[place]
        if not delivered.done:
            if scenario.left:
                continue
            flaws.append(f"STUCK: {event.name} is {delivered.outcome or 'never delivered'}")
        elif not _arrived(event, world):
            flaws.append(f"LOST: {event.name} is {delivered.outcome}, and the API does not have it")
    for event_id in world.done_before:
        after = [
            applied
            for applied in world.api.journal
            if applied.call.key.partition(":")[0] == event_id and applied.at >= (world.replay or 0)
        ]
        if not after:
            flaws.append(f"NOT REPEATED: {event_id} was applied before the forced replay, but not again")
    return tuple(flaws)


def _twice(scenario: Scenario, world: World) -> Flaws:
    applied: Counter[tuple[str, ...]] = Counter()
    for call, at in world.api.journal:
        replayed = "after the replay began" if world.replay is not None and at >= world.replay else ""
        repeat = ROUTES[call.type].repeat
        about = scenario.events[call.event].object["id"] if repeat == ONCE else call.key.partition(":")[0]
        if repeat in (ONCE, EACH):
            applied[call.type, call.path, about, replayed] += 1
    return tuple(
        f"TWICE: {path} of {about} applied {times} times {replayed}".rstrip()
        for (_, path, about, replayed), times in applied.items()
        if times > 1
    )


def _order(scenario: Scenario, world: World) -> Flaws:
    flaws: list[str] = []
    newest = end = 0
    for call, _ in world.api.journal:
        route = ROUTES[call.type]
        ordered = scenario.ordered and call.order != names.OFF
        if route.ends_object:
            end = max(end, call.rank)
        elif route.repeat == LATEST:
            if ordered and call.rank < end:
                flaws.append(f"OVER THE END: state {call.rank} applied after the object's end")
            elif ordered and call.rank < newest:
                flaws.append(f"OLDER: state {call.rank} applied after state {newest}")
            newest = max(newest, call.rank)
    return tuple(flaws)


def _arrived(event: Event, world: World) -> bool:
    """Whether the API has the event's effect, or a state that is no older than the event's."""
    route = ROUTES[event.type]
    for call, _ in world.api.journal:
        same = call.key.partition(":")[0] == event.id
        if route.repeat == ONCE:
            same = same or (call.type == event.type and call.path == _path(event))
        elif route.repeat == LATEST:
            same = same or call.rank >= event.rank
        if same:
            return True
    return False


def _path(event: Event) -> str | None:
    request = ROUTES[event.type].request(event.object)
    return request.path if request else None
