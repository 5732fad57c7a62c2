"""The world around the pipeline: deliveries, table, API, queue, Stripe, clock, and what may happen next.

A world is immutable. Every action is one step of one invocation, or one thing that happens around them; a
fault, and a switch away from an invocation that could go on, are paid for out of the world's budget.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from functions.pipeline.routing_table import ROUTES
from tests.model import api, code, promises, table
from tests.model.api import Api, Call
from tests.model.code import Code, Ended, Start, Step
from tests.model.scenario import Scenario

BEGIN: Final = 1_000_000.0
# After everything that faults leave behind: leases, records in progress, open calls.
FAIR_BEGIN: Final = BEGIN + 100_000
FAIR_ROUND_SECONDS: Final = 1000
FAIR_ROUNDS: Final = 3
# A replay is started this long after what happened before.
REPLAY_SECONDS: Final = 2
# A delivery with more steps than this is in a loop.
MOST_STEPS: Final = 60

GO: Final = "go"
KILLED_BEFORE: Final = "killed before"
KILLED_AFTER: Final = "killed after"
THROTTLED: Final = "throttled"
CONFLICT: Final = "conflict"
UNANSWERED: Final = "done, but not answered"
REPEATED: Final = "done, and done again by the client"
TABLE_FAULTS: Final = (KILLED_BEFORE, KILLED_AFTER, THROTTLED, UNANSWERED)

STEP: Final = "step"
DELIVER: Final = "deliver"
END_CALL: Final = "end call"
SET_ORDER: Final = "set order"
STRIPE_MOVES: Final = "Stripe moves"
START_REPLAY: Final = "start replay"

DONE: Final = ("applied", "duplicate", "stale", "recorded")
PARKED: Final = "parked"
FAILED: Final = "failed"
KILLED: Final = "killed"


class Action(NamedTuple):
    """What happens next, to which delivery or call, and how."""

    kind: str
    place: int = 0
    how: Any = GO


class Live(NamedTuple):
    """An invocation: its history, when it had its last answer, and when Lambda kills it."""

    node: int
    at: float
    deadline: float


class Delivered(NamedTuple):
    """The state of an event: deliveries begun, the last one's outcome, and the current one."""

    number: int = 0
    outcome: str = ""
    live: Live | None = None

    @property
    def done(self) -> bool:
        """Whether nothing more is due."""
        return self.outcome in DONE


class World(NamedTuple):
    """One state of everything.

    Parameters
    ----------
    current
        Place of the event whose invocation took the last step; -1 for none.
    switches, faults
        What is left of the budget.
    order
        Place of the present setting among the scenario's.
    replay
        When the forced replay was started, or None.
    done_before
        Ids of the events that were applied and done by then.
    flaws
        The broken promises.
    """

    events: tuple[Delivered, ...]
    switches: int
    faults: int
    clock: float = BEGIN
    items: table.Items = ()
    api: Api = Api()
    current: int = -1
    order: int = 0
    stripe: int = 0
    replay: float | None = None
    done_before: tuple[str, ...] = ()
    flaws: tuple[str, ...] = ()


