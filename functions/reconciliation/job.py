"""One comparison of Stripe's list: from its checkpoint on, in steps, as far as the time allows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from functions.pipeline.routing_table import ROUTES
from functions.reconciliation.checkpoint import Checkpoint, Lacking, Position
from functions.reconciliation.gap import Batch, Event, Gap, Known, compare
from functions.shared.telemetry import logger
from functions.stripe_api import client
from functions.stripe_api.client import StripeApi

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

# How far the first run looks back, at most.
FIRST_WINDOW_SECONDS: Final = 24 * 3600
# What is compared again each time: Stripe does not promise that its list shows each event at once.
OVERLAP_SECONDS: Final = 3600
# The checkpoint moves at least this often, even where Stripe made no event.
STEP_SECONDS: Final = 3600
# A batch of a hundred takes Stripe a second or two, and healing all of it five.
SAFETY_MILLISECONDS: Final = 60_000
# Events that are remembered as lacking; the checkpoint waits before the next one.
MOST_LACKING: Final = 500


class KnownSince(Protocol):
    """Makes what tells known events, of those made since a time in Unix seconds."""

    def __call__(self, since: int, looked_at: int | None = None, /) -> Known:
        """Return it; what was known at ``looked_at``, in Unix seconds, need not be looked for again."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where comparisons begin, in Unix seconds.

    Parameters
    ----------
    not_before
        Events made before are never compared; what still lacks of them is no longer looked for.
    asked_for
        Whether a person set that time, so that the first run begins there, however long ago it is.
    """

    not_before: int
    asked_for: bool


@dataclass
class Job:
    """One run of one comparison; ``compared_until`` is how far it came, in Unix seconds.

    Parameters
    ----------
    heal
        Hands an event over and returns whether it did. What it did not, or where it is None, is remembered
        and told by each run until it is known or handed over.
    """

    stripe: StripeApi
    checkpoint: Checkpoint
    known_since: KnownSince
    heal: Callable[[Event], bool] | None
    start: Start
    gap: Gap = field(default_factory=Gap)
    compared_until: int = 0
    clock: Callable[[], float] = time.time
    _lacking: dict[str, Lacking] = field(default_factory=dict)
    _began: int = 0

    def run(self, until: int, context: LambdaContext) -> bool:
        """Compare up to ``until``, in Unix seconds; return whether the time was enough.

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
            self._look_again(position)
        known = self.known_since(since)
        for first, last in steps(since, until):
            for batch in compare(self.stripe.events(first, last, ROUTES), known):
                if not self._take(batch):
                    logger.warning("reconciliation waits", extra={"lacking": len(self._lacking)})
                    return False
                # Other events of the batch's newest second may follow in the next one.
                self._keep(batch.last_created)
                # A run that did not come on must not end: the next one would do the same again.
                if _is_short(context) and self.compared_until > since:
                    return False
            self._keep(last + 1)
            if last < until and _is_short(context):
                return False
        self._keep(until + 1, complete=True)
        return True

    def _since(self, position: Position | None, until: int) -> int:
        if position is None:
            since = self.start.not_before if self.start.asked_for else until - FIRST_WINDOW_SECONDS
        else:
            since = position.compared_until - (OVERLAP_SECONDS if position.complete else 0)
        oldest = self._began - client.EVENTS_KEPT_SECONDS
        if max(since, self.start.not_before) < oldest:
            # Stripe has forgotten what was made before; only the archive may still hold it.
            logger.error("reconciliation gap", extra={"reason": f"nothing compared from {since} to {oldest}"})
        # A checkpoint that is ahead of the clock holds nothing up.
        return max(min(since, until), oldest, self.start.not_before)

    def _look_again(self, position: Position) -> None:
        """Look for what lacked at the end of the last run, and hand over what still does."""
        forgotten = self._began - client.EVENTS_KEPT_SECONDS
        for each in position.lacking:
            if each.created < forgotten:
                reason = f"{each.id} still lacks, and Stripe lists it no longer"
                logger.error("reconciliation gap", extra={"reason": reason})
            elif each.created >= self.start.not_before:
                self._lacking[each.id] = each
        if not self._lacking:
            return
        events = [each.event() for each in sorted(self._lacking.values(), key=lambda each: each.created)]
        known = self.known_since(events[0]["created"], position.looked_at)(events)
        for event in events:
            if event["id"] in known:
                del self._lacking[event["id"]]
                continue
            self.gap.miss(event)
            if self.heal is not None and (listed := self._listed(event)) and self.heal(listed):
                self.gap.healed.add(event["id"])
                del self._lacking[event["id"]]

    def _listed(self, event: Event) -> dict[str, Any] | None:
        found = self.stripe.events(event["created"], event["created"], [event["type"]])
        return next((each for each in found if each["id"] == event["id"]), None)

    def _take(self, batch: Batch) -> bool:
        """Count a batch, hand over or remember what is missing; return whether all of that was possible."""
        self.gap.count(batch.events)
        for event in batch.missing:
            if event["id"] in self._lacking or event["id"] in self.gap.healed:
                continue
            self.gap.miss(event)
            if self.heal is not None and self.heal(event):
                self.gap.healed.add(event["id"])
            elif len(self._lacking) < MOST_LACKING:
                self._lacking[event["id"]] = Lacking.of(event)
            else:
                return False
        return True

    def _keep(self, compared_until: int, *, complete: bool = False) -> None:
        lacking = tuple(self._lacking.values())
        self.checkpoint.write(Position(compared_until, complete, self._began, lacking))
        self.compared_until = compared_until


def _is_short(context: LambdaContext) -> bool:
    return context.get_remaining_time_in_millis() < SAFETY_MILLISECONDS


def steps(since: int, until: int) -> Iterator[tuple[int, int]]:
    """Cut a window into steps that meet and share no second; both ends of each are included."""
    first = since
    while first <= until:
        last = min(first + STEP_SECONDS - 1, until)
        yield first, last
        first = last + 1
