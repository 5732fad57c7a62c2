"""One comparison of Stripe's list: it continues from its checkpoint, in steps, as long as there is time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from functions.pipeline.routing_table import ROUTES
from functions.reconciliation.checkpoint import Checkpoint, MissingEvent, Position
from functions.reconciliation.gap import Batch, Event, Gap, Heal, Known, compare
from functions.shared.telemetry import logger
from functions.stripe_api import client
from functions.stripe_api.client import StripeApi

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

# How far the first run looks back if no start time is set.
FIRST_WINDOW_SECONDS: Final = 24 * 3600
# Compared again each time: Stripe does not promise that its list shows a new event at once.
OVERLAP_SECONDS: Final = 3600
# The checkpoint advances at least this often, even if Stripe created no event.
STEP_SECONDS: Final = 3600
# Stripe returns a batch of a hundred in a second or two; healing all of it takes five.
SAFETY_MILLISECONDS: Final = 60_000
# Missing events that a checkpoint holds; it does not advance past the next one.
MAX_MISSING: Final = 500


class KnownSince(Protocol):
    """Makes a `Known` for events created since a time in Unix seconds."""

    def __call__(self, since: int, checked_at: int | None = None, /) -> Known:
        """Return it; it need not search again what was already there at `checked_at`, in Unix seconds."""


@dataclass(frozen=True, slots=True)
class StartTime:
    """When comparisons begin, in Unix seconds.

    Parameters
    ----------
    not_before
        Events created before are never compared, and no longer searched for.
    explicit
        Whether the time was set, so that the first run begins there however long ago it is.
    """

    not_before: int
    explicit: bool


@dataclass
class Job:
    """One run of one comparison; `compared_until` is how far it has come, in Unix seconds.

    Parameters
    ----------
    heal
        Heals a missing event; None to report only. The checkpoint keeps the events that were not healed, and
        each run reports them until they are known or healed.
    """

    stripe: StripeApi
    checkpoint: Checkpoint
    known_since: KnownSince
    heal: Heal | None
    start: StartTime
    gap: Gap = field(default_factory=Gap)
    compared_until: int = 0
    clock: Callable[[], float] = time.time
    _missing: dict[str, MissingEvent] = field(default_factory=dict)
    _began: int = 0

    def run(self, until: int, context: LambdaContext) -> bool:
        """Compare up to `until`, in Unix seconds; return whether the comparison is complete.

        Raises
        ------
        EventError
            Stripe or AWS failed. What was compared before stays compared.
        """
        self._began = int(self.clock())
        position = self.checkpoint.read()
        since = self.compared_until = self._since(position, until)
        if since > until:
            return True
        if position is not None:
            self._recheck(position)
        known = self.known_since(since)
        for first, last in steps(since, until):
            for batch in compare(self.stripe.events(first, last, ROUTES), known):
                if not self._add(batch):
                    logger.warning("reconciliation stopped", extra={"missing": len(self._missing)})
                    return False
                # Other events of the batch's newest second may follow in the next batch.
                self._save(batch.last_created)
                # A run that made no progress must not end: the next one would do the same again.
                if is_short(context) and self.compared_until > since:
                    return False
            self._save(last + 1)
            if last < until and is_short(context):
                return False
        self._save(until + 1, complete=True)
        return True

    def _since(self, position: Position | None, until: int) -> int:
        if position is None:
            since = self.start.not_before if self.start.explicit else until - FIRST_WINDOW_SECONDS
        else:
            since = position.compared_until - (OVERLAP_SECONDS if position.complete else 0)
        oldest = self._began - client.EVENTS_KEPT_SECONDS
        if max(since, self.start.not_before) < oldest:
            # Stripe no longer lists what was created before; only the archive may still hold it.
            logger.error(
                "reconciliation gap", extra={"reason": f"events from {since} to {oldest} were not compared"}
            )
        # A checkpoint ahead of the clock must not stop the comparison.
        return max(min(since, until), oldest, self.start.not_before)

    def _recheck(self, position: Position) -> None:
        """Search again for the events that were missing, and heal those that still are."""
        oldest = self._began - client.EVENTS_KEPT_SECONDS
        for each in position.missing:
            if each.created < oldest:
                reason = f"{each.id} is still missing, and Stripe no longer lists it"
                logger.error("reconciliation gap", extra={"reason": reason})
            elif each.created >= self.start.not_before:
                self._missing[each.id] = each
        if not self._missing:
            return
        events = [each.event() for each in sorted(self._missing.values(), key=lambda each: each.created)]
        known = self.known_since(events[0]["created"], position.checked_at)(events)
        heal = partial(self._heal_listed, self.heal) if self.heal else None
        for event in events:
            if event["id"] in known or self.gap.add_missing(event, heal):
                del self._missing[event["id"]]

    def _heal_listed(self, heal: Heal, event: Event) -> bool:
        """Heal an event of the checkpoint, as Stripe lists it."""
        listed = self.stripe.events(event["created"], event["created"], [event["type"]])
        found = next((each for each in listed if each["id"] == event["id"]), None)
        return found is not None and heal(found)

    def _add(self, batch: Batch) -> bool:
        """Count a batch, heal or remember what is missing; return False if no more can be remembered."""
        self.gap.add_compared(batch.events)
        for event in batch.missing:
            if event["id"] in self._missing or event["id"] in self.gap.healed:
                continue
            if self.gap.add_missing(event, self.heal):
                continue
            if len(self._missing) >= MAX_MISSING:
                return False
            self._missing[event["id"]] = MissingEvent.of(event)
        return True

    def _save(self, compared_until: int, *, complete: bool = False) -> None:
        missing = tuple(self._missing.values())
        self.checkpoint.write(Position(compared_until, complete, self._began, missing))
        self.compared_until = compared_until


def is_short(context: LambdaContext) -> bool:
    """Whether too little time is left to begin another step."""
    return context.get_remaining_time_in_millis() < SAFETY_MILLISECONDS


def steps(since: int, until: int) -> Iterator[tuple[int, int]]:
    """Split a window into adjacent steps; both ends of a step are included."""
    first = since
    while first <= until:
        last = min(first + STEP_SECONDS - 1, until)
        yield first, last
        first = last + 1
