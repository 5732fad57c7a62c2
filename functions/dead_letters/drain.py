"""Empties dead-letter queues of transient failures, several events at once, in passes.

A pass receives every message once. Events that must wait for another one, and events that failed in an
earlier run, are deferred to the next pass, which follows if this one settled something. So no event delays
another, and what the function's memory cannot hold stays in the queues.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from functions.dead_letters.backlog import Backlog, BacklogEntry, RedriveSource, entry_of
from functions.dead_letters.lease import RunLease
from functions.dead_letters.message import CONFIGURATION, TRANSIENT, DeadLetterMessage
from functions.dead_letters.queue import RECEIVE_BATCH
from functions.dead_letters.redrive import (
    APPLIED,
    FAILED,
    NOT_CALLED,
    QUEUED,
    UNSETTLED,
    RedriveResult,
    redrive,
)
from functions.dead_letters.scheduler import Scheduler
from functions.dead_letters.settings import AutoRedriveSettings
from functions.dead_letters.workers import Workers
from functions.shared.errors import ConfigurationError, EventError
from functions.shared.retry import remaining_seconds
from functions.shared.telemetry import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

LEFT: Final = "left"
WAITING: Final = "waiting"
GIVEN_UP: Final = "given_up"
# Seconds between the starts of two passes: so long the API may still work on a call that timed out.
PASS_SECONDS: Final = 10.0
# The longest wait for a call before the remaining time is checked again.
MAX_WAIT_SECONDS: Final = 1.0


class Drain:
    """One run over some queues.

    Attributes
    ----------
    counts
        Messages by outcome. `waiting` counts how often an event had to wait for another one, `left` the
        transient failures still in their queues, `given_up` those that used up their attempts in this run.
    oldest
        When the oldest message arrived in its queue, in Unix seconds.
    errors
        Why a queue or a function could not be used.
    """

    def __init__(
        self,
        sources: Sequence[RedriveSource],
        settings: AutoRedriveSettings,
        lease: RunLease,
        workers: Workers,
        context: LambdaContext,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.oldest: float | None = None
        self.errors: list[EventError] = []
        self._sources = list(sources)
        self._settings = settings
        self._lease = lease
        self._workers = workers
        self._context = context
        self._backlog = Backlog()
        self._scheduler = Scheduler(self._backlog, settings.per_second, workers.most)
        self._to_receive = list(sources)  # sources with more messages, in the order of the next receives
        self._receiving = False
        self._left: set[str] = set()
        self._lease_lost = False
        self._pass = 1
        self._pass_started = time.time()
        self._next_pass_useful = False

    def run(self) -> None:
        """Redrive until nothing more can be done or the time is up; then release all messages that are held.

        Raises
        ------
        TransientError, ConfigurationError
            The idempotency table did not answer, or refused. Running calls are finished first.
        """
        try:
            self._run_pass()
            while self._start_next_pass():
                self._run_pass()
        finally:
            self._to_receive.clear()
            self._finish_calls()
            self._count_attempts_of_open_circuits()
            self._backlog.put_all_aside()
            self._release(self._backlog.deferred)
            self._release(self._backlog.aside)
            self.counts[LEFT] = len(self._left)

    # Passes

    def _run_pass(self) -> None:
        while (seconds := self._start_calls()) is not None:
            self._workers.wait(min(seconds, MAX_WAIT_SECONDS))

    def _start_next_pass(self) -> bool:
        """Release the deferred messages for another pass, or return False if it would be no use."""
        if not (self._may_continue and self._next_pass_useful and any(self._backlog.deferred.values())):
            return False
        time.sleep(max(0.0, self._pass_started + PASS_SECONDS - time.time()))
        self._count_attempts_of_open_circuits()
        self._release(self._backlog.deferred)
        self._to_receive = list(self._sources)
        self._pass_started = time.time()
        self._pass += 1
        self._next_pass_useful = False
        return True

    @property
    def _may_continue(self) -> bool:
        """Whether there is time for one more event, and no other run has acquired the lease."""
        return not self._lease_lost and remaining_seconds(self._context) > self._settings.reserve_seconds

    # Calls

    def _start_calls(self) -> float | None:
        """Start what may start; return the seconds until more may, or None at the end of the pass."""
        if not self._may_continue:
            return MAX_WAIT_SECONDS if self._workers.busy else None
        if self._to_receive and not self._receiving and self._backlog.has_room:
            self._receiving = True
            seconds = max(1, int(remaining_seconds(self._context)))
            source = self._to_receive.pop(0)
            self._workers.start(partial(_receive, source, seconds), partial(self._received, source))
        # The order is best when the backlog holds all that it can hold.
        filling = self._receiving and self._backlog.has_room
        wait = None if filling else self._start_redrives()
        return MAX_WAIT_SECONDS if wait is None and self._workers.busy else wait

    def _start_redrives(self) -> float | None:
        while self._workers.busy < self._workers.most:
            now = time.time()
            if (delay := self._scheduler.delay(now)) > 0:
                return delay
            entry = self._scheduler.next(now)
            if entry is None:
                return self._scheduler.next_probe(now)
            if not self._lease.renew():
                self._lease_lost = True
                return None
            self._scheduler.start(entry, now)
            self._workers.start(partial(_redrive, entry), partial(self._redriven, entry))
        return None

    def _release(self, receipts: dict[RedriveSource, list[str]]) -> None:
        for source, its in receipts.items():
            for start in range(0, len(its), RECEIVE_BATCH):
                if self._workers.busy == self._workers.most:
                    self._workers.wait(MAX_WAIT_SECONDS)
                batch = its[start : start + RECEIVE_BATCH]
                self._workers.start(partial(source.queue.release, batch), lambda _: None)
        self._finish_calls()
        receipts.clear()

    def _finish_calls(self) -> None:
        while self._workers.busy:
            self._workers.wait(MAX_WAIT_SECONDS)

    # Received messages

    def _received(self, source: RedriveSource, received: list[DeadLetterMessage] | EventError) -> None:
        self._receiving = False
        if isinstance(received, EventError):
            self.errors.append(received)
            return
        if received:
            self._receive_more(source)
        for message in received:
            self.oldest = min(message.failed_at, self.oldest or message.failed_at)
            if message.kind == TRANSIENT and message.envelope is not None:
                self._left.add(message.message_id)
                if source in self._sources:
                    self._add(entry_of(message, source))
                    continue
            self._backlog.aside[source].append(message.receipt)

    def _receive_more(self, source: RedriveSource) -> None:
        if source in self._sources and source not in self._to_receive:
            self._to_receive.append(source)

    def _add(self, entry: BacklogEntry) -> None:
        attempts = self._lease.attempts.get(entry.event)
        self._lease.mark_seen(entry.event)
        if attempts is not None and attempts >= self._settings.attempts:
            _log("left to an operator", entry.message, reason=entry.message.reason)
            self._backlog.put_aside(entry)
        elif attempts is not None and self._pass == 1:
            # It failed in an earlier run while others were applied: they come first.
            self._next_pass_useful = True
            self._backlog.defer(entry)
        else:
            self._scheduler.add(entry)

    # Results

    def _redriven(self, entry: BacklogEntry, result: RedriveResult | EventError) -> None:
        self._scheduler.finish(entry)
        if isinstance(result, ConfigurationError):
            # Lambda or SQS refused the run itself. A key that the API refuses fails an event, see below.
            self.errors.append(result)
            self._backlog.put_aside(entry)
            self._stop(entry.source)
            result = RedriveResult(FAILED, CONFIGURATION, result.reason)
        elif isinstance(result, EventError):
            # Lambda or SQS failed, so this was no attempt of the event.
            self._backlog.defer(entry)
            self._scheduler.failed(entry, time.time(), attempted=False)
            result = RedriveResult(FAILED, TRANSIENT, result.reason)
        elif result.settled:
            self._settled(entry, result.outcome)
        elif result.kind == UNSETTLED:
            self._scheduler.api_not_called()
            self._backlog.defer(entry)
        else:
            self._backlog.put_aside(entry)
            self._scheduler.failed(entry, time.time(), attempted=True)
        self.counts[WAITING if result.kind == UNSETTLED else result.outcome] += 1
        _log("event redriven", entry.message, outcome=result.outcome, reason=result.reason)

    def _settled(self, entry: BacklogEntry, outcome: str) -> None:
        self._next_pass_useful = True
        self._left.discard(entry.message.message_id)
        if outcome in NOT_CALLED:
            self._scheduler.api_not_called()
        else:
            self._scheduler.api_called()
        if outcome in (APPLIED, QUEUED):
            self._count_attempts(self._scheduler.applied(entry))
        if outcome == QUEUED:
            # The ledger has not stored the event yet. If it fails to, the message comes back here.
            self._count_attempts({entry.event: 1})
        else:
            self._lease.forget(entry.event)
        if entry.source.fifo and not self._scheduler.has_pending(entry.source):
            # The next messages of its groups are visible only now.
            self._receive_more(entry.source)

    def _stop(self, source: RedriveSource) -> None:
        """Stop using a source: every other event of it would fail too."""
        self._sources = [each for each in self._sources if each is not source]
        self._to_receive = [each for each in self._to_receive if each is not source]
        self._backlog.put_all_aside(source)

    def _count_attempts(self, used: Mapping[str, int]) -> None:
        for event, attempts in used.items():
            if self._lease.count(event, attempts) == self._settings.attempts and attempts:
                self.counts[GIVEN_UP] += 1

    def _count_attempts_of_open_circuits(self) -> None:
        for used in self._scheduler.close_circuits():
            self._count_attempts(used)


def _receive(source: RedriveSource, seconds: int) -> list[DeadLetterMessage] | EventError:
    try:
        return source.queue.receive(visibility_timeout=seconds)
    except EventError as error:
        return error


def _redrive(entry: BacklogEntry) -> RedriveResult | EventError:
    try:
        return redrive(entry.message, entry.source.queue, entry.source.target)
    except EventError as error:
        return error


def _log(text: str, message: DeadLetterMessage, **about: str | None) -> None:
    extra: Mapping[str, str | None] = {
        "correlation_id": message.event_id,
        "event_id": message.event_id,
        "event_type": message.event_type,
        **about,
    }
    logger.info(text, extra=extra)