class Rules:
    """What may happen in the worlds of a scenario, and the worlds that result."""

    def __init__(self, scenario: Scenario, shipped: Code) -> None:
        self.scenario = scenario
        self.code = shipped

    def first(self) -> World:
        """Return the world before anything has happened."""
        nothing = tuple(Delivered() for _ in self.scenario.events)
        return World(nothing, self.scenario.switches, self.scenario.faults)

    def actions(self, world: World) -> list[Action]:
        """List what may happen, the most ordinary first; nothing if the adversary has finished."""
        found: list[Action] = []
        live = [place for place, event in enumerate(world.events) if event.live]
        running = world.current if world.current in live else -1
        if running >= 0:
            found += self._steps(world, running)
        if running < 0 or world.switches > 0 or self._sleeps(world, running):
            for place in live:
                if place != running:
                    found += self._steps(world, place)
            found += self._deliveries(world)
        if found or world.api.open:
            found += self._surroundings(world)
        return found

    def take(self, world: World, action: Action) -> World:
        """Return the world that results from an action."""
        kind, place, how = action
        if kind == END_CALL:
            after = world._replace(api=world.api.end(place, world.clock, applies=how))
            return self._checked(world, after)
        if kind == SET_ORDER:
            return world._replace(order=how)
        if kind == STRIPE_MOVES:
            return world._replace(stripe=world.stripe + 1)
        if kind == START_REPLAY:
            return self._start_replay(world)
        if self._switches_away(world, place):
            world = world._replace(switches=world.switches - 1)
        if kind == DELIVER:
            return self._deliver(world, place, how)._replace(current=place)
        return self._step(world, place, how)._replace(current=place)

    def end(self, world: World) -> World:
        """Let a world whose adversary has finished recover as far as it can, and check it."""
        world = world._replace(clock=FAIR_BEGIN, faults=0, current=-1)
        for _ in range(FAIR_ROUNDS):
            world = self.fair_round(world)
        for _ in range(FAIR_ROUNDS):
            world = self.fair_round(world, parked=True)
        if not self.scenario.dialect.codes and not self.scenario.left:
            for _ in range(FAIR_ROUNDS):
                world = self.fair_round(world, parked=True, settle=True)
        return world._replace(flaws=world.flaws + promises.ending(self.scenario, world))

    def fair_round(self, world: World, *, parked: bool = False, settle: bool = False) -> World:
        """Deliver each event that is not done, one after the other, while nothing fails.

        `parked`: a person redrives what is in the queue; `settle`: and takes answers as the last word.
        """
        for place, event in enumerate(world.events):
            if event.done or (event.outcome == PARKED and not parked) or world.flaws:
                continue
            if self.scenario.events[place].forced and world.replay is None:
                world = self._start_replay(world)
            world = self._deliver(world, place, 0, settle=settle)
            for _ in range(MOST_STEPS):
                if world.events[place].live is None:
                    break
                world = self._step(world, place, api.OK if self._asks_api(world, place) else GO)
            else:
                return world._replace(flaws=(f"UNEXPECTED: {self._name(place)} goes round in circles",))
        return world._replace(clock=world.clock + FAIR_ROUND_SECONDS)

    def next(self, world: World, place: int) -> Step | Ended:
        """Return the next call of the live invocation of an event."""
        live = world.events[place].live
        assert live is not None
        return self.code.next(live.node)

    def _name(self, place: int) -> str:
        return self.scenario.events[place].name

    def _asks_api(self, world: World, place: int) -> bool:
        step = self.next(world, place)
        return isinstance(step, Step) and step.kind == code.API

    def _sleeps(self, world: World, place: int) -> bool:
        step = self.next(world, place)
        return isinstance(step, Step) and step.kind == code.SLEEP

    def _switches_away(self, world: World, place: int) -> bool:
        current = world.current
        if current in (-1, place) or world.events[current].live is None:
            return False
        return not self._sleeps(world, current)

    # What may happen.

    def _steps(self, world: World, place: int) -> Iterator[Action]:
        step = self.next(world, place)
        assert isinstance(step, Step)
        if step.kind == code.SLEEP:
            if self._may_wait(world, self._awake(world, place) - world.clock):
                yield Action(STEP, place)
            return
        scenario = self.scenario
        if step.kind == code.API:
            call = self._call(world, place, step)
            yield Action(STEP, place, api.OK)
            faults: tuple[str, ...] = tuple(
                fault for fault in scenario.api_faults if world.api.possible(call, fault, scenario.dialect)
            )
        else:
            yield Action(STEP, place)
            faults = self._table_faults(step) if step.kind == code.TABLE else scenario.queue_faults
            faults = scenario.stripe_faults if step.kind == code.STRIPE else faults
        if world.faults > 0:
            for fault in faults:
                yield Action(STEP, place, fault)

    def _table_faults(self, step: Step) -> tuple[str, ...]:
        faults = self.scenario.table_faults
        if table.is_read(step.call):
            return tuple(fault for fault in faults if fault in (KILLED_BEFORE, THROTTLED))
        return tuple(fault for fault in faults if fault != CONFLICT or table.has_token(step.call))

    def _deliveries(self, world: World) -> Iterator[Action]:
        scenario = self.scenario
        for place, event in enumerate(world.events):
            planned = scenario.events[place]
            if event.live or event.done or event.number >= planned.tries:
                continue
            if world.stripe < planned.stripe or (planned.forced and world.replay is None):
                continue
            # Waiting makes a difference only if something is left over.
            fresh = all(other.number == 0 or other.done for other in world.events)
            waits = (0,) if fresh and not scenario.skews else scenario.waits
            for wait in waits if event.number else sorted({0, waits[-1]}):
                if self._may_wait(world, wait):
                    for skew in (0, *scenario.skews):
                        yield Action(DELIVER, place, (wait, skew))

    def _surroundings(self, world: World) -> Iterator[Action]:
        for place in range(len(world.api.open)):
            yield Action(END_CALL, place, True)
            yield Action(END_CALL, place, False)
        if world.order + 1 < len(self.scenario.orders):
            yield Action(SET_ORDER, 0, world.order + 1)
        if world.stripe + 1 < len(self.scenario.stripe):
            yield Action(STRIPE_MOVES)
        forced = any(event.forced for event in self.scenario.events)
        if forced and world.replay is None and self._may_wait(world, REPLAY_SECONDS):
            yield Action(START_REPLAY)

    def _may_wait(self, world: World, seconds: float) -> bool:
        """Whether this much time can pass before an open call ends: it ends first, either way."""
        return all(world.clock + seconds < call.until for call in world.api.open)

    # The worlds that result.

    def _deliver(self, world: World, place: int, how: Any, *, settle: bool = False) -> World:
        wait, skew = how or (0, 0)
        world = self._wait(world, wait)
        planned, event = self.scenario.events[place], world.events[place]
        number = event.number + 1
        start = Start(
            name=f"{planned.name}#{number}",
            handler=ROUTES[planned.type].handler,
            envelope=planned.envelope(number, world.replay),
            at=world.clock,
            skew=skew,
            settle=settle,
            order=self.scenario.orders[world.order],
            stripe_key=self.scenario.stripe_key,
        )
        node = self.code.begin(start)
        live = Live(node, world.clock, start.deadline + self.scenario.overrun)
        return self._went_on(world, place, Delivered(number, event.outcome, live))

    def _start_replay(self, world: World) -> World:
        # A replay's name contains its start time in seconds.
        world = self._wait(world, REPLAY_SECONDS)
        done = (
            event.id
            for event, delivered in zip(self.scenario.events, world.events, strict=True)
            if delivered.outcome == "applied"
        )
        return world._replace(replay=world.clock, done_before=tuple(sorted(set(done))))

    def _wait(self, world: World, seconds: float) -> World:
        if seconds <= 0:
            return world
        clock = world.clock + seconds
        events = tuple(
            event._replace(live=None, outcome=KILLED) if event.live and event.live.deadline < clock else event
            for event in world.events
        )
        return world._replace(clock=clock, events=events)

    def _step(self, world: World, place: int, how: str) -> World:
        event = world.events[place]
        live = event.live
        step = self.next(world, place)
        assert live is not None
        assert isinstance(step, Step)
        if how not in (GO, api.OK):
            world = world._replace(faults=world.faults - 1)
        if how == KILLED_BEFORE:
            return self._killed(world, place)
        before = world
        if step.kind == code.TABLE:
            world, answer = self._use_table(world, step, how)
        elif step.kind == code.API:
            call = self._call(world, place, step)
            after, answer = world.api.handle(call, how, world.clock, self.scenario.dialect)
            world = world._replace(api=after)
        elif step.kind == code.QUEUE:
            answer = table.THROTTLED if how == THROTTLED else {"ok": {}}
            answer = table.UNANSWERED if how == UNANSWERED else answer
            flaw = promises.message(self.scenario.events[place], step)
            world = world._replace(flaws=world.flaws + flaw)
        elif step.kind == code.STRIPE:
            state = self.scenario.stripe[world.stripe]
            answer = {"fails": True} if how == THROTTLED else {"state": state}
        else:
            world = self._wait(world, self._awake(world, place) - world.clock)
            answer = {}
            if world.events[place].live is None:
                return world
        world = self._checked(before, world)
        if how in (KILLED_AFTER, *api.KILLS):
            return self._killed(world, place)
        node = self.code.answer(live.node, world.clock, answer)
        return self._went_on(world, place, event._replace(live=live._replace(node=node, at=world.clock)))

    def _use_table(self, world: World, step: Step, how: str) -> tuple[World, table.Answer]:
        if how == THROTTLED:
            return world, table.THROTTLED
        if how == CONFLICT:
            return world, table.CONFLICT
        items, answer = table.execute(world.items, step.call)
        if how == REPEATED and not table.has_token(step.call):
            items, answer = table.execute(items, step.call)
        return world._replace(items=items), table.UNANSWERED if how == UNANSWERED else answer

    def _went_on(self, world: World, place: int, event: Delivered) -> World:
        assert event.live is not None
        came = self.code.next(event.live.node)
        if isinstance(came, Ended):
            event = event._replace(live=None, outcome=FAILED if came.failed else came.outcome)
            world = world._replace(flaws=world.flaws + promises.ended(self.scenario, place, came))
        return world._replace(events=(*world.events[:place], event, *world.events[place + 1 :]))

    def _killed(self, world: World, place: int) -> World:
        event = world.events[place]._replace(live=None, outcome=KILLED)
        return world._replace(events=(*world.events[:place], event, *world.events[place + 1 :]))

    def _checked(self, before: World, after: World) -> World:
        if before.api.journal == after.api.journal:
            return after
        return after._replace(flaws=after.flaws + promises.journal(self.scenario, after))

    def _awake(self, world: World, place: int) -> float:
        live, step = world.events[place].live, self.next(world, place)
        assert live is not None
        assert isinstance(step, Step)
        slept = max(float(json.loads(step.call)["seconds"]), self.scenario.oversleep)
        return max(world.clock, live.at + slept)

    def _call(self, world: World, place: int, step: Step) -> Call:
        live = world.events[place].live
        assert live is not None
        asked = json.loads(step.call)
        body = json.dumps(asked["body"], sort_keys=True)
        order = self.code.start(live.node).order
        return Call(place, asked["key"], asked["path"], asked["type"], body, order)
